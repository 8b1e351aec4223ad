"""Rotations. Quaternions are wxyz, unit, of any batch shape (..., 4); angles in rad. bm_training has torch twins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def quat_wxyz_from_xyzw(quat: Array) -> Array:
    """The one door for quaternions of ROS, Isaac Lab 3 and scipy. (..., 4) -> (..., 4)."""
    return np.roll(quat, 1, axis=-1)


def quat_xyzw_from_wxyz(quat: Array) -> Array:
    """The way out. (..., 4) -> (..., 4)."""
    return np.roll(quat, -1, axis=-1)


def quat_normalize(quat: Array) -> Array:
    """Unit length; the sign is kept."""
    return quat / np.linalg.norm(quat, axis=-1, keepdims=True)


def quat_conjugate(quat: Array) -> Array:
    """The inverse of a unit quaternion."""
    return quat * np.array([1.0, -1.0, -1.0, -1.0], dtype=quat.dtype)


def quat_multiply(first: Array, second: Array) -> Array:
    """Hamilton product: rotate by `second`, then by `first`. Broadcasts."""
    w1, x1, y1, z1 = _components(first)
    w2, x2, y2, z2 = _components(second)
    return _together(
        w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
        w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
        w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
        w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
    )


def quat_rotate(quat: Array, vector: Array) -> Array:
    """Vector (..., 3) from the body frame to the frame that `quat` is expressed in."""
    w, xyz = quat[..., :1], quat[..., 1:]
    # v + 2w (q x v) + 2 q x (q x v), the products written out: np.cross is some 5 times slower on single vectors.
    t = 2.0 * cross(xyz, vector)
    return vector + w * t + cross(xyz, t)


def quat_rotate_inverse(quat: Array, vector: Array) -> Array:
    """Vector (..., 3) into the body frame."""
    return quat_rotate(quat_conjugate(quat), vector)


def cross(a: Array, b: Array) -> Array:
    """Vector product of (..., 3) and (..., 3); some 5 times faster than np.cross on few vectors."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return _together(ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)


def quat_from_axis_angle(axis: Array, angle: Array | float) -> Array:
    """Unit `axis` (..., 3), `angle` (...)."""
    half = 0.5 * np.asarray(angle)[..., None]
    axis, half = np.broadcast_arrays(axis, half)
    return np.concatenate([np.cos(half[..., :1]), axis * np.sin(half)], axis=-1)


def quat_from_rotvec(rotvec: Array) -> Array:
    """Exponential map, (..., 3) -> (..., 4); exact at zero."""
    angle = np.linalg.norm(rotvec, axis=-1, keepdims=True)
    # sin(x/2)/x = 0.5 sinc(x / 2 pi) without the 0/0.
    return np.concatenate([np.cos(0.5 * angle), 0.5 * np.sinc(angle / (2.0 * np.pi)) * rotvec], axis=-1)


def rotvec_from_quat(quat: Array) -> Array:
    """Logarithm, (..., 4) -> (..., 3), the short way round (|rotvec| <= pi)."""
    quat = np.where(quat[..., :1] < 0.0, -quat, quat)
    sin_half = np.linalg.norm(quat[..., 1:], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sin_half, quat[..., :1])
    small = sin_half < 1e-12
    scale = np.where(small, 2.0, angle / np.where(small, 1.0, sin_half))
    return scale * quat[..., 1:]


def quat_angle(first: Array, second: Array) -> Array:
    """Geodesic distance in [0, pi], (..., 4) x (..., 4) -> (...)."""
    return np.linalg.norm(rotvec_from_quat(quat_multiply(quat_conjugate(first), second)), axis=-1)


def yaw_from_quat(quat: Array) -> Array:
    """Heading of the body's x axis in the xy plane, (..., 4) -> (...)."""
    w, x, y, z = _components(quat)
    return np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def quat_from_yaw(yaw: Array | float) -> Array:
    """Rotation about z, (...) -> (..., 4)."""
    half = 0.5 * np.asarray(yaw, dtype=np.float64)
    zero = np.zeros_like(half)
    return np.stack([np.cos(half), zero, zero, np.sin(half)], axis=-1)


def yaw_quat(quat: Array) -> Array:
    """The yaw-only part of an orientation, (..., 4) -> (..., 4)."""
    return quat_from_yaw(yaw_from_quat(quat))


