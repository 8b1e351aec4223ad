"""Torch twins of bm_core.rotations, same names and conventions: wxyz, unit, any batch shape (..., 4), angles in rad.

No data-dependent branches, so they compile and do not stall the GPU; gradients are finite at the identity.
"""

from __future__ import annotations

import torch
from torch import Tensor


def quat_wxyz_from_xyzw(quat: Tensor) -> Tensor:
    """The one door for quaternions of Isaac Lab 3. (..., 4) -> (..., 4)."""
    return quat.roll(1, dims=-1)


def quat_xyzw_from_wxyz(quat: Tensor) -> Tensor:
    """The way out. (..., 4) -> (..., 4)."""
    return quat.roll(-1, dims=-1)


def quat_normalize(quat: Tensor) -> Tensor:
    """Unit length; the sign is kept."""
    return quat / torch.linalg.vector_norm(quat, dim=-1, keepdim=True)


def quat_conjugate(quat: Tensor) -> Tensor:
    """The inverse of a unit quaternion."""
    return torch.cat([quat[..., :1], -quat[..., 1:]], dim=-1)


def quat_multiply(first: Tensor, second: Tensor) -> Tensor:
    """Hamilton product: rotate by `second`, then by `first`. Broadcasts."""
    w1, x1, y1, z1 = first.unbind(-1)
    w2, x2, y2, z2 = second.unbind(-1)
    return torch.stack(
        [
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
        ],
        dim=-1,
    )


def quat_rotate(quat: Tensor, vector: Tensor) -> Tensor:
    """Vector (..., 3) from the body frame to the frame that `quat` is expressed in. Broadcasts."""
    w, xyz = quat[..., :1], quat[..., 1:]
    t = 2.0 * cross(xyz, vector)
    return vector + w * t + cross(xyz, t)


def cross(a: Tensor, b: Tensor) -> Tensor:
    """Vector product of (..., 3) and (..., 3). Broadcasts."""
    return torch.linalg.cross(*torch.broadcast_tensors(a, b))


def quat_rotate_inverse(quat: Tensor, vector: Tensor) -> Tensor:
    """Vector (..., 3) into the body frame."""
    return quat_rotate(quat_conjugate(quat), vector)


def quat_from_axis_angle(axis: Tensor, angle: Tensor) -> Tensor:
    """Unit `axis` (..., 3), `angle` (...)."""
    half = 0.5 * angle[..., None]
    axis, half = torch.broadcast_tensors(axis, half)
    return torch.cat([half[..., :1].cos(), axis * half.sin()], dim=-1)


def quat_from_rotvec(rotvec: Tensor) -> Tensor:
    """Exponential map, (..., 3) -> (..., 4); exact at zero."""
    angle = torch.linalg.vector_norm(rotvec, dim=-1, keepdim=True)
    # sin(x/2)/x = 0.5 sinc(x / 2 pi) without the 0/0.
    return torch.cat([(0.5 * angle).cos(), 0.5 * torch.sinc(angle / (2.0 * torch.pi)) * rotvec], dim=-1)


def rotvec_from_quat(quat: Tensor) -> Tensor:
    """Logarithm, (..., 4) -> (..., 3), the short way round (|rotvec| <= pi)."""
    quat = torch.where(quat[..., :1] < 0.0, -quat, quat)
    sin_half = torch.linalg.vector_norm(quat[..., 1:], dim=-1, keepdim=True)
    angle = 2.0 * torch.atan2(sin_half, quat[..., :1])
    small = sin_half < 1e-12
    # The unsafe quotient is guarded inside as well: torch.where passes its NaN gradient through otherwise.
    scale = torch.where(small, 2.0, angle / torch.where(small, 1.0, sin_half))
    return scale * quat[..., 1:]


def quat_angle(first: Tensor, second: Tensor) -> Tensor:
    """Geodesic distance in [0, pi], (..., 4) x (..., 4) -> (...)."""
    return torch.linalg.vector_norm(rotvec_from_quat(quat_multiply(quat_conjugate(first), second)), dim=-1)


