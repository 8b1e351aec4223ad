"""When heel and toe of each foot stand on the floor, from a human capture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bm_core.rotations import quat_rotate
from bm_training.motions.retarget.capture import FOOT_POINTS, HumanCapture

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

SIDES = ("left", "right")

_HEIGHT = 0.045
"""A sole point in contact is lower than this above the floor, m of a human (captured soles sink and float by 3 cm)."""
_SPEED = 0.4
"""... and slower than this, m/s,"""
_SPEED_PER_ROOT_SPEED = 0.15
"""... plus this share of the pelvis speed: captured runners' soles seem to slide."""
_MIN_SECONDS = 0.06
"""Shorter contacts, and shorter gaps between two, are noise."""
_MIN_FLAT_SECONDS = 0.1
"""Heel and toe down together for less than this is a foot that rolls over or pivots, not one that lies flat."""


def sole_points(capture: HumanCapture) -> tuple[Array, Array]:
    """Heel and toe of both feet: positions (T, 2 sides, 2 points, 3) in m and their speeds (T, 2, 2) in m/s."""
    sole = np.stack(list(FOOT_POINTS.values()))
    points = np.stack(
        [
            capture.pos(f"{side}_foot")[:, None] + quat_rotate(capture.quat(f"{side}_foot")[:, None], sole)
            for side in SIDES
        ],
        axis=1,
    )
    return points, np.linalg.norm(np.gradient(points, 1.0 / capture.fps, axis=0), axis=-1)


def detect_contacts(capture: HumanCapture) -> Mask:
    """True where a sole point stands, (T, 2 sides, 2 points: heel, toe). The capture's floor must be at zero."""
    points, speeds = sole_points(capture)
    root_speed = np.linalg.norm(np.gradient(capture.pos("pelvis")[:, :2], 1.0 / capture.fps, axis=0), axis=-1)
    limit = _SPEED + _SPEED_PER_ROOT_SPEED * root_speed
    contact = (points[..., 2] < _HEIGHT) & (speeds < limit[:, None, None])
    min_frames = max(2, round(_MIN_SECONDS * capture.fps))
    for side in range(2):
        for point in range(2):
            closed = _without_short_runs(contact[:, side, point], False, min_frames)
            contact[:, side, point] = _without_short_runs(closed, True, min_frames)
        _let_go_of_hasty_flats(contact[:, side], points[:, side, :, 2], round(_MIN_FLAT_SECONDS * capture.fps))
    return contact


def _let_go_of_hasty_flats(contact: Mask, height: Array, min_frames: int) -> None:
    """Where both ends of one foot, (T, 2) and (T, 2) m, touch for an instant only, lets the higher one go; in place."""
    for start, end in runs(np.all(contact, axis=-1)):
        if end - start < min_frames and start > 0 and end < len(contact):
            contact[start:end, np.argmax(height[start:end].mean(0))] = False


def runs(mask: Mask) -> list[tuple[int, int]]:
    """Half-open intervals [start, end) in which `mask` (T,) is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _without_short_runs(mask: Mask, value: bool, min_frames: int) -> Mask:
    """Flips runs of `value` shorter than `min_frames`; those at an end of the clip may go on outside and stay."""
    result = mask.copy()
    for start, end in runs(mask == value):
        if end - start < min_frames and start > 0 and end < len(mask):
            result[start:end] = not value
    return result
