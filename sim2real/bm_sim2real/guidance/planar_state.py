"""The robot on the map: what goal sources and tasks look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.guidance.arrays import turned
from bm_core.rotations import quat_rotate, yaw_from_quat
from bm_core.state import RobotState

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class PlanarState:
    """Pelvis at one instant, seen from above."""

    time: float
    """s"""
    pos_xy: Array
    """(2,) m, world"""
    yaw: float
    """rad, world"""
    velocity: Array
    """(3,) forward and left m/s in the robot's yaw frame, yaw rate rad/s"""

    @property
    def speed(self) -> float:
        """m/s over ground."""
        return float(np.hypot(self.velocity[0], self.velocity[1]))


def planar_state(time: float, pos_w: Array, quat_w: Array, lin_vel_w: Array, ang_vel_w: Array) -> PlanarState:
    """From a pelvis pose (3,), (4,) wxyz and its velocities (3,), world frame."""
    yaw = float(yaw_from_quat(quat_w))
    planar = turned(np.asarray(lin_vel_w)[:2], np.cos(yaw), -np.sin(yaw))
    return PlanarState(
        time=time, pos_xy=np.array(pos_w[:2], dtype=np.float64), yaw=yaw, velocity=np.append(planar, ang_vel_w[2])
    )


def planar_reading(state: RobotState) -> PlanarState | None:
    """From a reading with an estimate of the base; None while there is none."""
    if state.pelvis_pos_w is None or state.pelvis_lin_vel_b is None:
        return None
    quat = state.pelvis_quat_w
    lin_vel_w, ang_vel_w = quat_rotate(quat, state.pelvis_lin_vel_b), quat_rotate(quat, state.pelvis_gyro_b)
    return planar_state(state.time, state.pelvis_pos_w, quat, lin_vel_w, ang_vel_w)
