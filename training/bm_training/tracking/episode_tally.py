"""What happened in the episodes of an evaluation: errors, endings, and the failure rate of every bin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bm_training.sampling import BinTable
from bm_training.tracking.errors import TrackingErrors

if TYPE_CHECKING:
    from bm_training.tracking.command import MotionCommand
    from bm_training.tracking.episode_plan import EpisodePlan, StartQueue

ERRORS = (
    "body_error_m",
    "anchor_error_m",
    "mpkpe_global_m",
    "mpkpe_root_m",
    "joint_error_rad",
    "joint_velocity_error_rad_s",
    "body_velocity_error_m_s",
)
"""body_error: of the re-anchored reference. mpkpe: mean per-keypoint position error over the 14 target bodies, global,
and with both pelvises at the origin. Velocities: of joints, and of body origins in the world frame."""


def step_errors(motion: MotionCommand, errors: TrackingErrors) -> Tensor:
    """ERRORS of each environment in this step, (E, K)."""
    reference, robot = motion.reference, motion.robot
    offset = reference.body_pos_w - robot.body_pos
    relative = offset - offset[:, robot.root : robot.root + 1]
    values = (
        errors.body_pos_sq.sqrt().mean(-1),
        errors.anchor_pos_sq.sqrt(),
        torch.linalg.vector_norm(offset, dim=-1).mean(-1),
        torch.linalg.vector_norm(relative, dim=-1).mean(-1),
        (reference.joint_pos - robot.joint_pos).abs().mean(-1),
        (reference.joint_vel - robot.joint_vel).abs().mean(-1),
        errors.body_lin_vel_sq.sqrt().mean(-1),
    )
    # A diverged simulation is a failure; its last step has no meaningful error.
    return torch.stack(values, dim=-1).nan_to_num(0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class EpisodeResults:
    """N episodes, in the order of their plan; on the CPU."""

    plan: EpisodePlan
    completed: Tensor
    """(N,) bool: no termination until the clip's end or the time limit."""
    last_frame: Tensor
    """(N,) int64 frame of the last judged step: where it failed, if it did."""
    steps: Tensor
    """(N,) int64 judged steps."""
    error_sums: Tensor
    """(N, K) float64, over steps."""
    failure: Tensor
    """(N,) int64 index of the termination that ended it; -1: none."""


class EpisodeTally:
    """Listens to a motion command during the episodes of a queue; no host synchronisation but in `is_complete`."""

    def __init__(self, motion: MotionCommand, queue: StartQueue) -> None:
        self._motion, self._queue = motion, queue
        self._num = num = queue.plan.num_episodes
        device = queue.episode.device
        # One row more: what does not count goes there.
        self._sums = torch.zeros(num + 1, len(ERRORS), dtype=torch.float64, device=device)
        self._steps = torch.zeros(num + 1, dtype=torch.int64, device=device)
        self._last_frame = torch.zeros_like(self._steps)
        self._ended = torch.zeros(num + 1, dtype=torch.bool, device=device)
        self._failure = torch.full_like(self._steps, -1)
        self._judged = queue.episode

    def judge(self, errors: TrackingErrors) -> None:
        """After physics, before resets: errors of the present step."""
        self._judged = self._queue.episode
        self._sums.index_add_(0, self._judged, step_errors(self._motion, errors).double())
        self._steps.index_add_(0, self._judged, torch.ones_like(self._judged))
        self._last_frame[self._judged] = self._motion.frame

    def end_step(self, tripped: Tensor, ended: Tensor) -> None:
        """`tripped` (E, T) terminations that are failures, `ended` (E,) failed, out of time or at the clip's end."""
        first = torch.where(tripped.any(-1), tripped.int().argmax(-1), -1)
        self._failure[self._judged] = torch.where(ended, first, self._failure[self._judged])
        self._ended[self._judged] = ended | self._ended[self._judged]

    def is_complete(self) -> bool:
        """Whether every episode of the plan has ended."""
        return bool(self._ended[: self._num].all())

    def results(self) -> EpisodeResults:
        """On the CPU."""
        n = self._num
        return EpisodeResults(
            plan=self._queue.plan,
            completed=(self._failure[:n] < 0).cpu(),
            last_frame=self._last_frame[:n].cpu(),
            steps=self._steps[:n].cpu(),
            error_sums=self._sums[:n].cpu(),
            failure=self._failure[:n].cpu(),
        )


def bin_counts(results: EpisodeResults, bins: BinTable) -> tuple[Tensor, Tensor]:
    """Failures in each bin and episodes that started in or entered it, (B,) int64 each, on the CPU.

    `bins` on the CPU. The same counting as EpisodeCounter's with attribution to the failure bin, undiscounted.
    """
    motion, frame = results.plan.motion.cpu(), results.plan.frame.cpu()
    first, last = bins.bin_of(motion, frame), bins.bin_of(motion, results.last_frame)
    change = torch.zeros(bins.num_bins + 1, dtype=torch.int64)
    change.index_add_(0, first, torch.ones_like(first))
    change.index_add_(0, last + 1, -torch.ones_like(last))
    failures = torch.zeros(bins.num_bins, dtype=torch.int64)
    failures.index_add_(0, last, (~results.completed).long())
    return failures, change.cumsum(0)[:-1]
