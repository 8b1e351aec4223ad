"""A trained policy for Isaac Lab: a run, a checkpoint, or an ONNX bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bm_core.contract import Contract
from bm_core.errors import BundleError
from bm_core.observation_terms import WINDOW_TERM, motion_ids

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class PolicySource:
    """A network and what it expects to see."""

    name: str
    contract: Contract
    act: Callable[[Tensor], Tensor]
    """(E, O) observations -> (E, 29) mean actions, on the observations' device."""

    @property
    def state_estimation(self) -> bool:
        """Whether it sees anchor position and base velocity."""
        return any(term.name == "base_lin_vel" for term in self.contract.observations)

    @property
    def reference_window(self) -> tuple[int, ...]:
        """Future frames that it sees."""
        return next((term.steps for term in self.contract.observations if term.name == WINDOW_TERM), ())

    @property
    def motion_ids(self) -> tuple[str, ...]:
        """Clips that it is told by name."""
        return motion_ids(self.contract.observations)


def read_policy(run_or_file: Path, device: str) -> PolicySource:
    """Raises BundleError or ConfigError for what is no policy of ours."""
    if run_or_file.suffix == ".onnx":
        return _of_bundle(run_or_file)
    from bm_export.checkpoint import load_tracker

    tracker = load_tracker(run_or_file)
    return PolicySource(name=run_or_file.stem, contract=tracker.contract, act=tracker.actor.to(device))


def _of_bundle(path: Path) -> PolicySource:
    import torch

    from bm_core.bundle import Bundle
    from bm_sim2real.policies.execution_provider import open_onnx, session_options

    contract = Bundle.read(path).contract
    # As many threads as torch has (OMP_NUM_THREADS): with one for every core several evaluations starve each other.
    session = open_onnx(path, session_options(torch.get_num_threads()))
    inputs = session.get_inputs()
    if len(inputs) != 1 or isinstance(inputs[0].shape[0], int):
        raise BundleError(f"{path.name}: takes one robot at a time; evaluate it in MuJoCo, or give the run it is from")

    def act(observations: Tensor) -> Tensor:
        actions = session.run(None, {inputs[0].name: observations.float().cpu().numpy()})[0]
        return torch.from_numpy(actions).to(observations.device)

    return PolicySource(name=path.stem, contract=contract, act=act)