def quat_from_euler_xyz(roll: Array | float, pitch: Array | float, yaw: Array | float) -> Array:
    """R = Rz(yaw) Ry(pitch) Rx(roll)."""
    roll, pitch, yaw = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in (roll, pitch, yaw)))
    cr, sr, cp, sp = np.cos(roll / 2), np.sin(roll / 2), np.cos(pitch / 2), np.sin(pitch / 2)
    cy, sy = np.cos(yaw / 2), np.sin(yaw / 2)
    return np.stack(
        [
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        ],
        axis=-1,
    )


def matrix_from_quat(quat: Array) -> Array:
    """(..., 4) -> (..., 3, 3)."""
    w, x, y, z = _components(quat)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return np.stack(rows, axis=-1).reshape(*quat.shape[:-1], 3, 3)


def quat_from_matrix(matrix: Array) -> Array:
    """(..., 3, 3) -> (..., 4), w >= 0. Takes the best conditioned of the four branches (Shepperd)."""
    (m00, m01, m02), (m10, m11, m12), (m20, m21, m22) = (
        tuple(matrix[..., row, column] for column in range(3)) for row in range(3)
    )
    trace = m00 + m11 + m22
    # Row b of `candidates` is 4 q_b q: exact for every branch, well conditioned where q_b is largest.
    rows = (
        (1 + trace, m21 - m12, m02 - m20, m10 - m01),
        (m21 - m12, 1 + 2 * m00 - trace, m01 + m10, m02 + m20),
        (m02 - m20, m01 + m10, 1 + 2 * m11 - trace, m12 + m21),
        (m10 - m01, m02 + m20, m12 + m21, 1 + 2 * m22 - trace),
    )
    candidates = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    best = np.argmax(np.einsum("...ii->...i", candidates), axis=-1)
    quat = quat_normalize(np.take_along_axis(candidates, best[..., None, None], axis=-2)[..., 0, :])
    return np.where(quat[..., :1] < 0.0, -quat, quat)


def rot6d_from_quat(quat: Array) -> Array:
    """First two columns of the matrix, flattened row-major (r00, r01, r10, r11, r20, r21): (..., 4) -> (..., 6).

    Order of whole_body_tracking (`mat[..., :2].reshape`), not the column-major one of the 6D paper.
    """
    return matrix_from_quat(quat)[..., :2].reshape(*quat.shape[:-1], 6)


def quat_slerp(first: Array, second: Array, fraction: Array) -> Array:
    """Shortest-arc interpolation, `fraction` (...) in [0, 1]."""
    delta = rotvec_from_quat(quat_multiply(quat_conjugate(first), second))
    return quat_multiply(first, quat_from_rotvec(delta * np.asarray(fraction)[..., None]))


def angular_velocity_from_quats(quat: Array, dt: float) -> Array:
    """World-frame angular velocity of a sampled orientation, (T, ..., 4) -> (T, ..., 3) rad/s.

    Central SO(3) difference, one-sided at both ends; zeros for a single frame.
    """
    if len(quat) < 2:
        return np.zeros((*quat.shape[:-1], 3), dtype=quat.dtype)
    last = len(quat) - 1
    after = np.minimum(np.arange(len(quat)) + 1, last)
    before = np.maximum(np.arange(len(quat)) - 1, 0)
    step = rotvec_from_quat(quat_multiply(quat[after], quat_conjugate(quat[before])))
    return step / (dt * (after - before)).reshape(-1, *([1] * (quat.ndim - 1)))


def gravity_in_body(quat: Array) -> Array:
    """Unit gravity direction (0, 0, -1) seen in the body frame, (..., 4) -> (..., 3)."""
    down = np.zeros((*quat.shape[:-1], 3), dtype=quat.dtype)
    down[..., 2] = -1.0
    return quat_rotate_inverse(quat, down)


def _components(vector: Array) -> tuple[Array, ...]:
    """(..., n) -> n views (...); np.moveaxis takes longer than a product of single quaternions."""
    vector = np.asarray(vector)
    return tuple(vector[..., index] for index in range(vector.shape[-1]))


def _together(*components: Array) -> Array:
    """n arrays (...) of one shape and type -> (..., n), as np.stack, in half its time on few vectors."""
    whole = np.empty((*components[0].shape, len(components)), dtype=components[0].dtype)
    for index, component in enumerate(components):
        whole[..., index] = component
    return whole
