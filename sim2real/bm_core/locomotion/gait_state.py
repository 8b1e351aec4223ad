"""Where a plan starts from a moving robot: one reading, and what the planner needs to know of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import FEET, G1
from bm_core.kinematics import g1_kinematics
from bm_core.locomotion.config import COM_HEIGHT, GRAVITY, SOLE_HEIGHT
from bm_core.locomotion.mass_model import g1_masses
from bm_core.locomotion.planar import seen_from
from bm_core.rotations import matrix_from_quat, quat_from_rotvec, quat_multiply, yaw_from_quat

Array = NDArray[Any]

NATURAL_FREQUENCY = math.sqrt(GRAVITY / COM_HEIGHT)
"""Of the pendulum, 1/s: how fast the divergent component of motion diverges."""

_FEET = [G1.body_index[name] for name in FEET]
_LIFTED = 0.012
"""A foot this much higher than the other one is in the air, m."""
_SWINGING = 0.4
"""So is one that moves this much faster than the other, m/s."""
_STILL_SPEED = 0.12
"""Slower than this the robot counts as standing, m/s of the DCM's lead."""


@dataclass(frozen=True, kw_only=True)
class GaitState:
    """One reading of the robot, or one frame of a reference. World frame."""

    root_quat: Array
    """(4,) wxyz of the pelvis."""
    root_ang_vel: Array
    """(3,) rad/s, world frame."""
    joint_pos: Array
    """(29,) rad"""
    joint_vel: Array
    """(29,) rad/s"""
    root_xy: Array | None = None
    """(2,) m of the pelvis origin; the origin if unknown. Its height follows from the supporting foot, on the floor."""
    root_lin_vel: Array | None = None
    """(3,) m/s of the pelvis origin; if unknown, that at which the supporting foot stands still."""
    velocity: Array | None = None
    """(3,) vx, vy m/s, wz rad/s that the gait had been commanded, yaw frame; if unknown, guessed from the motion."""


@dataclass(frozen=True)
class FootState:
    """One foot at the start."""

    pos: Array
    """(3,) m, ankle origin."""
    vel: Array
    """(3,) m/s"""
    yaw: float
    pitch: float
    yaw_rate: float

    @property
    def pose(self) -> Array:
        """(3,) x, y, yaw."""
        return np.array([self.pos[0], self.pos[1], self.yaw])


@dataclass(frozen=True)
class StartState:
    """A GaitState, looked at: feet, centre of mass, support."""

    root_pos: Array
    root_vel: Array
    root_quat: Array
    root_ang_vel: Array
    joint_pos: Array
    joint_vel: Array
    com: Array
    """(3,) m"""
    com_vel: Array
    """(3,) m/s"""
    feet: tuple[FootState, FootState]
    support: int
    """The foot that carries: the lower one, or of two on the ground the one nearer to where the motion leads."""
    is_airborne: bool
    """The other foot is in the air."""
    velocity: Array
    """(3,) of the gait."""

    @property
    def heading(self) -> float:
        return float(yaw_from_quat(self.root_quat))

    @property
    def dcm(self) -> Array:
        """(2,) m, the point over which the robot would come to rest."""
        return self.com[:2] + self.com_vel[:2] / NATURAL_FREQUENCY

    @property
    def is_still(self) -> bool:
        """Both feet on the ground and hardly any motion."""
        return not self.is_airborne and float(np.linalg.norm(self.com_vel[:2])) < _STILL_SPEED


def look_at(state: GaitState) -> StartState:
    """Kinematics of the reading; velocities by a difference over 1 ms of motion."""
    dt = 1e-3
    tree, masses = g1_kinematics(), g1_masses()
    quat: Array = np.stack([state.root_quat, quat_multiply(quat_from_rotvec(state.root_ang_vel * dt), state.root_quat)])
    joints = np.stack([state.joint_pos, state.joint_pos + state.joint_vel * dt])
    body_pos, body_quat = tree.forward(np.zeros((2, 3)), quat, joints)
    com = masses.com(body_pos, body_quat)
    ankles = body_pos[:, _FEET]
    support, is_airborne = _support(ankles, com, state, dt)
    if state.root_lin_vel is None:
        root_vel = (ankles[0, support] - ankles[1, support]) / dt
    else:
        root_vel = np.asarray(state.root_lin_vel, dtype=np.float64)
    xy = np.zeros(2) if state.root_xy is None else state.root_xy
    root_pos = np.array([xy[0], xy[1], SOLE_HEIGHT - ankles[0, support, 2]])
    com_vel = (com[1] - com[0]) / dt + root_vel
    heading = float(yaw_from_quat(state.root_quat))
    feet = [_foot_state(ankles[:, s] + root_pos, body_quat[:, _FEET[s]], heading, root_vel, dt) for s in (0, 1)]
    return StartState(
        root_pos=root_pos,
        root_vel=root_vel,
        root_quat=state.root_quat,
        root_ang_vel=state.root_ang_vel,
        joint_pos=state.joint_pos,
        joint_vel=state.joint_vel,
        com=com[0] + root_pos,
        com_vel=com_vel,
        feet=(feet[0], feet[1]),
        support=support,
        is_airborne=is_airborne,
        velocity=_gait_velocity(state, com_vel),
    )


def _support(ankles: Array, com: Array, state: GaitState, dt: float) -> tuple[int, bool]:
    lower = int(np.argmin(ankles[0, :, 2]))
    apart = ankles[:, 0] - ankles[:, 1]
    if abs(apart[0, 2]) > _LIFTED or float(np.linalg.norm(apart[1] - apart[0])) / dt > _SWINGING:
        return lower, True
    com_vel = (com[1] - com[0]) / dt
    com_vel = com_vel + (
        (ankles[0, lower] - ankles[1, lower]) / dt if state.root_lin_vel is None else state.root_lin_vel
    )
    dcm = com[0, :2] + com_vel[:2] / NATURAL_FREQUENCY
    return int(np.argmin(np.linalg.norm(ankles[0, :, :2] - dcm, axis=-1))), False


def _foot_state(pos: Array, quat: Array, heading: float, root_vel: Array, dt: float) -> FootState:
    # Unwrapped towards the heading: swings turn by the difference of yaws.
    yaw = heading + np.angle(np.exp(1j * (yaw_from_quat(quat) - heading)))
    forward = matrix_from_quat(quat[0])[:, 0]
    return FootState(
        pos=pos[0],
        vel=(pos[1] - pos[0]) / dt + root_vel,
        yaw=float(yaw[0]),
        pitch=float(-np.arcsin(np.clip(forward[2], -1.0, 1.0))),
        yaw_rate=float(yaw[1] - yaw[0]) / dt,
    )


def _gait_velocity(state: GaitState, com_vel: Array) -> Array:
    if state.velocity is not None:
        return np.asarray(state.velocity, dtype=np.float64)
    heading = float(yaw_from_quat(state.root_quat))
    forward, _ = seen_from(np.array([0.0, 0.0, heading]), com_vel[:2])
    # Sideways the body sways faster than it travels; what it really does there the footholds take care of.
    return np.array([forward, 0.0, float(state.root_ang_vel[2])])
