"""Foot trajectories that do not slide: points in contact are pinned to the floor, swings bend smoothly in between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bm_core.rotations import (
    matrix_from_quat,
    quat_conjugate,
    quat_from_axis_angle,
    quat_from_rotvec,
    quat_from_yaw,
    quat_multiply,
    quat_rotate,
    rotvec_from_quat,
    yaw_from_quat,
)
from bm_training.motions.retarget.contacts import Mask, runs
from bm_training.motions.retarget.robot_size import G1_FOOT_POINTS, SOLE_OUTLINE, SOLE_RADIUS
from bm_training.motions.retarget.smooth_corrections import hold_steps, hold_values
from bm_training.motions.retarget.targets import BodyTargets

Array = NDArray[np.floating]

_PIN = 1e6
"""Weight of a pin against one of following the capture."""
_SMOOTH_SECONDS = 0.1
"""A correction of the position dies away over about this time before and after a contact."""
_TURN_SECONDS = 0.2
"""The same for the orientation: pivoting humans turn a foot that the robot keeps still; catching up takes longer."""
_CLEARANCE = 0.025
"""Of the sole in the middle of a swing, at least, m; human toes pass the floor closer than a robot should."""
_RAISED_END = 0.04
"""Pitch that lifts the toe over a foot that stands on its heel, or the heel over one on its toe, at least, rad."""
_LIFT_ROUNDS = 4
"""Lifting one frame of a swing may leave its neighbours too low."""
_Y_AXIS = np.array([0.0, 1.0, 0.0])


def plan_footsteps(targets: BodyTargets, contact: Mask, fps: float) -> BodyTargets:
    """Replaces the foot poses: heel and toe stay where they stand, nothing goes below the floor.

    contact (T, 2 sides, 2 points) from detect_contacts. A foot with both points down lies flat with a constant heading;
    with one point down it may roll and turn about it.
    """
    pos, quat = targets.foot_pos.copy(), targets.foot_quat.copy()
    for side in range(2):
        quat[:, side] = _plan_orientation(quat[:, side], contact[:, side], fps)
        pos[:, side] = _plan_position(pos[:, side], quat[:, side], contact[:, side], fps)
    return replace(targets, foot_pos=pos, foot_quat=quat)


def _plan_orientation(quat: Array, contact: Mask, fps: float) -> Array:
    """Flat and constant heading while heel and toe are down; the correction that takes dies away smoothly, (T, 4)."""
    flat = np.all(contact, axis=-1)
    wanted = quat.copy()
    for start, end in runs(flat):
        heading = np.unwrap(yaw_from_quat(quat[start:end]))
        wanted[start:end] = quat_from_yaw(float(np.median(heading)))
    correction = rotvec_from_quat(quat_multiply(wanted, quat_conjugate(quat)))
    weight = np.where(flat, _PIN, 0.0)
    smooth = [hold_values(correction[:, axis], weight, _TURN_SECONDS * fps) for axis in range(3)]
    planned = quat_multiply(quat_from_rotvec(np.stack(smooth, axis=-1)), quat)
    return _keep_raised_end_up(planned, contact)


def _keep_raised_end_up(quat: Array, contact: Mask) -> Array:
    """With the heel alone on the floor the toe is clear of it, and the other way round: it may be turning."""
    pitch = -np.arcsin(np.clip(matrix_from_quat(quat)[..., 2, 0], -1.0, 1.0))
    heel_only, toe_only = contact[:, 0] & ~contact[:, 1], contact[:, 1] & ~contact[:, 0]
    tilt = _RAISED_END * _half_sines(heel_only) - _RAISED_END * _half_sines(toe_only)
    excess = np.where(heel_only, np.maximum(pitch + tilt, 0.0), np.where(toe_only, np.minimum(pitch + tilt, 0.0), 0.0))
    return quat_multiply(quat, quat_from_axis_angle(_Y_AXIS, -excess))


def _plan_position(pos: Array, quat: Array, contact: Mask, fps: float) -> Array:
    """Ankle positions (T, 3) near `pos` such that points in contact rest on the floor and do not move."""
    points = pos[:, None] + quat_rotate(quat[:, None], np.stack(list(G1_FOOT_POINTS.values())))
    held = contact[:-1] & contact[1:]
    steps = _mean_where(np.diff(points, axis=0), held[..., None])
    weight = _PIN * np.any(held, axis=-1)
    horizontal = [hold_steps(-steps[:, axis], weight, _SMOOTH_SECONDS * fps) for axis in range(2)]
    lowest = np.min(pos[:, None, 2] + quat_rotate(quat[:, None], SOLE_OUTLINE)[..., 2], axis=-1) - SOLE_RADIUS
    vertical = _plan_height(lowest, np.any(contact, axis=-1), fps)
    return pos + np.stack([*horizontal, vertical], axis=-1)


def _plan_height(lowest: Array, grounded: Mask, fps: float) -> Array:
    """Correction of the height (T,) by which the sole's lowest point, (T,) m, is on the floor or clear of it."""
    clearance = _CLEARANCE * _half_sines(~grounded)
    value, weight = -lowest, _PIN * grounded
    for _ in range(_LIFT_ROUNDS):
        correction = hold_values(value, weight, _SMOOTH_SECONDS * fps)
        too_low = ~grounded & (lowest + correction < clearance - 1e-3)
        if not too_low.any():
            break
        value = np.where(too_low, clearance - lowest, value)
        weight = np.where(too_low, _PIN, weight)
    return correction


def _half_sines(mask: Mask) -> Array:
    """Rises from 0 to 1 and falls again over each run of `mask` (T,), 0 elsewhere."""
    result = np.zeros(len(mask))
    for start, end in runs(mask):
        length = end - start
        # A run cut off by the clip's end is at its half there.
        before, after = (0 if start > 0 else length), (0 if end < len(mask) else length)
        phase = np.arange(before + 1, before + length + 1) / (before + length + after + 1)
        result[start:end] = np.sin(np.pi * phase)
    return result


def _mean_where(values: Array, mask: Mask) -> Array:
    """Mean of the masked values over heel and toe, (N, 2, ...) -> (N, ...); zero where none is."""
    return (values * mask).sum(1) / np.maximum(mask.sum(1), 1)
