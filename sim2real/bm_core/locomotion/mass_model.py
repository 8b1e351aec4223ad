"""Centre of mass, momentum and ZMP of all 30 bodies along a motion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import CONTROL_DT, mjcf_path
from bm_core.locomotion.config import GRAVITY
from bm_core.rotations import angular_velocity_from_quats, matrix_from_quat, quat_multiply, quat_rotate

Array = NDArray[np.floating]


@dataclass(frozen=True)
class MassModel:
    """Inertial numbers of the bodies, in the order of the kinematic tree."""

    mass: Array
    """(B,) kg"""
    pos: Array
    """(B, 3) m, centre of mass in the body."""
    quat: Array
    """(B, 4) principal axes in the body."""
    inertia: Array
    """(B, 3) kg m^2 about them."""

    def com(self, body_pos: Array, body_quat: Array) -> Array:
        """Centre of mass of the robot, (..., B, 3) x (..., B, 4) -> (..., 3)."""
        return np.einsum("b,...bi->...i", self.mass / self.mass.sum(), body_pos + quat_rotate(body_quat, self.pos))

    def angular_momentum(self, body_pos: Array, body_quat: Array) -> Array:
        """About the centre of mass, world frame, along a motion: (T, B, 3) x (T, B, 4) -> (T, 3) kg m^2/s."""
        com = body_pos + quat_rotate(body_quat, self.pos)
        arm = com - np.einsum("b,tbi->ti", self.mass / self.mass.sum(), com)[:, None]
        lin_vel = np.gradient(com, CONTROL_DT, axis=0)
        axes = matrix_from_quat(quat_multiply(body_quat, self.quat))
        ang_vel = angular_velocity_from_quats(body_quat, CONTROL_DT)
        spin = np.einsum("tbij,tbj->tbi", axes, self.inertia * np.einsum("tbji,tbj->tbi", axes, ang_vel))
        return np.einsum("b,tbi->ti", self.mass, np.cross(arm, lin_vel)) + spin.sum(axis=1)

    def zmp_terms(self, body_pos: Array, body_quat: Array) -> tuple[Array, Array, Array]:
        """What the ZMP p = c - height c''/g + offset needs: CoM (T, 3) m, height (T,) m, offset (T, 2) m."""
        com = self.com(body_pos, body_quat)
        torque = np.gradient(self.angular_momentum(body_pos, body_quat), CONTROL_DT, axis=0)
        # Below a third of its weight the robot all but flies, and a ZMP says nothing.
        gravity = np.maximum(GRAVITY + second_difference(com[:, 2]), GRAVITY / 3.0)
        force = self.mass.sum() * gravity
        offset = np.stack([-torque[:, 1] / force, torque[:, 0] / force], axis=-1)
        return com, com[:, 2] * GRAVITY / gravity, offset

    def zmp(self, body_pos: Array, body_quat: Array) -> Array:
        """Zero-moment point on the floor along a motion, (T, 2) m."""
        com, height, offset = self.zmp_terms(body_pos, body_quat)
        return com[:, :2] - height[:, None] / GRAVITY * second_difference(com[:, :2]) + offset


def second_difference(values: Array) -> Array:
    """Second time derivative of samples (T, ...); the two ends repeat their neighbours."""
    if len(values) < 3:
        return np.zeros_like(values)
    inner = (values[2:] - 2.0 * values[1:-1] + values[:-2]) / CONTROL_DT**2
    return np.concatenate([inner[:1], inner, inner[-1:]])


@lru_cache(maxsize=1)
def g1_masses() -> MassModel:
    """The G1's, from the project's own MJCF; read once."""
    elements = [body.find("inertial") for body in ElementTree.parse(mjcf_path()).getroot().iter("body")]

    def column(key: str, default: str) -> Array:
        return np.array([[float(x) for x in e.get(key, default).split()] for e in elements if e is not None])

    return MassModel(
        mass=column("mass", "0")[:, 0],
        pos=column("pos", "0 0 0"),
        quat=column("quat", "1 0 0 0"),
        inertia=column("diaginertia", "0 0 0"),
    )
