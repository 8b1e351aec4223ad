"""IMUState_ of unitree_hg, as the torso's IMU sends it on rt/secondary_imu. It has no checksum.

On the wire (CDR, little endian, 4 bytes of header): quaternion f32[4] (wxyz), gyroscope f32[3], accelerometer f32[3],
rpy f32[3], temperature i16.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bm_sim2real.robots.unitree.low_command import CDR_LITTLE_ENDIAN

TORSO_IMU_TOPIC = "rt/secondary_imu"
SIZE = 4 + 54
_FORMAT = "<10f"


class TorsoImu(NamedTuple):
    """One reading of the IMU in the torso."""

    quat: NDArray[np.float64]
    """(4,) wxyz"""
    gyro: NDArray[np.float64]
    """(3,) rad/s"""
    acc: NDArray[np.float64]
    """(3,) m/s^2"""


def read_torso_imu(message: bytes) -> TorsoImu | None:
    """None for bytes that are no little-endian IMUState_."""
    if len(message) < SIZE or message[0] != 0 or not message[1] & 1:
        return None
    with np.errstate(invalid="ignore"):  # as in low_state.py
        values = np.frombuffer(message, "<f4", 10, 4).astype(np.float64)
    return TorsoImu(values[:4], values[4:7], values[7:])


def pack_torso_imu(imu: TorsoImu) -> bytes:
    """As a robot sends it."""
    body = struct.pack("<13fh", *imu.quat, *imu.gyro, *imu.acc, 0.0, 0.0, 0.0, 40)
    return CDR_LITTLE_ENDIAN + body
