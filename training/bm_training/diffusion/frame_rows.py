"""A control step of many robots as one row of numbers, and rows of whole episodes as what the disk holds."""

from __future__ import annotations

import torch
from torch import Tensor

from bm_core.g1 import G1
from bm_training.diffusion.rollout_file import ROOT_WIDTH, Rollouts

_JOINTS = len(G1.joint_names)


def row_widths(action_width: int) -> list[int]:
    """Root, joint positions and velocities, label, applied action, jolted."""
    return [ROOT_WIDTH, _JOINTS, _JOINTS, action_width, action_width, 1]


def frame_row(
    root: Tensor, joint_pos: Tensor, joint_vel: Tensor, label: Tensor, applied: Tensor, jolted: Tensor
) -> Tensor:
    """(E, 13), (E, 29), (E, 29), (E, A), (E, A), (E,) bool -> (E, W)."""
    return torch.cat([root, joint_pos, joint_vel, label, applied, jolted[:, None].to(root.dtype)], dim=-1)


def as_rollouts(frames: Tensor, source: Tensor) -> Rollouts:
    """Rows (n, T, W) of n episodes; source (n,)."""
    action_width = (frames.shape[-1] - sum(row_widths(0))) // 2
    parts = frames.cpu().split(row_widths(action_width), dim=-1)
    root, joint_pos, joint_vel, label, applied, jolted = (part.numpy() for part in parts)
    return Rollouts(
        root=root.astype("float32"),
        joint_pos=joint_pos.astype("float16"),
        joint_vel=joint_vel.astype("float16"),
        action_label=label.astype("float16"),
        action_applied=applied.astype("float16"),
        jolted=jolted.astype("uint8"),
        source=source.cpu().numpy().astype("int32"),
    )
