"""A rigid motion in the plane per robot that moves its reference to where the robot is."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bm_training.rotations import quat_conjugate, quat_multiply, quat_rotate, yaw_quat
from bm_training.tracking.motion_library import MotionFrames, MotionWindow


class ReferenceTransform:
    """x -> turn (x) + shift, about z and in the plane; the identity at first."""

    def __init__(self, robots: int, device: str | torch.device) -> None:
        self._turn = torch.zeros(robots, 4, device=device)
        self._shift = torch.zeros(robots, 3, device=device)
        self.reset(torch.arange(robots, device=device))

    def reset(self, ids: Tensor) -> None:
        """The robots `ids` follow the reference where it lies."""
        self._turn[ids] = self._turn.new_tensor([1.0, 0.0, 0.0, 0.0])
        self._shift[ids] = 0.0

    def reanchor(self, ids: Tensor, robot: tuple[Tensor, Tensor], reference: tuple[Tensor, Tensor]) -> None:
        """Put the reference's anchor onto the robot's, in xy and yaw.

        Poses (n, 3) m and (n, 4) of the robots `ids`; `reference` as it is now, already transformed.
        """
        turn = yaw_quat(quat_multiply(robot[1], quat_conjugate(reference[1])))
        pivot = torch.cat([robot[0][:, :2], reference[0][:, 2:]], dim=-1)
        self._shift[ids] = quat_rotate(turn, self._shift[ids] - reference[0]) + pivot
        self._turn[ids] = quat_multiply(turn, self._turn[ids])

    def frames(self, frames: MotionFrames) -> MotionFrames:
        """The reference frame of every robot, moved."""
        turn, shift = self._turn[:, None], self._shift[:, None]
        return replace(
            frames,
            body_pos_w=quat_rotate(turn, frames.body_pos_w) + shift,
            body_quat_w=quat_multiply(turn, frames.body_quat_w),
            body_lin_vel_w=quat_rotate(turn, frames.body_lin_vel_w),
            body_ang_vel_w=quat_rotate(turn, frames.body_ang_vel_w),
        )

    def window(self, window: MotionWindow) -> MotionWindow:
        """The frames ahead, moved alike."""
        turn, shift = self._turn[:, None], self._shift[:, None]
        return replace(
            window,
            anchor_pos_w=quat_rotate(turn, window.anchor_pos_w) + shift,
            anchor_quat_w=quat_multiply(turn, window.anchor_quat_w),
            anchor_lin_vel_w=quat_rotate(turn, window.anchor_lin_vel_w),
        )
