"""What a real pelvis IMU adds to the truth: noise, bias, a mounting tilt, a heading that drifts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.rotations import quat_from_euler_xyz, quat_multiply

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ImuErrors:
    """Errors of the simulated IMU; the default has none."""

    acc_noise: float = 0.0
    """m/s^2, standard deviation of each reading and axis."""
    gyro_noise: float = 0.0
    """rad/s, standard deviation of each reading and axis."""
    acc_bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """m/s^2, IMU frame."""
    gyro_bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """rad/s, IMU frame."""
    tilt: tuple[float, float] = (0.0, 0.0)
    """rad, error of the attitude in roll and pitch."""
    yaw_drift: float = 0.0
    """rad/s, of the heading."""
    seed: int = 0
    """Of the noise."""

    @property
    def is_none(self) -> bool:
        """Whether readings are the truth."""
        return self == ImuErrors(seed=self.seed)


TYPICAL = ImuErrors(
    acc_noise=0.1,
    gyro_noise=0.01,
    acc_bias=(0.1, -0.1, 0.05),
    gyro_bias=(0.003, -0.003, 0.003),
    tilt=(0.005, -0.005),
    yaw_drift=0.001,
)
"""Somewhat worse than data sheets of MEMS units say; the G1's own has no published figures."""


class ImuModel:
    """Turns true readings into those of an imperfect IMU. Equal seeds give equal readings."""

    def __init__(self, errors: ImuErrors) -> None:
        self._errors = errors
        self._acc_bias, self._gyro_bias = np.array(errors.acc_bias), np.array(errors.gyro_bias)
        self.reset()

    def reset(self) -> None:
        """Back to the first random number."""
        self._rng = np.random.default_rng(self._errors.seed)

    def read(self, time: float, quat: Array, gyro: Array, acc: Array) -> tuple[Array, Array, Array]:
        """(4,) wxyz, (3,) rad/s, (3,) m/s^2 as measured `time` s after the start."""
        errors = self._errors
        noise = self._rng.standard_normal(6)
        tilt = quat_from_euler_xyz(*errors.tilt, 0.0)
        drift = quat_from_euler_xyz(0.0, 0.0, errors.yaw_drift * time)
        return (
            np.asarray(quat_multiply(quat_multiply(drift, quat), tilt), dtype=np.float64),
            gyro + self._gyro_bias + errors.gyro_noise * noise[:3],
            acc + self._acc_bias + errors.acc_noise * noise[3:],
        )
