"""Pelvis heading and height, arms and waist: what the legs leave free."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import G1
from bm_core.locomotion.config import GaitConfig
from bm_core.locomotion.feet import FootMotion
from bm_core.locomotion.leg_ik import HIPS
from bm_core.locomotion.planar import seen_from

Array = NDArray[np.floating]

_HEIGHT_WINDOW = 12
"""Frames to either side within which the lowest permitted pelvis height counts."""


def smooth(values: Array, half_width: int) -> Array:
    """Moving average over 2 half_width + 1 frames, (T, ...); the ends are held."""
    kernel = 2 * half_width + 1
    padded = np.concatenate([np.repeat(values[:1], half_width, 0), values, np.repeat(values[-1:], half_width + 1, 0)])
    total = np.cumsum(padded, axis=0)
    total = np.concatenate([np.zeros_like(total[:1]), total])
    return (total[kernel:-1] - total[: -kernel - 1]) / kernel


def stride_of(feet: FootMotion, heading: Array) -> Array:
    """How far the left foot is ahead of the right one along the heading (T,), m."""
    middle = np.concatenate([feet.pos[:, 1, :2], heading[:, None]], axis=-1)
    return seen_from(middle, feet.pos[:, 0, :2])[:, 0]


def pelvis_height(feet: FootMotion, pelvis_xy: Array, heading: Array, config: GaitConfig) -> Array:
    """Highest smooth height (T,) m that neither leg's reach forbids, at most the configured one."""
    pose = np.concatenate([pelvis_xy, heading[:, None]], axis=-1)[:, None]
    aside = seen_from(pose, feet.pos[..., :2]) - HIPS[:, :2]
    level = np.sqrt(np.maximum(config.leg_reach**2 - (aside**2).sum(-1), 0.16))
    allowed = np.minimum((level + feet.pos[..., 2] - HIPS[:, 2]).min(axis=1), config.pelvis_height)
    width = _HEIGHT_WINDOW
    padded = np.concatenate([np.full(width, allowed[0]), allowed, np.full(width, allowed[-1])])
    lowest = np.lib.stride_tricks.sliding_window_view(padded, 2 * width + 1).min(axis=-1)
    # Two averages whose windows together span the minimum's: never above what is allowed, and smooth.
    return smooth(smooth(lowest, width // 2), width // 2)


def upper_joints(stride: Array, config: GaitConfig) -> Array:
    """All joints (T, 29) rad in the default pose, but for arms and waist that swing with the stride (T,) m."""
    joints = np.tile(G1.default_joint_pos, (len(stride), 1))
    index = G1.joint_index
    # Positive shoulder pitch is backwards: the arm goes against the leg of its side.
    joints[:, index["left_shoulder_pitch_joint"]] += config.arm_swing * stride
    joints[:, index["right_shoulder_pitch_joint"]] -= config.arm_swing * stride
    joints[:, index["waist_yaw_joint"]] += config.pelvis_swing * stride
    return joints
