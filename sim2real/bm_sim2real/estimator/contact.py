"""Which foot stands: vertical ground force from motor torques, weighed against how the sole seems to move.

Motor torque = what moves the leg's own masses - J^T (ground force). The masses are points at the links' centres plus
the rotors' armature; the residual is filtered over a few ms. This is the generalised-momentum observer of BeyondMimic
(reference 4.5) with differences of readings in place of its momentum: the same information, no mass matrix per tick.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import G1
from bm_sim2real.estimator.config import ContactConfig
from bm_sim2real.estimator.legs import LEG_JOINTS, LegMotion, Legs, cross, total_mass

Array = NDArray[np.float64]

_GRAVITY = 9.81
_IDENTITY = np.eye(6)


class GroundForce:
    """Vertical force under each foot from torques and accelerations. Feed it every tick of `dt` s."""

    def __init__(self, legs: Legs, config: ContactConfig, dt: float) -> None:
        self._legs, self._dt = legs, dt
        self._gain = dt / (config.filter_s + dt)
        self._damping = config.damping**2 * _IDENTITY
        self._armature = G1.armature[legs.joints]
        self.reset()

    def reset(self) -> None:
        """Forget what was; the next reading counts as unaccelerated."""
        self._com: Array | None = None
        self._com_vel: Array | None = None
        self._joint_vel: Array | None = None
        self._residual = np.zeros((2, LEG_JOINTS))
        self._is_fresh = True

    def update(self, motion: LegMotion, joint_vel: Array, joint_torque: Array, specific_force_w: Array) -> Array:
        """(2,) N. joints (29,) rad/s and N m; specific_force_w (3,) m/s^2: the accelerometer in world orientation."""
        legs = self._legs.joints
        residual = self._needed_torque(motion, joint_vel[legs], specific_force_w) - joint_torque[legs]
        self._residual += (1.0 if self._is_fresh else self._gain) * (residual - self._residual)
        self._is_fresh = False
        # J^T wrench = residual by damped least squares: a straight knee must not invent forces.
        jacobian = motion.jacobian
        square = jacobian @ jacobian.transpose(0, 2, 1) + self._damping
        return np.linalg.solve(square, jacobian @ self._residual[..., None])[:, 2, 0]

    def _needed_torque(self, motion: LegMotion, joint_vel: Array, specific_force_w: Array) -> Array:
        """(2, 6) N m that the legs' own masses take, swinging free under an accelerated pelvis."""
        com_acc, joint_acc = self._accelerations(motion.link_com, joint_vel)
        load = self._legs.link_mass * (specific_force_w + com_acc)
        # A hinge carries all links behind it: sums from the foot upwards.
        loads = load[::-1].cumsum(axis=0)[::-1]
        moments = cross(motion.link_com, load)[::-1].cumsum(axis=0)[::-1]
        needed = (moments * motion.joint_axes + loads * motion.joint_moments).sum(axis=-1)
        return needed.T + self._armature * joint_acc

    def _accelerations(self, com: Array, joint_vel: Array) -> tuple[Array, Array | float]:
        """Of links (6, 2, 3) relative to the pelvis and joints (2, 6); zero until there are readings to compare."""
        com_acc, joint_acc = np.zeros_like(com), 0.0
        if self._com is not None and self._joint_vel is not None:
            com_vel = (com - self._com) / self._dt
            joint_acc = (joint_vel - self._joint_vel) / self._dt
            if self._com_vel is not None:
                com_acc = (com_vel - self._com_vel) / self._dt
            self._com_vel = com_vel
        self._com, self._joint_vel = com, joint_vel
        return com_acc, joint_acc


class ContactModel:
    """Where each sole touches, and how likely it stands there."""

    def __init__(self, legs: Legs, config: ContactConfig) -> None:
        self._config = config
        self._weight = total_mass() * _GRAVITY
        self._below = np.array([0.0, 0.0, legs.sole_radius])

    def points(self, sole_points: Array) -> Array:
        """(2, 3) m: mean of the sole points (2, N, 3) weighted towards the lowest, moved down to the sole's surface.

        World orientation, any origin. A foot that rolls does so about this point.
        """
        height = sole_points[..., 2]
        share = np.exp((height.min(axis=1, keepdims=True) - height) / self._config.edge_width)
        share /= share.sum(axis=1, keepdims=True)
        return (share[:, None, :] @ sole_points)[:, 0] - self._below

    def probabilities(self, force: Sequence[float], speed: Sequence[float], height: Sequence[float]) -> Array:
        """(2,) in [0, 1] from left and right: N, m/s of the contact point by the present estimate, m of height."""
        config, lowest = self._config, min(height)
        chances = []
        for i in range(2):
            needed = config.force_share + config.force_per_speed * min(speed[i], config.max_speed)
            loaded = _logistic((force[i] / self._weight - needed) / config.force_width)
            low = _logistic((config.height - (height[i] - lowest)) / config.height_width)
            chances.append(loaded * low)
        return np.array(chances)


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(40.0, max(-40.0, x))))
