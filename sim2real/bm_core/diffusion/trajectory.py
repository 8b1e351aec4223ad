"""A robot's trajectory in the world, as the states of the diffusion model are made from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import TARGET_BODY_INDICES
from bm_core.kinematics import g1_kinematics
from bm_core.motion import MotionClip
from bm_core.rotations import yaw_from_quat

Array = NDArray[np.floating]

_TARGETS = list(TARGET_BODY_INDICES)


@dataclass(frozen=True, kw_only=True)
class PresentFrame:
    """The frame that root quantities of a window refer to: the pelvis at the present, on the floor, yaw only."""

    pos_xy: Array
    """(..., 2) m, world."""
    yaw: Array
    """(...) rad, world."""

    @classmethod
    def of(cls, root_pos_w: Array, root_quat_w: Array) -> PresentFrame:
        """From the pelvis pose at the present, (..., 3) m and (..., 4)."""
        return cls(pos_xy=np.asarray(root_pos_w)[..., :2], yaw=yaw_from_quat(root_quat_w))


@dataclass(frozen=True, kw_only=True)
class RobotTrajectory:
    """N instants of a robot, any batch shape in front. World frame, link origins, wxyz; bodies = TARGET_BODIES."""

    root_pos_w: Array
    """(..., N, 3) m"""
    root_quat_w: Array
    """(..., N, 4)"""
    root_lin_vel_w: Array
    """(..., N, 3) m/s"""
    root_ang_vel_w: Array
    """(..., N, 3) rad/s"""
    body_pos_w: Array
    """(..., N, 14, 3) m"""
    body_lin_vel_w: Array
    """(..., N, 14, 3) m/s"""
    joint_pos: Array | None = None
    """(..., N, 29) rad; None where only the bodies are known (decoded Body-Pos states)."""
    joint_vel: Array | None = None
    """(..., N, 29) rad/s"""

    @classmethod
    def from_joints(
        cls,
        root_pos_w: Array,
        root_quat_w: Array,
        root_lin_vel_w: Array,
        root_ang_vel_w: Array,
        joint_pos: Array,
        joint_vel: Array,
    ) -> RobotTrajectory:
        """Bodies by forward kinematics; shapes, units and frames as the fields."""
        tree = g1_kinematics()
        as_float64 = partial(np.asarray, dtype=np.float64)
        pos, quat = tree.forward(as_float64(root_pos_w), as_float64(root_quat_w), as_float64(joint_pos))
        lin, _ = tree.velocities(
            as_float64(root_lin_vel_w), as_float64(root_ang_vel_w), as_float64(joint_vel), pos, quat
        )
        return cls(
            root_pos_w=root_pos_w,
            root_quat_w=root_quat_w,
            root_lin_vel_w=root_lin_vel_w,
            root_ang_vel_w=root_ang_vel_w,
            body_pos_w=pos[..., _TARGETS, :],
            body_lin_vel_w=lin[..., _TARGETS, :],
            joint_pos=joint_pos,
            joint_vel=joint_vel,
        )

    @classmethod
    def from_clip(cls, clip: MotionClip) -> RobotTrajectory:
        """All frames of a motion clip."""
        return cls(
            root_pos_w=clip.root_pos,
            root_quat_w=clip.root_quat,
            root_lin_vel_w=clip.body_lin_vel_w[:, 0],
            root_ang_vel_w=clip.body_ang_vel_w[:, 0],
            body_pos_w=clip.body_pos_w[:, _TARGETS],
            body_lin_vel_w=clip.body_lin_vel_w[:, _TARGETS],
            joint_pos=clip.joint_pos,
            joint_vel=clip.joint_vel,
        )

    def take(self, instants: NDArray[np.integer]) -> RobotTrajectory:
        """The instants with these indices, (M,), of a trajectory without batch shape; (W, M) makes W windows."""
        chosen: dict[str, Any] = {
            name: value if value is None else value[instants] for name, value in vars(self).items()
        }
        return RobotTrajectory(**chosen)

    def present(self, index: int) -> PresentFrame:
        """The frame of instant `index`."""
        return PresentFrame.of(self.root_pos_w[..., index, :], self.root_quat_w[..., index, :])
