"""Notices an estimate that has gone wrong, from what the filter itself can see."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bm_sim2real.estimator.config import HealthConfig

Array = NDArray[np.float64]


class HealthMonitor:
    """`is_healthy` after each update; `reason` says what is, or last was, wrong."""

    def __init__(self, config: HealthConfig, dt: float) -> None:
        self._config, self._dt = config, dt
        self._gain = dt / (config.filter_s + dt)
        self.reset()

    def reset(self) -> None:
        """Healthy until shown otherwise."""
        self.reason = ""
        self.nis = 0.0
        """Normalised innovation squared per measurement, filtered."""
        self.sliding = 0.0
        """m/s, of the sole that carries most, filtered."""
        self.flight_s = 0.0
        """s since a foot stood."""
        self._frozen_s = 0.0
        self._last_acc: list[float] = []
        self._last_gyro: list[float] = []
        self._last_legs: Array | None = None
        self._leg_frozen_s = 0.0
        self._quiet_s = math.inf

    @property
    def is_healthy(self) -> bool:
        """Whether nothing has been wrong for recovery_s."""
        return self._quiet_s >= self._config.recovery_s

    def update(
        self,
        *,
        nis: float,
        sole_speed: float,
        contact: float,
        acc: list[float],
        gyro: list[float],
        leg_pos: Array,
        leg_vel: Array,
        bias: float,
        pos: Array,
        vel: Array,
        vel_var: float,
    ) -> None:
        """One tick: NIS per measurement; speed of the sole that carries most (m/s) and its contact probability;
        accelerometer (m/s^2), gyro (rad/s) and the estimated bias of the former; pelvis position and velocity in the
        world; the velocity's largest variance; joints of both legs (2, 6) rad and rad/s.
        """
        self.nis += self._gain * (nis - self.nis)
        if contact > 0.5:
            self.flight_s = 0.0
        else:
            self.flight_s += self._dt
        self.sliding += self._gain * (sole_speed * contact - self.sliding)
        is_frozen = acc == self._last_acc or gyro == self._last_gyro
        self._frozen_s = self._frozen_s + self._dt if is_frozen else 0.0
        self._last_acc, self._last_gyro = acc, gyro
        self._leg_frozen_s = self._leg_frozen_s + self._dt if self._is_leg_frozen(leg_pos, leg_vel) else 0.0
        complaint = self._complaint(bias, float(pos[2]), math.sqrt(float(vel @ vel)), vel_var)
        if complaint:
            self.complain(complaint)
        else:
            self._quiet_s += self._dt

    def _is_leg_frozen(self, leg_pos: Array, leg_vel: Array) -> bool:
        """Whether one leg's encoders repeat themselves while the other leg moves: at rest, quantised ones may."""
        if self._last_legs is None:
            self._last_legs = leg_pos
        left, right = (leg_pos == self._last_legs).all(axis=1).tolist()
        self._last_legs = leg_pos
        if left == right:
            return False
        speed = float(np.abs(leg_vel[1 if left else 0]).max())
        return speed > self._config.moving_leg

    def complain(self, reason: str) -> None:
        """Something is wrong right now."""
        self.reason, self._quiet_s = reason, 0.0

    def _complaint(self, bias: float, height: float, speed: float, vel_var: float) -> str:
        # Each test is written so that NaN fails it.
        limit = self._config
        if not (speed <= limit.max_speed and 0.0 < height <= limit.max_height):
            return f"implausible: {speed:.1f} m/s at {height:.2f} m"
        if not self.nis <= limit.nis_limit:
            return f"innovation: sensors disagree, NIS {self.nis:.1f} (limit {limit.nis_limit})"
        if not self.sliding <= limit.sliding_limit:
            return f"sliding: the foot that carries moves at {self.sliding:.2f} m/s (limit {limit.sliding_limit})"
        if not bias <= limit.bias_limit:
            return f"bias: accelerometer off by {bias:.1f} m/s^2 (limit {limit.bias_limit})"
        if self._frozen_s > limit.frozen_s:
            return f"frozen: accelerometer or gyro has said the same for {self._frozen_s:.2f} s"
        if self._leg_frozen_s > limit.frozen_s:
            return f"frozen: one leg's encoders have said the same for {self._leg_frozen_s:.2f} s while the other moves"
        if not self.flight_s <= limit.max_flight_s:
            return f"flight: no foot on the floor for {self.flight_s:.1f} s (limit {limit.max_flight_s})"
        if not vel_var <= limit.max_velocity_sigma**2:
            return f"covariance: velocity known to {math.sqrt(vel_var):.2f} m/s (limit {limit.max_velocity_sigma})"
        return ""
