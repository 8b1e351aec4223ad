"""Commands and readings as bytes for the shared memory: fixed layouts of float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bm_core.g1 import G1
from bm_core.state import LowCommand, RobotState
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode

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


def pack_state(state: RobotState) -> bytes:
    """Without an estimate of the base, which the link does not have."""
    record = np.zeros((), _STATE)
    record["seq"], record["time"] = state.seq, state.time
    record["joint_pos"], record["joint_vel"], record["joint_torque"] = (
        state.joint_pos,
        state.joint_vel,
        state.joint_torque,
    )
    record["quat"], record["gyro"], record["acc"] = state.pelvis_quat_w, state.pelvis_gyro_b, state.pelvis_acc_b
    return record.tobytes()


def unpack_state(data: bytes) -> RobotState:
    """The reading; the arrays are read-only views."""
    record = np.frombuffer(data, _STATE)[0]
    return RobotState(
        seq=int(record["seq"]),
        time=float(record["time"]),
        joint_pos=record["joint_pos"],
        joint_vel=record["joint_vel"],
        joint_torque=record["joint_torque"],
        pelvis_quat_w=record["quat"],
        pelvis_gyro_b=record["gyro"],
        pelvis_acc_b=record["acc"],
    )
