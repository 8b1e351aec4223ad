"""What crosses between robot, policy and guard. Plain values in canonical joint order; float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class RobotState:
    """One reading of the robot's sensors, plus an estimate of the base where there is one."""

    seq: int
    """Counts readings; a repeated number is an old reading."""
    time: float
    """s on the robot's clock (simulated time in simulation)."""
    joint_pos: Array
    """(29,) rad"""
    joint_vel: Array
    """(29,) rad/s"""
    joint_torque: Array
    """(29,) N m, estimated by the motors"""
    pelvis_quat_w: Array
    """(4,) wxyz, from the pelvis IMU"""
    pelvis_gyro_b: Array
    """(3,) rad/s, pelvis frame"""
    pelvis_acc_b: Array
    """(3,) m/s^2, pelvis frame, gravity included (at rest +9.81 along z)"""
    pelvis_pos_w: Array | None = None
    """(3,) m, link origin; None where nothing estimates it"""
    pelvis_lin_vel_b: Array | None = None
    """(3,) m/s of the link origin, pelvis frame; None where nothing estimates it"""


@dataclass(frozen=True, kw_only=True)
class LowCommand:
    """One command to the motors: torque = tau + kp (q - joint_pos) + kd (dq - joint_vel)."""

    seq: int
    """Counts commands; a repeated number is an old command."""
    state_seq: int
    """The reading that this command answers."""
    q: Array
    """(29,) rad"""
    dq: Array
    """(29,) rad/s"""
    tau: Array
    """(29,) N m"""
    kp: Array
    """(29,) N m/rad"""
    kd: Array
    """(29,) N m s/rad"""
