"""What a planner knows of the robot: the last control steps, as tokens relative to the present."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.state import StateRepresentation, encode_states
from bm_core.diffusion.trajectory import PresentFrame, RobotTrajectory

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class History:
    """The states of the history tokens and the present (H = layout.present + 1), and the actions between them."""

    root_pos_w: Array
    """(H, 3) m, pelvis origin"""
    root_quat_w: Array
    """(H, 4) wxyz"""
    root_lin_vel_w: Array
    """(H, 3) m/s"""
    root_ang_vel_w: Array
    """(H, 3) rad/s"""
    joint_pos: Array
    """(H, 29) rad"""
    joint_vel: Array
    """(H, 29) rad/s"""
    actions: Array
    """(layout.present * steps_per_token, step_width) applied actions of every control step up to the present; NaN where
    nobody knows: latents of a time in which another policy acted."""

    @property
    def present(self) -> PresentFrame:
        """The frame that a plan from here is relative to."""
        return PresentFrame.of(self.root_pos_w[-1], self.root_quat_w[-1])

    def trajectory(self) -> RobotTrajectory:
        """With bodies, by forward kinematics."""
        return RobotTrajectory.from_joints(
            self.root_pos_w,
            self.root_quat_w,
            self.root_lin_vel_w,
            self.root_ang_vel_w,
            self.joint_pos,
            self.joint_vel,
        )

    def states(self, representation: StateRepresentation) -> Array:
        """State tokens (H, D), SI units."""
        return encode_states(self.trajectory(), self.present, representation)

    def action_tokens(self, layout: TokenLayout) -> Array:
        """(layout.present, A), SI units."""
        return layout.pack(self.actions)
