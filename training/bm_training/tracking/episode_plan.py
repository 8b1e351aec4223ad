"""Which episodes an evaluation plays, and how they are handed to the environments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bm_training.sampling import BinTable

if TYPE_CHECKING:
    from bm_training.tracking.motion_library import MotionLibrary


@dataclass(frozen=True, kw_only=True)
class EpisodePlan:
    """N episodes by motion and start frame."""

    motion: Tensor
    """(N,) int64"""
    frame: Tensor
    """(N,) int64; at least one control step remains after it."""
    max_steps: int
    """Longest episode, control steps; it then ends as a pass."""

    @property
    def num_episodes(self) -> int:
        return len(self.motion)


def whole_clips(library: MotionLibrary, repeats: int) -> EpisodePlan:
    """Every motion from its first frame to its last, `repeats` times."""
    motion = torch.arange(library.num_motions, device=library.device).repeat(repeats)
    longest = int(library.motion_length.max())
    return EpisodePlan(motion=motion, frame=torch.zeros_like(motion), max_steps=longest)


def uniform_starts(bins: BinTable, per_bin: int, max_steps: int) -> EpisodePlan:
    """`per_bin` starts in every bin, evenly spaced in it: a uniform distribution without its chance."""
    place = (torch.arange(per_bin, device=bins.motion.device, dtype=torch.float64) + 0.5) / per_bin
    offset = (place * bins.steps[:, None]).long()
    # Bin after bin of one round before the next round: the episodes that are left over at the end are mixed.
    frame = (bins.first_frame[:, None] + offset).T.reshape(-1)
    return EpisodePlan(motion=bins.motion.repeat(per_bin), frame=frame, max_steps=max_steps)


class StartQueue:
    """Gives the next episodes of a plan to the environments that ask; what comes after the last one does not count."""

    def __init__(self, plan: EpisodePlan, num_envs: int) -> None:
        self.plan = plan
        self.episode = torch.full((num_envs,), plan.num_episodes, device=plan.motion.device)
        """(E,) number of each environment's episode; num_episodes: none that counts."""
        self._next = torch.zeros((), dtype=torch.int64, device=plan.motion.device)

    def draw(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The next episodes for the environments of `mask` (E,): motion and start frame, (E,) each."""
        number = self._next + mask.cumsum(0) - 1
        self._next = self._next + mask.sum()
        self.episode = torch.where(mask, number.clamp(max=self.plan.num_episodes), self.episode)
        index = number % self.plan.num_episodes
        return self.plan.motion[index], self.plan.frame[index]
