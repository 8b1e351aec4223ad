"""A trained tracker as the teacher of a collection, from a checkpoint of `bm train tracking`."""

from __future__ import annotations

import re
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bm_core.errors import ConfigError

if TYPE_CHECKING:
    from bm_training.tracking.vec_env import TrackingVecEnv

_WINDOW = re.compile(r"reference_window\[(\d+)\]")


@dataclass(frozen=True, kw_only=True)
class TeacherCheckpoint:
    """What the environment must offer before the network can be built."""

    name: str
    state: dict[str, Any]

    @property
    def state_estimation(self) -> bool:
        """Whether the policy sees anchor position and base velocity."""
        return any(name == "base_lin_vel" for name, _ in self.state["layouts"]["policy"])

    @property
    def reference_window(self) -> tuple[int, ...]:
        """Future frames that the policy sees."""
        found = (_WINDOW.fullmatch(name) for name, _ in self.state["layouts"]["policy"])
        return tuple(int(match.group(1)) for match in found if match)

    def actor(self, env: TrackingVecEnv, device: str) -> Any:
        """The network: observations of `env` -> mean actions (E, 29)."""
        from rsl_rl.algorithms import PPO

        from bm_training.tracking.ppo_cfg import PpoConfig

        cfg = PpoConfig(**self.state["ppo"]).as_rsl_rl(None)
        # rsl-rl prints its networks; stdout belongs to results.
        with redirect_stdout(sys.stderr):
            algorithm = PPO.construct_algorithm(env.get_observations(), env, cfg, device)
        try:
            algorithm.actor.load_state_dict(self.state["alg"]["actor_state_dict"])
        except RuntimeError as error:
            raise ConfigError(f"{self.name}: its network does not fit this version's observation") from error
        return algorithm.actor.eval().requires_grad_(False)


def read_teacher(run_or_file: Path | None, device: str) -> TeacherCheckpoint:
    """None: the shipped tracker. ConfigError if there is no tracker's checkpoint."""
    from bm_core.data import shipped
    from bm_training.tracking.checkpoint import find_checkpoint, load_checkpoint

    path = find_checkpoint(run_or_file or shipped("policies", "g1_tracker.pt"))
    state = load_checkpoint(path, device)
    if not {"alg", "ppo", "layouts"} <= set(state):
        raise ConfigError(f"{path.name}: not a checkpoint of bm train tracking")
    return TeacherCheckpoint(name=path.name, state=state)
