"""Commands and readings as bytes for the shared memory: fixed layouts of float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import G1
from bm_core.state import LowCommand, RobotState
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode
from bm_sim2real.robots.unitree.low_state import LowState
from bm_sim2real.robots.unitree.remote import SIZE as REMOTE_BYTES

_NUM_JOINTS = len(G1.joint_names)
_MODES = tuple(Mode)
_STATE = np.dtype(
    [
        ("seq", "<i8"),
        ("time", "<f8"),
        ("joint_pos", "<f8", _NUM_JOINTS),
        ("joint_vel", "<f8", _NUM_JOINTS),
        ("joint_torque", "<f8", _NUM_JOINTS),
        ("quat", "<f8", 4),
        ("gyro", "<f8", 3),
        ("acc", "<f8", 3),
        ("has_base", "<i8"),
        ("base_pos", "<f8", 3),
        ("base_vel_b", "<f8", 3),
        ("base_covariance", "<f8", (6, 6)),
        ("motor_temperature", "<f4", _NUM_JOINTS),
        ("remote", "u1", REMOTE_BYTES),
    ]
)
_COMMAND = np.dtype(
    [("lease", "<u8"), ("seq", "<i8"), ("state_seq", "<i8"), ("mode", "<i8"), ("values", "<f8", (5, _NUM_JOINTS))]
)


@dataclass(frozen=True, kw_only=True)
class LeasedCommand:
    """What a client puts into the mailbox."""

    lease: int
    command: PolicyCommand


def pack_command(lease: int, command: PolicyCommand) -> bytes:
    """For 29 joints; other lengths raise ValueError here, on the client's side."""
    low = command.low
    record = np.zeros((), _COMMAND)
    record["lease"], record["seq"], record["state_seq"] = lease, low.seq, low.state_seq
    record["mode"] = _MODES.index(command.mode)
    record["values"] = low.q, low.dq, low.tau, low.kp, low.kd
    return record.tobytes()


def unpack_command(data: bytes) -> LeasedCommand | None:
    """None for bytes that are no command."""
    if len(data) != _COMMAND.itemsize:
        return None
    record = np.frombuffer(data, _COMMAND)[0]
    mode = int(record["mode"])
    if not 0 <= mode < len(_MODES):
        return None
    q, dq, tau, kp, kd = record["values"]
    low = LowCommand(seq=int(record["seq"]), state_seq=int(record["state_seq"]), q=q, dq=dq, tau=tau, kp=kp, kd=kd)
    return LeasedCommand(lease=int(record["lease"]), command=PolicyCommand(low=low, mode=_MODES[mode]))


def pack_state(
    state: RobotState, covariance: NDArray[np.float64] | None = None, low_state: LowState | None = None
) -> bytes:
    """`covariance` (6, 6) of the estimate's position and velocity, world frame, where there is an estimate.

    `low_state`: the message that the reading is from, for what RobotState does not hold.
    """
    record = np.zeros((), _STATE)
    record["seq"], record["time"] = state.seq, state.time
    record["joint_pos"], record["joint_vel"] = state.joint_pos, state.joint_vel
    record["joint_torque"] = state.joint_torque
    record["quat"], record["gyro"], record["acc"] = state.pelvis_quat_w, state.pelvis_gyro_b, state.pelvis_acc_b
    if state.pelvis_pos_w is not None and state.pelvis_lin_vel_b is not None:
        record["has_base"] = 1
        record["base_pos"], record["base_vel_b"] = state.pelvis_pos_w, state.pelvis_lin_vel_b
    if covariance is not None:
        record["base_covariance"] = covariance
    if low_state is not None:
        record["motor_temperature"] = low_state.motor_temperature
        record["remote"] = np.frombuffer(low_state.remote, np.uint8)
    return record.tobytes()


def unpack_state(data: bytes) -> RobotState:
    """The reading; the arrays are read-only views. Without base where the estimate is not healthy, or there is none."""
    record = np.frombuffer(data, _STATE)[0]
    has_base = bool(record["has_base"])
    return RobotState(
        seq=int(record["seq"]),
        time=float(record["time"]),
        joint_pos=record["joint_pos"],
        joint_vel=record["joint_vel"],
        joint_torque=record["joint_torque"],
        pelvis_quat_w=record["quat"],
        pelvis_gyro_b=record["gyro"],
        pelvis_acc_b=record["acc"],
        pelvis_pos_w=record["base_pos"] if has_base else None,
        pelvis_lin_vel_b=record["base_vel_b"] if has_base else None,
    )


def unpack_covariance(data: bytes) -> NDArray[np.float64]:
    """(6, 6) of the estimate's position (m) and velocity (m/s), world frame; zeros without an estimate."""
    return np.frombuffer(data, _STATE)[0]["base_covariance"]


def unpack_temperature(data: bytes) -> NDArray[np.float32]:
    """(29,) degC of the motors."""
    return np.frombuffer(data, _STATE)[0]["motor_temperature"]


def unpack_remote(data: bytes) -> bytes:
    """The wireless remote's 40 bytes, for read_remote."""
    return np.frombuffer(data, _STATE)[0]["remote"].tobytes()
