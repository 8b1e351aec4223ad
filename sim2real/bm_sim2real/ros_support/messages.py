"""Our values into message fields and back, for messages of bm_msgs, sensor_msgs and geometry_msgs by their field names.

The messages come from outside, so that nothing here imports ROS. This is the one place where wxyz becomes xyzw, and
where a foreign joint order meets ours, by name.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from bm_core.errors import RobotError
from bm_core.g1 import G1
from bm_core.rotations import matrix_from_quat, quat_wxyz_from_xyzw, quat_xyzw_from_wxyz
from bm_core.state import LowCommand, RobotState
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode

_NAMES = list(G1.joint_names)
_ROTATION_VARIANCE = 0.02**2
_COMMAND_FIELDS = ("q", "dq", "tau", "kp", "kd")


def set_vector(message: Any, values: Any) -> None:
    """x, y, z of a Vector3 or Point from three numbers."""
    message.x, message.y, message.z = (float(value) for value in values)


def set_quaternion(message: Any, quat_wxyz: Any) -> None:
    """x, y, z, w of a Quaternion from (4,) wxyz."""
    message.x, message.y, message.z, message.w = quat_xyzw_from_wxyz(np.asarray(quat_wxyz)).tolist()


def vector_of(message: Any) -> np.ndarray:
    """(3,) of a Vector3 or Point."""
    return np.array([message.x, message.y, message.z])


def quaternion_of(message: Any) -> np.ndarray:
    """(4,) wxyz of a Quaternion."""
    return quat_wxyz_from_xyzw(np.array([message.x, message.y, message.z, message.w]))


def doubles(values: Any) -> array:
    """For a float64[] field: the one type that rclpy takes over without looking at every number."""
    return array("d", np.asarray(values, dtype=np.float64).tobytes())


def floats(values: Any) -> array:
    """For a float32[] field."""
    return array("f", np.asarray(values, dtype=np.float32).tobytes())


def fill_robot_state(message: Any, state: RobotState) -> None:
    """bm_msgs/RobotState, all that the reading knows."""
    message.seq, message.robot_time = state.seq, state.time
    message.names = _NAMES
    message.position, message.velocity = doubles(state.joint_pos), doubles(state.joint_vel)
    message.effort = doubles(state.joint_torque)
    set_quaternion(message.orientation, state.pelvis_quat_w)
    set_vector(message.angular_velocity, state.pelvis_gyro_b)
    set_vector(message.linear_acceleration, state.pelvis_acc_b)
    message.has_base = state.pelvis_pos_w is not None and state.pelvis_lin_vel_b is not None
    if message.has_base:
        set_vector(message.base_position, state.pelvis_pos_w)
        set_vector(message.base_linear_velocity, state.pelvis_lin_vel_b)


def read_robot_state(message: Any) -> RobotState:
    """The other way. RobotError if a joint is missing, twice there, or unknown."""
    order = _order(message.names, "robot_state")
    values = {}
    for name in ("position", "velocity", "effort"):
        values[name] = _ordered(getattr(message, name), order, f"robot_state.{name}")
    return RobotState(
        seq=message.seq,
        time=message.robot_time,
        joint_pos=values["position"],
        joint_vel=values["velocity"],
        joint_torque=values["effort"],
        pelvis_quat_w=quaternion_of(message.orientation),
        pelvis_gyro_b=vector_of(message.angular_velocity),
        pelvis_acc_b=vector_of(message.linear_acceleration),
        pelvis_pos_w=vector_of(message.base_position) if message.has_base else None,
        pelvis_lin_vel_b=vector_of(message.base_linear_velocity) if message.has_base else None,
    )


def fill_joint_command(message: Any, command: LowCommand, mode: Mode, lease: int) -> None:
    """bm_msgs/JointCommand."""
    message.seq, message.state_seq, message.lease, message.mode = command.seq, command.state_seq, lease, mode.value
    message.names = _NAMES
    for name in _COMMAND_FIELDS:
        setattr(message, name, doubles(getattr(command, name)))


def read_joint_command(message: Any) -> PolicyCommand:
    """The other way. RobotError for a wrong length, an unknown mode, or joints that are not the robot's 29."""
    order = _order(message.names, "joint_command")
    try:
        mode = Mode(message.mode)
    except ValueError:
        known = ", ".join(mode.value for mode in Mode)
        raise RobotError(f"joint_command.mode = '{message.mode}': must be one of {known}") from None
    arrays = {name: _ordered(getattr(message, name), order, f"joint_command.{name}") for name in _COMMAND_FIELDS}
    return PolicyCommand(low=LowCommand(seq=message.seq, state_seq=message.state_seq, **arrays), mode=mode)


def odometry_covariances(quat_wxyz: Any, covariance: Any) -> tuple[list[float], list[float]]:
    """36 numbers of pose and twist of nav_msgs/Odometry, rows x, y, z, then rotations.

    `covariance` (6, 6) of position and velocity in the world; the twist's is turned into the pelvis frame. Rotations
    are the IMU's, of whose errors the estimator knows nothing: a nominal 0.02 rad and 0.02 rad/s.
    """
    turn = matrix_from_quat(np.asarray(quat_wxyz))
    pose, twist = np.diag([0.0] * 3 + [_ROTATION_VARIANCE] * 3), np.diag([0.0] * 3 + [_ROTATION_VARIANCE] * 3)
    pose[:3, :3] = covariance[:3, :3]
    twist[:3, :3] = turn.T @ covariance[3:, 3:] @ turn
    return pose.ravel().tolist(), twist.ravel().tolist()


def _order(names: Sequence[str], where: str) -> np.ndarray | None:
    """Index of each of our joints among `names`; None if they are ours already."""
    names = list(names)
    if names == _NAMES:
        return None
    if sorted(names) != sorted(_NAMES):
        missing = sorted(set(_NAMES) - set(names))
        unknown = sorted(set(names) - set(_NAMES))
        raise RobotError(
            f"{where}.names: {len(names)} joints; missing {', '.join(missing[:3]) or 'none'}, "
            f"unknown {', '.join(unknown[:3]) or 'none'}; each of the {len(_NAMES)} joints once"
        )
    return np.array([names.index(name) for name in _NAMES])


def _ordered(values: Any, order: np.ndarray | None, where: str) -> np.ndarray:
    taken = np.array(values, dtype=np.float64)
    if taken.shape != (len(_NAMES),):
        raise RobotError(f"{where}: {taken.size} numbers; one for each of the {len(_NAMES)} joints")
    return taken if order is None else taken[order]
