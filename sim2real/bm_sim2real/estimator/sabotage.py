"""Broken sensors, to see that the estimator notices: each turns a true reading into what a broken robot reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bm_core.g1 import G1
from bm_core.rotations import quat_from_euler_xyz, quat_multiply, quat_rotate_inverse
from bm_core.state import RobotState

Sabotage = Callable[[RobotState], RobotState]

_LEFT = [G1.joint_index[name] for name in G1.joint_names[:6]]
_EXCHANGED = np.r_[6:12, 0:6, 12 : len(G1.joint_names)]


def acc_frozen() -> Sabotage:
    """The accelerometer repeats its first reading."""
    first: list[RobotState] = []

    def apply(state: RobotState) -> RobotState:
        first.append(state) if not first else None
        return replace(state, pelvis_acc_b=first[0].pelvis_acc_b)

    return apply


def acc_dead() -> Sabotage:
    """The accelerometer says nothing but small noise."""
    rng = np.random.default_rng(0)
    return lambda state: replace(state, pelvis_acc_b=0.01 * rng.standard_normal(3))


def acc_biased() -> Sabotage:
    """The accelerometer is off by 3 m/s^2."""
    return lambda state: replace(state, pelvis_acc_b=state.pelvis_acc_b + (2.0, -2.0, 1.0))


def gyro_stuck() -> Sabotage:
    """The gyro says 1 rad/s about x for ever."""
    return lambda state: replace(state, pelvis_gyro_b=np.array([1.0, 0.0, 0.0]))


def imu_turned() -> Sabotage:
    """The IMU is mounted a quarter turn about the vertical."""
    return _mounted(quat_from_euler_xyz(0.0, 0.0, np.pi / 2))


def imu_rolled() -> Sabotage:
    """The accelerometer's axes are rolled by a quarter turn against the attitude's."""
    return lambda state: replace(state, pelvis_acc_b=state.pelvis_acc_b[[0, 2, 1]] * (1.0, 1.0, -1.0))


def legs_exchanged() -> Sabotage:
    """The left leg's encoders and torques are read as the right one's."""
    return lambda state: replace(
        state,
        joint_pos=state.joint_pos[_EXCHANGED],
        joint_vel=state.joint_vel[_EXCHANGED],
        joint_torque=state.joint_torque[_EXCHANGED],
    )


def leg_frozen() -> Sabotage:
    """The left leg's encoders repeat their first reading."""
    first: list[RobotState] = []

    def apply(state: RobotState) -> RobotState:
        first.append(state) if not first else None
        joint_pos, joint_vel = state.joint_pos.copy(), state.joint_vel.copy()
        joint_pos[_LEFT], joint_vel[_LEFT] = first[0].joint_pos[_LEFT], 0.0
        return replace(state, joint_pos=joint_pos, joint_vel=joint_vel)

    return apply


def not_a_number() -> Sabotage:
    """The accelerometer's z is NaN."""
    return lambda state: replace(state, pelvis_acc_b=state.pelvis_acc_b * (1.0, 1.0, np.nan))


SABOTAGES: dict[str, Callable[[], Sabotage]] = {
    "acc_frozen": acc_frozen,
    "acc_dead": acc_dead,
    "acc_biased": acc_biased,
    "gyro_stuck": gyro_stuck,
    "imu_turned": imu_turned,
    "imu_rolled": imu_rolled,
    "legs_exchanged": legs_exchanged,
    "leg_frozen": leg_frozen,
    "not_a_number": not_a_number,
}


def _mounted(turn: np.ndarray) -> Sabotage:
    def apply(state: RobotState) -> RobotState:
        return replace(
            state,
            pelvis_quat_w=np.asarray(quat_multiply(state.pelvis_quat_w, turn), dtype=np.float64),
            pelvis_gyro_b=np.asarray(quat_rotate_inverse(turn, state.pelvis_gyro_b), dtype=np.float64),
            pelvis_acc_b=np.asarray(quat_rotate_inverse(turn, state.pelvis_acc_b), dtype=np.float64),
        )

    return apply
