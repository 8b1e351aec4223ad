"""The base estimator: readings in, pelvis position and velocity out, with covariance, contacts and health.

Sees what the robot has: joint positions, speeds and torques, the pelvis IMU. Floor: the plane z = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import RobotError
from bm_core.state import RobotState
from bm_sim2real.estimator.config import EstimatorConfig
from bm_sim2real.estimator.contact import ContactModel, GroundForce
from bm_sim2real.estimator.health import HealthMonitor
from bm_sim2real.estimator.kalman import BIAS, POS, VEL, ContactKalman
from bm_sim2real.estimator.legs import LegMotion, Legs, cross, imu_offset

Array = NDArray[np.float64]

_MOST_MISSED = 25
"""Lost readings (50 ms at 500 Hz) that are bridged with the newest; the guard damps at such a gap."""
_MOST_ANGLE, _MOST_SPEED, _MOST_TORQUE, _MOST_ACCELERATION = 50.0, 500.0, 5000.0, 2000.0
"""Lengths over all joints or axes: rad, rad/s, N m, m/s^2; several times what the G1's ranges and motors allow."""


@dataclass(frozen=True, kw_only=True)
class BaseEstimate:
    """The pelvis at one reading. Position and velocity are of the link origin, not of the IMU."""

    time: float
    """s, of the reading"""
    pelvis_pos_w: Array
    """(3,) m"""
    pelvis_lin_vel_w: Array
    """(3,) m/s"""
    pelvis_lin_vel_b: Array
    """(3,) m/s, pelvis frame"""
    covariance: Array
    """(6, 6) of IMU position and velocity, world frame"""
    accelerometer_bias: Array
    """(3,) m/s^2"""
    contact: Array
    """(2,) probability that the left, the right foot stands"""
    ground_force: Array
    """(2,) N, vertical"""
    healthy: bool
    """False from the first sign of a diverging estimate until recovery_s without any."""
    reason: str
    """What is, or last was, wrong."""


