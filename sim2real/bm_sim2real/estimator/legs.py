"""Kinematics of both legs at once: poses, sole, Jacobians and link masses, fast enough for 500 Hz in Python.

The two legs are one batch: T_i = A_i + sin(q_i) B_i + (1 - cos(q_i)) C_i, constant matrices per hinge (Rodrigues), so
that a tick costs a dozen small array operations instead of some hundred quaternion products. Tested against
bm_core.kinematics.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import FEET, mjcf_path
from bm_core.kinematics import KinematicTree, g1_kinematics
from bm_core.rotations import matrix_from_quat

Array = NDArray[np.float64]

LEG_JOINTS = 6
_NEXT, _AFTER = np.array([1, 2, 0]), np.array([2, 0, 1])


def cross(a: Array, b: Array) -> Array:
    """a x b over the last axis, for the few rows of a tick; np.cross costs five times as much.

    bm_core.rotations multiplies by components, which wins from some 200 rows on [measured]: clips, not ticks.
    """
    return a.take(_NEXT, -1) * b.take(_AFTER, -1) - a.take(_AFTER, -1) * b.take(_NEXT, -1)


class LegMotion(NamedTuple):
    """Both legs (left, right) at one instant, seen from the pelvis origin in world orientation."""

    ankle_pos: Array
    """(2, 3) m, origin of the ankle roll link."""
    ankle_vel: Array
    """(2, 3) m/s, of the joints alone"""
    foot_ang_vel: Array
    """(2, 3) rad/s, of the joints alone"""
    sole_points: Array
    """(2, N, 3) m, centres of the sole's edge spheres."""
    jacobian: Array
    """(2, 6, 6): joint speeds -> ankle velocity (3), foot angular velocity (3)."""
    joint_axes: Array
    """(6, 2, 3)"""
    joint_moments: Array
    """(6, 2, 3) m: hinge origin x axis, the other half of each hinge's screw."""
    link_com: Array
    """(6, 2, 3) m, centres of mass of the links behind the hinges."""


class Legs:
    """The G1's legs. `sole_radius` (m) is how far the ground is below a sole point."""

    def __init__(self, tree: KinematicTree | None = None) -> None:
        tree = tree or g1_kinematics()
        chains = [tree.chain(foot) for foot in FEET]
        self.joints = np.array([[link.joint for link in chain] for chain in chains])
        """(2, 6) indices into joint arrays."""
        axis = np.array([[link.axis for link in chain] for chain in chains]).transpose(1, 0, 2)
        turn = np.array([[matrix_from_quat(link.quat) for link in chain] for chain in chains]).transpose(1, 0, 2, 3)
        skew = np.zeros((LEG_JOINTS, 2, 3, 3))
        for row, column, value in ((0, 1, -axis[..., 2]), (0, 2, axis[..., 1]), (1, 2, -axis[..., 0])):
            skew[..., row, column], skew[..., column, row] = value, -value
        self._constant = np.zeros((LEG_JOINTS, 2, 4, 4))
        self._constant[..., :3, :3] = turn
        self._constant[..., :3, 3] = np.array([[link.pos for link in chain] for chain in chains]).transpose(1, 0, 2)
        self._constant[..., 3, 3] = 1.0
        self._sine, self._versine = np.zeros_like(self._constant), np.zeros_like(self._constant)
        self._sine[..., :3, :3] = turn @ skew
        self._versine[..., :3, :3] = turn @ skew @ skew
        names = [[link.name for link in chain] for chain in chains]
        masses, com, soles, self.sole_radius = _figures(names)
        self.link_mass = masses.T[..., None].copy()
        """(6, 2, 1) kg"""
        self._axis = axis[..., None]
        self._com = np.concatenate([com.transpose(1, 0, 2), np.ones((LEG_JOINTS, 2, 1))], axis=-1)[..., None]
        self._soles = np.concatenate([soles, np.ones((*soles.shape[:2], 1))], axis=-1).transpose(0, 2, 1).copy()
        self._frames = np.empty((LEG_JOINTS, 2, 4, 4))
        self._base = np.eye(4)

    def motion(self, pelvis_rot: Array, joint_pos: Array, joint_vel: Array) -> LegMotion:
        """pelvis_rot (3, 3) pelvis to world, joints (29,) rad and rad/s, canonical order."""
        angle = joint_pos[self.joints].T[..., None, None]
        local = self._constant + np.sin(angle) * self._sine + (1.0 - np.cos(angle)) * self._versine
        frames = self._frames
        self._base[:3, :3] = pelvis_rot
        np.matmul(self._base, local[0], out=frames[0])
        for i in range(1, LEG_JOINTS):
            np.matmul(frames[i - 1], local[i], out=frames[i])
        pos = frames[..., :3, 3]
        axes = (frames[..., :3, :3] @ self._axis)[..., 0]
        moments = cross(pos, axes)
        ankle = pos[-1].copy()
        jacobian = np.empty((2, 6, LEG_JOINTS))
        # axis x (ankle - hinge) = hinge x axis - ankle x axis.
        np.subtract(moments, cross(ankle, axes), out=jacobian[:, :3].transpose(2, 0, 1))
        jacobian[:, 3:] = axes.transpose(1, 2, 0)
        twist = (jacobian @ joint_vel[self.joints][..., None])[..., 0]
        return LegMotion(
            ankle_pos=ankle,
            ankle_vel=twist[:, :3],
            foot_ang_vel=twist[:, 3:],
            sole_points=(frames[-1] @ self._soles)[:, :3].transpose(0, 2, 1),
            jacobian=jacobian,
            joint_axes=axes,
            joint_moments=moments,
            link_com=(frames @ self._com)[..., :3, 0],
        )


@lru_cache(maxsize=1)
def total_mass() -> float:
    """kg of the whole robot, from the MJCF."""
    return sum(float(inertial.get("mass", "0")) for inertial in ElementTree.parse(mjcf_path()).iter("inertial"))


@lru_cache(maxsize=1)
def imu_offset() -> tuple[float, float, float]:
    """Where the pelvis IMU sits in the pelvis frame, m."""
    sites = {site.get("name"): site.get("pos", "") for site in ElementTree.parse(mjcf_path()).iter("site")}
    x, y, z = (float(part) for part in sites["imu_in_pelvis"].split())
    return x, y, z


def _figures(names: list[list[str]]) -> tuple[Array, Array, Array, float]:
    """Masses (2, 6), centres of mass (2, 6, 3), sole points (2, N, 3) of the links named, and the soles' radius."""
    bodies = {body.get("name"): body for body in ElementTree.parse(mjcf_path()).iter("body")}
    inertials = [[bodies[name].find("inertial") for name in leg] for leg in names]
    masses = np.array([[float(inertial.get("mass")) for inertial in leg] for leg in inertials])  # type: ignore[union-attr]
    com = np.array([[_numbers(inertial.get("pos")) for inertial in leg] for leg in inertials])  # type: ignore[union-attr]
    soles = [[geom for geom in bodies[leg[-1]].findall("geom") if geom.get("class") == "sole"] for leg in names]
    points = np.array([[_numbers(geom.get("fromto")) for geom in leg] for leg in soles]).reshape(2, -1, 3)
    return masses, com, points, float(soles[0][0].get("size", "0"))


def _numbers(text: str | None) -> list[float]:
    return [float(part) for part in (text or "").split()]
