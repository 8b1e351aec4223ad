"""Linear Kalman filter of pelvis IMU and feet: predicts with the accelerometer, corrects with leg kinematics and floor.

State (15): IMU position and velocity (world), accelerometer bias (IMU frame), left and right ankle (world). With the
attitude given by the IMU everything is linear. The IMU's own site is filtered, not the pelvis origin: so no angular
acceleration is needed; the caller moves the result to the origin. A standing foot may roll: its ankle then turns about
the point on the floor, which is known from gyro and encoders; it wanders by foot_slip, a swinging one by far more.
Source: BeyondMimic section on state estimation (reference 4.5); the rolling foot and the bias are ours.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bm_sim2real.estimator.config import EstimatorConfig

Array = NDArray[np.float64]

POS, VEL, BIAS, FEET = slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 15)
_HEIGHTS = slice(11, 15, 3)
_SIZE = 15
_GRAVITY_W = np.array([0.0, 0.0, -9.81])


class ContactKalman:
    """State `x` (15,), covariance `P` (15, 15); one `predict` and one `correct` per tick of `dt` s."""

    def __init__(self, config: EstimatorConfig, dt: float) -> None:
        self._config, self._dt = config, dt
        self._transition = np.eye(_SIZE)
        self._transition[POS, VEL] = dt * np.eye(3)
        self._noise = np.zeros(_SIZE)
        self._noise[VEL] = config.accelerometer**2 * dt
        self._noise[BIAS] = config.accelerometer_bias**2 * dt
        # Rows: ankle - IMU, left and right (6); ankle height (2).
        self._measured = np.zeros((8, _SIZE))
        self._measured[:6, FEET] = np.eye(6)
        self._measured[:3, POS] = self._measured[3:6, POS] = -np.eye(3)
        self._measured[6, 11] = self._measured[7, 14] = 1.0
        self._spread = np.full(8, config.kinematics**2)
        self.x = np.zeros(_SIZE)
        self.P = np.eye(_SIZE)

    def reset(self, imu_pos: Array, imu_vel: Array, ankles_w: Array, pos_sigma: float, vel_sigma: float) -> None:
        """Start at a pose; ankles_w (2, 3) m; sigmas in m and m/s. The bias starts at zero."""
        self.x[POS], self.x[VEL], self.x[BIAS], self.x[FEET] = imu_pos, imu_vel, 0.0, ankles_w.ravel()
        kinematics = self._config.kinematics
        self.P = np.zeros((_SIZE, _SIZE))
        # Ankles are where kinematics puts them: they share the IMU's error.
        for rows in (POS, slice(9, 12), slice(12, 15)):
            for columns in (POS, slice(9, 12), slice(12, 15)):
                self.P[rows, columns] = pos_sigma**2 * np.eye(3)
        self.P[VEL, VEL] = vel_sigma**2 * np.eye(3)
        self.P[BIAS, BIAS] = self._config.initial_bias**2 * np.eye(3)
        self.P[FEET, FEET] += kinematics**2 * np.eye(6)

    def predict(self, rot: Array, acc_b: Array, ankle_vel_w: Array, trust: Array) -> None:
        """rot (3, 3) IMU to world, acc_b (3,) m/s^2; of each foot if it stands: velocity (2, 3) m/s with which its
        ankle turns about the contact point, and how far that is believed (2,) in [0, 1]."""
        dt, x = self._dt, self.x
        acc_w = rot @ (acc_b - x[BIAS]) + _GRAVITY_W
        x[POS] += dt * x[VEL] + 0.5 * dt * dt * acc_w
        x[VEL] += dt * acc_w
        x[FEET] += dt * ankle_vel_w.ravel()
        self._transition[VEL, BIAS] = -dt * rot
        config = self._config
        wander = config.foot_slip**2 * dt / np.maximum(trust, config.swing_trust) ** 2
        self._noise[FEET] = wander.repeat(3)
        self.P = self._transition @ self.P @ self._transition.T
        self.P.ravel()[:: _SIZE + 1] += self._noise

    def correct(self, ankle_from_imu: Array, ankle_height: Array, contact: Array) -> float:
        """ankle_from_imu (2, 3) m, world orientation; ankle_height (2,) m if the sole stands. Returns the normalised
        innovation squared per measurement."""
        x, measured, P = self.x, self._measured, self.P
        residual = np.empty(8)
        residual[:6] = ankle_from_imu.ravel() - x[FEET]
        residual[:3] += x[POS]
        residual[3:6] += x[POS]
        residual[6:] = ankle_height - x[_HEIGHTS]
        floor = self._config.floor_height
        # Sharply: 500 readings a second of "2 % standing" would soon pull a carried robot down to the floor.
        self._spread[6:] = floor**2 / np.maximum(contact, 1e-3) ** 4
        cross_cov = P @ measured.T
        innovation_cov = measured @ cross_cov
        innovation_cov.ravel()[::9] += self._spread
        weighted = np.linalg.solve(innovation_cov, np.column_stack([residual, cross_cov.T]))
        x += cross_cov @ weighted[:, 0]
        P = P - cross_cov @ weighted[:, 1:]
        self.P = 0.5 * (P + P.T)
        return float(residual @ weighted[:, 0]) / 8.0

    def rest(self, sigma: float) -> None:
        """Take the IMU to be at rest, up to `sigma` m/s, whatever was believed before."""
        self.x[VEL] = 0.0
        P = self.P.copy()
        P[VEL], P[:, VEL] = 0.0, 0.0
        P[VEL, VEL] = sigma**2 * np.eye(3)
        self.P = P

    def restore(self, x: Array, P: Array) -> None:
        """Back to an earlier state."""
        self.x, self.P = x, P

    @property
    def is_finite(self) -> bool:
        """False once a reading that is not a number has got in."""
        return math.isfinite(float(self.x.sum()))
