"""Inverse kinematics of both legs, all frames at once: damped Newton on the six joints of each leg.

The G1's hip axes do not meet in a point and its ankle axes are 18 mm apart, so there is no closed form; five Newton
steps from a geometric guess leave errors below a micrometre.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import G1
from bm_core.kinematics import g1_kinematics
from bm_core.rotations import matrix_from_quat, quat_conjugate, quat_multiply, quat_rotate_inverse

Array = NDArray[np.floating]

_JOINTS = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
# The child's own axis; Unitree names the joints by it.
_AXES = (1, 0, 2, 1, 1, 0)

HIPS = np.array([[0.0, 0.1165, -0.1332], [0.0, -0.1165, -0.1332]])
"""Hip-roll axes in the pelvis, m, at small hip pitch; left first."""

_STRAIGHT = 0.624
"""From there to the ankle with a straight knee, m."""
_LONGEST = 0.6195

LEG_JOINTS = np.array([[G1.joint_index[f"{side}_{name}_joint"] for name in _JOINTS] for side in ("left", "right")])
"""(2, 6) indices of the leg joints, left first."""


@lru_cache(maxsize=1)
def _leg_geometry() -> tuple[Array, Array]:
    """Each link in its parent: position (6, 2, 3) m and rotation (6, 2, 3, 3) at zero joint angle."""
    pos, quat = g1_kinematics().forward(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(29))
    offsets, turns = np.empty((6, 2, 3)), np.empty((6, 2, 3, 3))
    for s, side in enumerate(("left", "right")):
        parent = G1.body_index["pelvis"]
        for j, name in enumerate(_JOINTS):
            child = G1.body_index[f"{side}_{name}_link"]
            offsets[j, s] = quat_rotate_inverse(quat[parent], pos[child] - pos[parent])
            turns[j, s] = matrix_from_quat(quat_multiply(quat_conjugate(quat[parent]), quat[child]))
            parent = child
    return offsets, turns


def _turn_columns(matrix: Array, axis: int, angle: Array) -> Array:
    """matrix @ R_axis(angle), (..., 3, 3)."""
    a, b = (axis + 1) % 3, (axis + 2) % 3
    cos, sin = np.cos(angle)[..., None], np.sin(angle)[..., None]
    turned = matrix.copy()
    turned[..., a] = cos * matrix[..., a] + sin * matrix[..., b]
    turned[..., b] = cos * matrix[..., b] - sin * matrix[..., a]
    return turned


def leg_forward(joints: Array) -> tuple[Array, Array, Array]:
    """Ankle in the pelvis frame and its Jacobian.

    joints (..., 2, 6) rad -> position (..., 2, 3), rotation (..., 2, 3, 3), Jacobian (..., 2, 6, 6) (linear, angular).
    """
    offsets, turns = _leg_geometry()
    batch = joints.shape[:-1]
    pos, rotation = np.zeros((*batch, 3)), np.broadcast_to(np.eye(3), (*batch, 3, 3))
    axes, origins = np.empty((*batch, 3, 6)), np.empty((*batch, 3, 6))
    for j, axis in enumerate(_AXES):
        pos = pos + (rotation @ offsets[j][..., None])[..., 0]
        rotation = _turn_columns(rotation @ turns[j], axis, joints[..., j])
        axes[..., j], origins[..., j] = rotation[..., axis], pos
    jacobian = np.empty((*batch, 6, 6))
    arm = pos[..., None] - origins
    for row in range(3):
        a, b = (row + 1) % 3, (row + 2) % 3
        jacobian[..., row, :] = axes[..., a, :] * arm[..., b, :] - axes[..., b, :] * arm[..., a, :]
    jacobian[..., 3:, :] = axes
    return pos, rotation, jacobian


def within_reach(foot_pos: Array) -> Array:
    """Ankles (..., 2, 3) m in the pelvis frame, those beyond a nearly straight leg drawn in towards the hip.

    Plans stay inside; only a robot that starts in a stretched posture meets it.
    """
    leg = foot_pos - HIPS
    length = np.linalg.norm(leg, axis=-1, keepdims=True)
    return HIPS + leg * np.minimum(1.0, _LONGEST / length)


def guess_legs(foot_pos: Array, foot_yaw: Array) -> Array:
    """Joint angles near the solution: the hip as one point, the knee from the leg's length.

    foot_pos (..., 2, 3) m in the pelvis frame, foot_yaw (..., 2) relative to the pelvis -> (..., 2, 6) rad.
    """
    leg = foot_pos - HIPS
    length = np.linalg.norm(leg, axis=-1)
    knee = 2.0 * np.arccos(np.clip(length / _STRAIGHT, 0.0, 0.995))
    pitch = np.arctan2(-leg[..., 0], -leg[..., 2]) - 0.5 * knee
    roll = np.arctan2(leg[..., 1], -leg[..., 2])
    return np.stack([pitch, roll, foot_yaw, knee, -pitch - knee, -roll], axis=-1)


def solve_legs(foot_pos: Array, foot_rotation: Array, start: Array, iterations: int) -> tuple[Array, Array]:
    """Joint angles that put the ankles there.

    foot_pos (..., 2, 3) m and foot_rotation (..., 2, 3, 3) in the pelvis frame, start (..., 2, 6) rad -> angles
    (..., 2, 6) and the error left (..., 2) in m + rad.
    """
    joints = start
    for _ in range(iterations):
        error, jacobian = _error(joints, foot_pos, foot_rotation)
        # The damping only matters at a straight knee, where the undamped step would explode.
        normal = np.swapaxes(jacobian, -1, -2) @ jacobian + 1e-7 * np.eye(6)
        step = np.linalg.solve(normal, np.swapaxes(jacobian, -1, -2) @ error[..., None])[..., 0]
        joints = joints + np.clip(step, -0.5, 0.5)
    error, _ = _error(joints, foot_pos, foot_rotation)
    return joints, np.linalg.norm(error, axis=-1)


def _error(joints: Array, foot_pos: Array, foot_rotation: Array) -> tuple[Array, Array]:
    pos, rotation, jacobian = leg_forward(joints)
    wanted = foot_rotation @ np.swapaxes(rotation, -1, -2)
    # The vector part of the skew matrix: exact to second order, and Newton only needs its direction.
    turn = 0.5 * np.stack(
        [
            wanted[..., 2, 1] - wanted[..., 1, 2],
            wanted[..., 0, 2] - wanted[..., 2, 0],
            wanted[..., 1, 0] - wanted[..., 0, 1],
        ],
        axis=-1,
    )
    return np.concatenate([foot_pos - pos, turn], axis=-1), jacobian