class BaseEstimator:
    """One robot's estimator: `reset` at a pose, then `update` once per reading, every `dt` s."""

    def __init__(self, config: EstimatorConfig | None = None, *, dt: float = 0.002) -> None:
        self.config = config or EstimatorConfig()
        self._legs = Legs()
        self._ground = GroundForce(self._legs, self.config.contact, dt)
        self._contacts = ContactModel(self._legs, self.config.contact)
        self._filter = ContactKalman(self.config, dt)
        self.health = HealthMonitor(self.config.health, dt)
        self._imu_b = np.array(imu_offset())
        self._dt = dt
        self._estimate: BaseEstimate | None = None

    @property
    def estimate(self) -> BaseEstimate:
        """The newest. RobotError before the first reset."""
        if self._estimate is None:
            raise RobotError("estimator: no estimate yet; call reset first")
        return self._estimate

    def reset(
        self,
        state: RobotState,
        pelvis_pos_w: Array | None = None,
        pelvis_lin_vel_w: Array | None = None,
        *,
        pos_sigma: float = 0.005,
        vel_sigma: float = 0.1,
    ) -> BaseEstimate:
        """Begin at this reading with the pelvis at `pelvis_pos_w` (3,) m and that velocity (3,) m/s, default at rest.

        Without a position the robot stands: x = y = 0, the lowest sole on the floor. Sigmas in m and m/s.
        """
        rot = _matrix(state.pelvis_quat_w)
        motion = self._legs.motion(rot, state.joint_pos, state.joint_vel)
        if pelvis_pos_w is None:
            pelvis_pos_w = np.array([0.0, 0.0, -self._contacts.points(motion.sole_points)[:, 2].min()])
        vel = np.zeros(3) if pelvis_lin_vel_w is None else np.array(pelvis_lin_vel_w, dtype=np.float64)
        lever = rot @ self._imu_b
        spin = _skew(rot @ state.pelvis_gyro_b)
        ankles = pelvis_pos_w + motion.ankle_pos
        self._filter.reset(pelvis_pos_w + lever, vel + spin @ lever, ankles, pos_sigma, vel_sigma)
        self._ground.reset()
        self.health.reset()
        none = np.zeros(2)
        self._estimate = self._result(state, rot, np.array(pelvis_pos_w, dtype=np.float64), vel, none, none)
        return self._estimate

    def update(self, state: RobotState) -> BaseEstimate:
        """The estimate for the next reading. Never raises for what sensors say: a bad reading ends in `healthy` False.

        Lost readings are bridged by their times. RobotError before the first reset.
        """
        last = self.estimate
        if not _is_usable(state):
            return self._withheld(last, state.time)
        before = self._filter.x.copy(), self._filter.P
        try:
            return self._updated(last, state)
        except np.linalg.LinAlgError:  # a covariance that has broken down; only a reset helps
            self._filter.restore(*before)
            return self._withheld(last, state.time)

    def _updated(self, last: BaseEstimate, state: RobotState) -> BaseEstimate:
        before = self._filter.x.copy(), self._filter.P
        ticks = self._ticks_since(last.time, state.time)
        if ticks > 1:
            self._ground.reset()  # its differences are over one tick
        rot = _matrix(state.pelvis_quat_w)
        motion = self._legs.motion(rot, state.joint_pos, state.joint_vel)
        spin = _skew(rot @ state.pelvis_gyro_b)
        force = self._ground.update(motion, state.joint_vel, state.joint_torque, rot @ state.pelvis_acc_b)
        point = self._contacts.points(motion.sole_points)
        arm = point - motion.ankle_pos
        # Velocity of the contact point relative to the ankle: what a rolling foot's ankle does, backwards.
        turning = cross(motion.foot_ang_vel, arm) + arm @ spin.T
        speed = self._sole_speed(motion, spin, turning)
        contact = self._contacts.probabilities(force.tolist(), speed, point[:, 2].tolist())
        trust = contact * [self._trust(v) for v in speed]
        for _ in range(ticks):
            self._filter.predict(rot, state.pelvis_acc_b, -turning, trust)
        if self.health.flight_s > self.config.health.max_flight_s:
            self._filter.rest(self.config.carried_speed)
        lever = rot @ self._imu_b
        nis = self._filter.correct(motion.ankle_pos - lever, -arm[:, 2], contact)
        if not self._filter.is_finite:
            self._filter.restore(*before)
            return self._withheld(last, state.time)
        pos, vel = self._filter.x[POS] - lever, self._filter.x[VEL] - spin @ lever
        self._watch(state, nis, speed, contact, pos, vel)
        self._estimate = self._result(state, rot, pos, vel, contact, force)
        return self._estimate

    def _withheld(self, last: BaseEstimate, time: float) -> BaseEstimate:
        """The estimate before, as unhealthy."""
        self._ground.reset()
        self.health.complain("reading: not a number, or an impossible one, in joints or IMU")
        self._estimate = replace(last, time=time, healthy=False, reason=self.health.reason)
        return self._estimate

    def _ticks_since(self, before: float, now: float) -> int:
        """Readings that should have come, this one included; at least 1, and not more than are worth bridging."""
        ticks = (now - before) / self._dt
        return min(_MOST_MISSED, max(1, round(ticks))) if math.isfinite(ticks) else 1

    def _trust(self, speed: float) -> float:
        """How far a loaded sole that seems to move at `speed` m/s is believed to stand."""
        return max(self.config.least_trust, 1.0 / (1.0 + (speed / self.config.slip_speed) ** 2))

    def _sole_speed(self, motion: LegMotion, spin: Array, turning: Array) -> list[float]:
        """m/s of both contact points by the estimate before this reading."""
        vel = self.estimate.pelvis_lin_vel_w + motion.ankle_vel + motion.ankle_pos @ spin.T + turning
        return [math.sqrt(x * x + y * y + z * z) for x, y, z in vel.tolist()]

    def _watch(self, state: RobotState, nis: float, speed: list[float], contact: Array, pos: Array, vel: Array) -> None:
        carrying = 0 if contact[0] >= contact[1] else 1
        bias = self._filter.x[BIAS]
        self.health.update(
            nis=nis,
            sole_speed=speed[carrying],
            contact=float(contact[carrying]),
            acc=state.pelvis_acc_b.tolist(),
            gyro=state.pelvis_gyro_b.tolist(),
            leg_pos=state.joint_pos[self._legs.joints],
            leg_vel=state.joint_vel[self._legs.joints],
            bias=math.sqrt(float(bias @ bias)),
            pos=pos,
            vel=vel,
            vel_var=float(self._filter.P.diagonal()[VEL].max()),
        )

    def _result(
        self, state: RobotState, rot: Array, pos: Array, vel: Array, contact: Array, force: Array
    ) -> BaseEstimate:
        return BaseEstimate(
            time=state.time,
            pelvis_pos_w=pos,
            pelvis_lin_vel_w=vel,
            pelvis_lin_vel_b=vel @ rot,
            covariance=self._filter.P[:6, :6],
            accelerometer_bias=self._filter.x[BIAS].copy(),
            contact=contact,
            ground_force=force,
            healthy=self.health.is_healthy,
            reason=self.health.reason,
        )


def _is_usable(state: RobotState) -> bool:
    """Whether a filter may see these numbers at all: what no robot can report would stay in it for ever."""
    quat = state.pelvis_quat_w
    bounds = (
        (state.joint_pos, _MOST_ANGLE),
        (state.joint_vel, _MOST_SPEED),
        (state.joint_torque, _MOST_TORQUE),
        (state.pelvis_gyro_b, _MOST_SPEED),
        (state.pelvis_acc_b, _MOST_ACCELERATION),
    )
    # The length bounds every number in it, and is NaN if one is.
    return 0.5 < quat.dot(quat) < 2.0 and all(values.dot(values) <= most * most for values, most in bounds)


def _matrix(quat: Array) -> Array:
    """matrix_from_quat for one quaternion, six times as fast."""
    w, x, y, z = quat.tolist()
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _skew(vector: Array) -> Array:
    x, y, z = vector.tolist()
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
