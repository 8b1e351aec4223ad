"""How far the robot is from the reference: one evaluation a step feeds rewards, terminations and the log."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bm_training.rotations import quat_conjugate, quat_from_yaw, yaw_from_quat
from bm_training.tracking.bilinear_rotations import matrix_from_quat, quat_multiply
from bm_training.tracking.motion_library import MotionFrames


@dataclass(frozen=True, kw_only=True)
class TrackingErrors:
    """Errors of E environments against their reference frame; B target bodies."""

    anchor_pos_sq: Tensor
    """(E,) m^2, global."""
    anchor_ori: Tensor
    """(E,) rad, global."""
    body_pos_sq: Tensor
    """(E, B) m^2 against the re-anchored reference."""
    body_ori: Tensor
    """(E, B) rad against the re-anchored reference."""
    body_lin_vel_sq: Tensor
    """(E, B) m^2/s^2, world frame, not re-anchored."""
    body_ang_vel_sq: Tensor
    """(E, B) rad^2/s^2, world frame, not re-anchored."""
    height: Tensor
    """(E, B) m: z of the re-anchored reference less the robot's; re-anchoring keeps the anchor's reference height."""
    gravity_z: Tensor
    """(E,) z of gravity in the reference anchor less that in the robot's, in [-2, 2]."""


def reanchored(reference: MotionFrames, anchor: int, anchor_pos: Tensor, anchor_quat: Tensor) -> tuple[Tensor, Tensor]:
    """Body targets p_b*, R_b*: the reference moved to the robot's anchor in x, y and yaw.

    anchor_pos (E, 3) m, anchor_quat (E, 4) of the robot -> (E, B, 3), (E, B, 4). Twin of bm_core.reference.
    """
    ref_anchor = reference.body_pos_w[:, anchor]
    yaw = yaw_from_quat(quat_multiply(anchor_quat, quat_conjugate(reference.body_quat_w[:, anchor])))
    turn = quat_from_yaw(yaw)[:, None]
    origin = torch.cat([anchor_pos[:, :2], ref_anchor[:, 2:]], dim=-1)
    position = (reference.body_pos_w - ref_anchor[:, None]) @ matrix_from_quat(turn[:, 0]).mT + origin[:, None]
    return position, quat_multiply(turn, reference.body_quat_w)


def tracking_errors(
    reference: MotionFrames,
    anchor: int,
    body_pos: Tensor,
    body_quat: Tensor,
    body_lin_vel: Tensor,
    body_ang_vel: Tensor,
) -> TrackingErrors:
    """Errors of the robot's target bodies (E, B, ...), whose anchor is body number `anchor`; quaternions wxyz."""
    target_pos, target_quat = reanchored(reference, anchor, body_pos[:, anchor], body_quat[:, anchor])
    position = target_pos - body_pos
    return TrackingErrors(
        anchor_pos_sq=(reference.body_pos_w[:, anchor] - body_pos[:, anchor]).square().sum(-1),
        anchor_ori=_angle(reference.body_quat_w[:, anchor], body_quat[:, anchor]),
        body_pos_sq=position.square().sum(-1),
        body_ori=_angle(target_quat, body_quat),
        body_lin_vel_sq=(reference.body_lin_vel_w - body_lin_vel).square().sum(-1),
        body_ang_vel_sq=(reference.body_ang_vel_w - body_ang_vel).square().sum(-1),
        height=position[..., 2],
        gravity_z=_gravity_z(reference.body_quat_w[:, anchor]) - _gravity_z(body_quat[:, anchor]),
    )


def _angle(first: Tensor, second: Tensor) -> Tensor:
    """Geodesic angle by the inner product: five kernels instead of the forty of the logarithm.

    float32 resolves 7e-4 rad near zero, which no reward can tell from zero.
    """
    return 2.0 * torch.acos((first * second).sum(-1).abs().clamp(max=1.0))


def _gravity_z(quat: Tensor) -> Tensor:
    """z of the unit gravity vector in the body frame, -R_zz, (..., 4) -> (...)."""
    return 2.0 * quat[..., 1:3].square().sum(-1) - 1.0
