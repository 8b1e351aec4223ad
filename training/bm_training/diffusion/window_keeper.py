"""Which parts of running rollouts become episodes: those after which the robot went on for long enough."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bm_core.errors import ConfigError
from bm_training.diffusion.frame_rows import as_rollouts, frame_row, row_widths
from bm_training.diffusion.rollout_file import Rollouts


@dataclass(frozen=True, kw_only=True)
class KeeperConfig:
    """Lengths in control steps."""

    steps: int = 125
    """Of an episode (2.5 s); a rollout is cut into episodes without gaps."""
    survive: int = 250
    """An episode is kept if its rollout lasts so long from the episode's first frame (5 s)."""

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= self.survive:
            raise ConfigError(f"keeper: steps {self.steps} must be 1..survive ({self.survive})")


class WindowKeeper:
    """Follows E rollouts; an end of any kind (fall, time-out, end of the clip) drops what is not yet kept."""

    def __init__(self, config: KeeperConfig, robots: int, action_width: int, device: str | torch.device) -> None:
        self._config = config
        self._frames = torch.zeros(robots, config.survive, sum(row_widths(action_width)), device=device)
        self._source = torch.zeros(robots, dtype=torch.int32, device=device)
        self._steps = torch.arange(config.steps, device=device)
        self.age = torch.zeros(robots, dtype=torch.int64, device=device)
        """Frames since the first one of the rollout."""

    def add(
        self,
        root: Tensor,
        joint_pos: Tensor,
        joint_vel: Tensor,
        label: Tensor,
        applied: Tensor,
        jolted: Tensor,
        source: Tensor,
    ) -> None:
        """One frame of all robots, before the step: (E, 13), (E, 29), (E, 29), (E, A), (E, A), (E,) bool, (E,)."""
        row = frame_row(root, joint_pos, joint_vel, label, applied, jolted)
        # A ring: when a frame is written over, its episode was kept or is lost.
        place = (self.age % self._config.survive)[:, None, None].expand(-1, 1, row.shape[-1])
        self._frames.scatter_(1, place, row[:, None])
        self._source = torch.where(self.age == 0, source.to(torch.int32), self._source)

    def advance(self, ended: Tensor, failed: Tensor) -> Rollouts | None:
        """After the step: `ended` (E,) bool, for whatever reason, `failed` those that fell.

        Returns the episodes that are now kept, if there are any.
        """
        age, config = self.age + 1, self._config
        start = age - config.survive
        kept = (start >= 0) & (start % config.steps == 0) & ~failed
        self.age = torch.where(ended, 0, age)
        which = kept.nonzero()[:, 0]
        if len(which) == 0:
            return None
        place = (start[which, None] + self._steps) % config.survive
        return as_rollouts(self._frames[which[:, None], place], self._source[which])
