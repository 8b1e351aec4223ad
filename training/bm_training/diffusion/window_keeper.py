"""Which parts of running rollouts become episodes: those after which the robot went on for long enough."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_training.diffusion.rollout_file import ROOT_WIDTH, Rollouts

_JOINTS = len(G1.joint_names)


@dataclass(frozen=True, kw_only=True)
class KeeperConfig:
    """Lengths in control steps."""

    steps: int = 125
    """Of an episode (2.5 s)."""
    survive: int = 250
    """It is kept if its rollout is still running so long after its first frame (5 s)."""

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= self.survive:
            raise ConfigError(f"keeper: steps {self.steps} must be 1..survive ({self.survive})")


class WindowKeeper:
    """Follows E rollouts; an end of any kind (fall, time-out, end of the clip) drops what is not yet kept."""

    def __init__(self, config: KeeperConfig, robots: int, action_width: int, device: str | torch.device) -> None:
        self._config = config
        self._widths = [ROOT_WIDTH, _JOINTS, _JOINTS, action_width, action_width]
        self._frames = torch.zeros(robots, config.steps, sum(self._widths), device=device)
        self._source = torch.zeros(robots, dtype=torch.int32, device=device)
        self.age = torch.zeros(robots, dtype=torch.int64, device=device)
        """Frames since the first one of the episode in the making."""

    def add(
        self, root: Tensor, joint_pos: Tensor, joint_vel: Tensor, label: Tensor, applied: Tensor, source: Tensor
    ) -> None:
        """One frame of all robots, before the step: (E, 13), (E, 29), (E, 29), (E, A), (E, A), (E,)."""
        row = torch.cat([root, joint_pos, joint_vel, label, applied], dim=-1)
        place = self.age.clamp(max=self._config.steps - 1)[:, None, None].expand(-1, 1, row.shape[-1])
        is_open = (self.age < self._config.steps)[:, None, None]
        self._frames.scatter_(1, place, torch.where(is_open, row[:, None], self._frames.gather(1, place)))
        self._source = torch.where(self.age == 0, source.to(torch.int32), self._source)

    def advance(self, ended: Tensor) -> Rollouts | None:
        """After the step: `ended` (E,) bool. Returns the episodes that are now kept, if there are any."""
        self.age = torch.where(ended, 0, self.age + 1)
        kept = self.age >= self._config.survive
        if not bool(kept.any()):
            return None
        self.age = torch.where(kept, 0, self.age)
        parts = self._frames[kept].cpu().split(self._widths, dim=-1)
        root, joint_pos, joint_vel, label, applied = (part.numpy() for part in parts)
        return Rollouts(
            root=root.astype("float32"),
            joint_pos=joint_pos.astype("float16"),
            joint_vel=joint_vel.astype("float16"),
            action_label=label.astype("float16"),
            action_applied=applied.astype("float16"),
            source=self._source[kept].cpu().numpy(),
        )
