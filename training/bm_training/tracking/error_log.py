"""Tracking errors since the last look, over everything and motion by motion; one device synchronisation a look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bm_training.tracking.errors import TrackingErrors

if TYPE_CHECKING:
    from bm_training.tracking.command import MotionCommand

NAMES: tuple[str, ...] = (
    "anchor_pos_m",
    "anchor_ori_rad",
    "body_pos_m",
    "body_ori_rad",
    "body_lin_vel_m_s",
    "body_ang_vel_rad_s",
    "joint_pos_rad",
)


class ErrorLog:
    """Sums of NAMES by motion."""

    def __init__(self, motion_names: Sequence[str], device: torch.device | str) -> None:
        self._names = list(motion_names)
        # Last column: steps.
        self._sums = torch.zeros(len(self._names), len(NAMES) + 1, device=device)

    def add(self, motion: MotionCommand, errors: TrackingErrors) -> None:
        """Errors of one control step."""
        values = (
            errors.anchor_pos_sq.sqrt(),
            errors.anchor_ori,
            errors.body_pos_sq.sqrt().mean(-1),
            errors.body_ori.mean(-1),
            errors.body_lin_vel_sq.sqrt().mean(-1),
            errors.body_ang_vel_sq.sqrt().mean(-1),
            (motion.reference.joint_pos - motion.robot.joint_pos).abs().mean(-1),
        )
        rows = torch.stack((*values, torch.ones_like(values[0])), dim=-1)
        # One diverged robot must not turn its motion's mean into NaN.
        self._sums.index_add_(0, motion.motion_id, rows.nan_to_num(0.0, 0.0, 0.0))

    def pop(self) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        """Means over everything, and by motion those of motions that were played; starts anew."""
        sums: Tensor = self._sums.double().cpu()
        self._sums.zero_()
        total = sums.sum(0)
        overall = dict(zip(NAMES, (total[:-1] / total[-1].clamp(min=1.0)).tolist(), strict=True))
        played = {
            name: dict(zip(NAMES, (row[:-1] / row[-1]).tolist(), strict=True))
            for name, row in zip(self._names, sums, strict=True)
            if row[-1] > 0.0
        }
        return overall, played