def yaw_from_quat(quat: Tensor) -> Tensor:
    """Heading of the body's x axis in the xy plane, (..., 4) -> (...)."""
    w, x, y, z = quat.unbind(-1)
    return torch.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def quat_from_yaw(yaw: Tensor) -> Tensor:
    """Rotation about z, (...) -> (..., 4)."""
    half = 0.5 * yaw
    zero = torch.zeros_like(half)
    return torch.stack([half.cos(), zero, zero, half.sin()], dim=-1)


def yaw_quat(quat: Tensor) -> Tensor:
    """The yaw-only part of an orientation, (..., 4) -> (..., 4)."""
    return quat_from_yaw(yaw_from_quat(quat))


def quat_from_euler_xyz(roll: Tensor, pitch: Tensor, yaw: Tensor) -> Tensor:
    """R = Rz(yaw) Ry(pitch) Rx(roll). Broadcasts, (...) -> (..., 4)."""
    roll, pitch, yaw = torch.broadcast_tensors(roll, pitch, yaw)
    cr, sr, cp, sp = (roll / 2).cos(), (roll / 2).sin(), (pitch / 2).cos(), (pitch / 2).sin()
    cy, sy = (yaw / 2).cos(), (yaw / 2).sin()
    return torch.stack(
        [
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        ],
        dim=-1,
    )


def matrix_from_quat(quat: Tensor) -> Tensor:
    """(..., 4) -> (..., 3, 3)."""
    w, x, y, z = quat.unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def quat_from_matrix(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 4), w >= 0. Takes the best conditioned of the four branches (Shepperd)."""
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = matrix.flatten(-2).unbind(-1)
    # Row b of `candidates` is 4 q_b q: exact for every branch, well conditioned where q_b is largest.
    rows = [
        1 + m00 + m11 + m22, m21 - m12, m02 - m20, m10 - m01,
        m21 - m12, 1 + m00 - m11 - m22, m01 + m10, m02 + m20,
        m02 - m20, m01 + m10, 1 - m00 + m11 - m22, m12 + m21,
        m10 - m01, m02 + m20, m12 + m21, 1 - m00 - m11 + m22,
    ]  # fmt: skip
    candidates = torch.stack(rows, dim=-1).unflatten(-1, (4, 4))
    best = candidates.diagonal(dim1=-2, dim2=-1).argmax(-1)
    quat = quat_normalize(torch.take_along_dim(candidates, best[..., None, None], dim=-2)[..., 0, :])
    return torch.where(quat[..., :1] < 0.0, -quat, quat)


def rot6d_from_quat(quat: Tensor) -> Tensor:
    """First two columns of the matrix, flattened row-major (r00, r01, r10, r11, r20, r21): (..., 4) -> (..., 6)."""
    return matrix_from_quat(quat)[..., :2].flatten(-2)


def quat_slerp(first: Tensor, second: Tensor, fraction: Tensor) -> Tensor:
    """Shortest-arc interpolation, `fraction` (...) in [0, 1]."""
    delta = rotvec_from_quat(quat_multiply(quat_conjugate(first), second))
    return quat_multiply(first, quat_from_rotvec(delta * fraction[..., None]))


def angular_velocity_from_quats(quat: Tensor, dt: float) -> Tensor:
    """World-frame angular velocity of a sampled orientation, (T, ..., 4) -> (T, ..., 3) rad/s.

    Central SO(3) difference, one-sided at both ends; zeros for a single frame.
    """
    if quat.shape[0] < 2:
        return torch.zeros_like(quat[..., 1:])
    index = torch.arange(quat.shape[0], device=quat.device)
    after = (index + 1).clamp(max=quat.shape[0] - 1)
    before = (index - 1).clamp(min=0)
    step = rotvec_from_quat(quat_multiply(quat[after], quat_conjugate(quat[before])))
    return step / (dt * (after - before).to(quat.dtype)).reshape(-1, *([1] * (quat.ndim - 1)))


def gravity_in_body(quat: Tensor) -> Tensor:
    """Unit gravity direction (0, 0, -1) seen in the body frame, (..., 4) -> (..., 3)."""
    down = torch.zeros_like(quat[..., 1:])
    down[..., 2] = -1.0
    return quat_rotate_inverse(quat, down)
