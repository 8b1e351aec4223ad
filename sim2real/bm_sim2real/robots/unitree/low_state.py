"""LowState_ of unitree_hg as bytes on the wire; see low_command.py for how CDR and the C struct relate.

C struct, 2092 bytes: version[2], mode_pr, mode_machine, 2 padding, tick, imu {quaternion[4], gyroscope[3],
accelerometer[3], rpy[3] float, temperature i16, 2 padding}, 35 x {mode, 3 padding, q, dq, ddq, tau_est,
temperature[2] i16, vol, sensor[2], motorstate, reserve[4]}, wireless_remote[40], reserve[4], crc.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.state import RobotState
from bm_sim2real.robots.unitree.crc import crc32_words
from bm_sim2real.robots.unitree.low_command import CDR_LITTLE_ENDIAN, MODE_PR, NUM_JOINTS, NUM_MOTORS

Array = NDArray[np.float64]

SIZE = 2092
_HEAD = 76
"""Bytes in which wire and C struct differ."""
_STRIDE = 56
_IMU = 20
_MODE_OF_FIRST = 74
_REMOTE = _HEAD - 4 + NUM_MOTORS * _STRIDE
_CRC = SIZE - 4


@dataclass(frozen=True, kw_only=True)
class LowState:
    """One reading of the robot, only the 29 joints."""

    tick: int
    """ms on the robot's clock, 32 bit"""
    mode_pr: int
    mode_machine: int
    """Variant of the robot; every command must carry it."""
    joint_pos: Array
    """(29,) rad"""
    joint_vel: Array
    """(29,) rad/s"""
    joint_torque: Array
    """(29,) N m"""
    imu_quat: Array
    """(4,) wxyz, pelvis"""
    imu_gyro: Array
    """(3,) rad/s"""
    imu_acc: Array
    """(3,) m/s^2"""
    motor_temperature: Array
    """(29,) degC, the hotter of the two sensors"""
    motor_voltage: Array
    """(29,) V"""
    motor_error: NDArray[np.uint32]
    """(29,) bits; 0 = healthy"""
    remote: bytes
    """40 bytes of the wireless remote"""

    def robot_state(self, seq: int) -> RobotState:
        """As the runtime knows it."""
        return RobotState(
            seq=seq,
            time=1e-3 * self.tick,
            joint_pos=self.joint_pos,
            joint_vel=self.joint_vel,
            joint_torque=self.joint_torque,
            pelvis_quat_w=self.imu_quat,
            pelvis_gyro_b=self.imu_gyro,
            pelvis_acc_b=self.imu_acc,
        )


def is_intact(message: bytes) -> bool:
    """Whether these are a little-endian LowState_ with the right CRC."""
    if len(message) != SIZE or message[0] != 0 or not message[1] & 1:
        return False
    return crc32_words(_c_head(message) + message[_HEAD:_CRC]) == int.from_bytes(message[_CRC:], "little")


def read_low_state(message: bytes) -> LowState:
    """Reads a message that `is_intact` has accepted."""
    with np.errstate(invalid="ignore"):  # a signalling NaN is a reading like any other: the guard's rules answer it
        motors = np.ndarray((NUM_JOINTS, 4), "<f4", message, _HEAD, (_STRIDE, 4)).astype(np.float64)
        imu = np.frombuffer(message, "<f4", 10, _IMU).astype(np.float64)
        voltage = np.ndarray((NUM_JOINTS,), "<f4", message, _HEAD + 20, (_STRIDE,)).astype(np.float64)
    heat = np.ndarray((NUM_JOINTS, 2), "<i2", message, _HEAD + 16, (_STRIDE, 2))
    return LowState(
        tick=int.from_bytes(message[16:20], "little"),
        mode_pr=message[12],
        mode_machine=message[13],
        joint_pos=motors[:, 0].copy(),
        joint_vel=motors[:, 1].copy(),
        joint_torque=motors[:, 3].copy(),
        imu_quat=imu[:4],
        imu_gyro=imu[4:7],
        imu_acc=imu[7:10],
        motor_temperature=heat.max(axis=1).astype(np.float64),
        motor_voltage=voltage,
        motor_error=np.ndarray((NUM_JOINTS,), "<u4", message, _HEAD + 32, (_STRIDE,)).copy(),
        remote=message[_REMOTE : _REMOTE + 40],
    )


def pack_low_state(state: LowState) -> bytes:
    """The serialised message with its CRC, as a robot sends it."""
    message = bytearray(SIZE)
    message[:4] = CDR_LITTLE_ENDIAN
    message[12:14] = bytes((MODE_PR, state.mode_machine))
    message[16:20] = (state.tick & 0xFFFFFFFF).to_bytes(4, "little")
    rpy = (0.0, 0.0, 0.0)
    struct.pack_into("<13fh", message, _IMU, *state.imu_quat, *state.imu_gyro, *state.imu_acc, *rpy, 40)
    message[_MODE_OF_FIRST] = 1
    np.ndarray((NUM_JOINTS - 1,), "u1", message, _HEAD + _STRIDE - 4, (_STRIDE,))[:] = 1
    motors = np.ndarray((NUM_JOINTS, 4), "<f4", message, _HEAD, (_STRIDE, 4))
    motors[:, 0], motors[:, 1], motors[:, 3] = state.joint_pos, state.joint_vel, state.joint_torque
    np.ndarray((NUM_JOINTS, 2), "<i2", message, _HEAD + 16, (_STRIDE, 2))[:] = state.motor_temperature[:, None]
    np.ndarray((NUM_JOINTS,), "<f4", message, _HEAD + 20, (_STRIDE,))[:] = state.motor_voltage
    np.ndarray((NUM_JOINTS,), "<u4", message, _HEAD + 32, (_STRIDE,))[:] = state.motor_error
    message[_REMOTE : _REMOTE + 40] = state.remote
    seal_low_state(message)
    return bytes(message)


def seal_low_state(message: bytearray) -> None:
    """Puts the checksum of what the message says now."""
    crc = crc32_words(_c_head(message) + message[_HEAD:_CRC])
    message[_CRC:] = crc.to_bytes(4, "little")


def _c_head(message: bytes | bytearray) -> bytes:
    """The first 76 bytes of the C struct: as on the wire, with padding before the first motor."""
    return bytes(message[4:_MODE_OF_FIRST]) + struct.pack("<xxBxxx", message[_MODE_OF_FIRST])
