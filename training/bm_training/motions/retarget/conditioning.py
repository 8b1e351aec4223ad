"""A capture made ready for retargeting: resampled, smoothed, put on a level floor at zero height."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import butter, sosfiltfilt

from bm_core.rotations import quat_normalize
from bm_training.motions.retarget.capture import HumanCapture
from bm_training.motions.retarget.contacts import sole_points

Array = NDArray[np.floating]

_FLOOR_SLOW = 0.4
"""A sole point slower than this is a candidate for lying on the floor, m/s."""
_FLOOR_OUTLIER = 0.02
"""Candidates this far above the fitted floor are a foot held still in the air, m."""
_FLOOR_RIDGE = 0.5
"""Pulls the slope to zero where the feet cover little ground, m^2 a sample."""


def low_pass(values: Array, cutoff: float, fps: float) -> Array:
    """Zero-phase second-order Butterworth, applied both ways along the first axis; `cutoff` in Hz."""
    if cutoff >= 0.5 * fps:
        return values
    sections = butter(2, cutoff / (0.5 * fps), output="sos")
    # Odd padding continues position and slope, so that the clip's ends are not pulled flat.
    return sosfiltfilt(sections, values, axis=0, padtype="odd", padlen=min(len(values) - 1, int(2.0 * fps / cutoff)))


def low_pass_quat(quat: Array, cutoff: float, fps: float) -> Array:
    """`low_pass` for orientations (T, ..., 4): on sign-continuous components, renormalised."""
    return quat_normalize(low_pass(continuous_quat(quat), cutoff, fps))


def continuous_quat(quat: Array) -> Array:
    """Same orientations (T, ..., 4), signs chosen so that neighbours in time are on one hemisphere."""
    flips = np.sum(quat[1:] * quat[:-1], axis=-1, keepdims=True) < 0.0
    sign = np.concatenate([np.ones_like(quat[:1, ..., :1]), np.cumprod(np.where(flips, -1.0, 1.0), axis=0)])
    return quat * sign


def resample(capture: HumanCapture, fps: float, cutoff: float) -> HumanCapture:
    """Low-pass at the source rate, then cubic splines onto the new one; the first frame stays where it is."""
    pos = low_pass(capture.body_pos, cutoff, capture.fps)
    quat = low_pass_quat(capture.body_quat, cutoff, capture.fps)
    old = np.arange(capture.num_frames) / capture.fps
    new = np.arange(int(old[-1] * fps + 1e-6) + 1) / fps
    return replace(
        capture,
        fps=fps,
        body_pos=CubicSpline(old, pos)(new),
        body_quat=quat_normalize(CubicSpline(old, continuous_quat(quat))(new)),
    )


def level_floor(capture: HumanCapture) -> HumanCapture:
    """Shifts every body down by the floor's height under it.

    The floor is a plane through the still soles: mocap volumes are tilted (the AMP walk climbs 1.9 cm a metre).
    """
    points, speeds = sole_points(capture)
    still = speeds < _FLOOR_SLOW
    if still.sum() < 3:
        lowest = float(points[..., 2].min())
        return replace(capture, body_pos=capture.body_pos - np.array([0.0, 0.0, lowest]))
    plane, centre = _floor_plane(points[still])
    height = plane[0] + (capture.body_pos[..., :2] - centre) @ plane[1:]
    body_pos = capture.body_pos.copy()
    body_pos[..., 2] -= height
    return replace(capture, body_pos=body_pos)


def _floor_plane(points: Array) -> tuple[Array, Array]:
    """Robust plane z = c + s (xy - centre) through the lower ones of `points` (N, 3): (c, s_x, s_y), centre (2,)."""
    centre = points[:, :2].mean(0)
    design = np.column_stack([np.ones(len(points)), points[:, :2] - centre])
    plane = np.array([np.quantile(points[:, 2], 0.3), 0.0, 0.0])
    for _ in range(10):
        keep = points[:, 2] - design @ plane < _FLOOR_OUTLIER
        ridge = np.diag([0.0, 1.0, 1.0]) * _FLOOR_RIDGE
        normal = design[keep].T @ design[keep] + ridge
        plane = np.linalg.solve(normal, design[keep].T @ points[keep, 2])
    return plane, centre
