"""Torch twin of bm_core.kinematics for whole data sets at once; tested against it."""

from __future__ import annotations

import torch
from torch import Tensor

from bm_core.kinematics import KinematicTree
from bm_training.rotations import quat_from_axis_angle, quat_multiply, quat_rotate


def forward_kinematics(
    tree: KinematicTree, root_pos: Tensor, root_quat: Tensor, joint_pos: Tensor
) -> tuple[Tensor, Tensor]:
    """Poses of all links, world frame: (F, 3) m, (F, 4) wxyz, (F, J) rad -> (F, B, 3), (F, B, 4)."""
    pos, quat = [root_pos], [root_quat]
    for link in tree.links[1:]:
        offset, turn, axis = (root_pos.new_tensor(values) for values in (link.pos, link.quat, link.axis))
        parent = quat[link.parent]
        pos.append(pos[link.parent] + quat_rotate(parent, offset))
        hinge = quat_from_axis_angle(axis, joint_pos[:, link.joint])
        quat.append(quat_multiply(parent, quat_multiply(turn.expand_as(hinge), hinge)))
    return torch.stack(pos, dim=1), torch.stack(quat, dim=1)


def link_velocities(
    tree: KinematicTree, root_lin_vel: Tensor, root_ang_vel: Tensor, joint_vel: Tensor, pos: Tensor, quat: Tensor
) -> Tensor:
    """Linear velocities of link origins, world frame, (F, B, 3) m/s, from poses of `forward_kinematics`."""
    lin, ang = [root_lin_vel], [root_ang_vel]
    for index, link in enumerate(tree.links[1:], start=1):
        arm = pos[:, index] - pos[:, link.parent]
        lin.append(lin[link.parent] + torch.linalg.cross(ang[link.parent], arm))
        axis = quat_rotate(quat[:, index], root_lin_vel.new_tensor(link.axis))
        ang.append(ang[link.parent] + axis * joint_vel[:, link.joint, None])
    return torch.stack(lin, dim=1)
