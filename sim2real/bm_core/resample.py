"""A sampled motion at another rate, and its velocities by finite differences. Time is axis 0 everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bm_core.rotations import quat_slerp

Array = NDArray[np.floating]


def sample_points(num_frames: int, fps: float, new_fps: float) -> tuple[NDArray[np.int64], Array]:
    """Where the frames of the new rate lie in the old one: the frame before, and the fraction on to the next.

    The first frame is kept; the last new frame is the last one that is not after the end. Both (T_new,).
    """
    # A thousandth of a frame of slack: 30 -> 50 fps must not lose its last frame to rounding.
    count = int(np.floor((num_frames - 1) * new_fps / fps + 1e-3)) + 1
    at = np.minimum(np.arange(count) * (fps / new_fps), num_frames - 1)
    before = np.minimum(np.floor(at + 1e-9).astype(np.int64), max(num_frames - 2, 0))
    return before, np.clip(at - before, 0.0, 1.0)


def resample_linear(values: Array, fps: float, new_fps: float) -> Array:
    """Linear interpolation, (T, ...) -> (T_new, ...)."""
    if fps == new_fps or len(values) < 2:
        return np.array(values)
    before, fraction = sample_points(len(values), fps, new_fps)
    fraction = fraction.reshape(-1, *([1] * (values.ndim - 1)))
    return values[before] * (1.0 - fraction) + values[before + 1] * fraction


def resample_quat(quat: Array, fps: float, new_fps: float) -> Array:
    """Slerp along the shortest arc, (T, 4) -> (T_new, 4)."""
    if fps == new_fps or len(quat) < 2:
        return np.array(quat)
    before, fraction = sample_points(len(quat), fps, new_fps)
    return quat_slerp(quat[before], quat[before + 1], fraction)


def time_derivative(values: Array, fps: float) -> Array:
    """Central difference, one-sided at both ends, (T, ...) -> (T, ...) per second; zeros for a single frame."""
    if len(values) < 2:
        return np.zeros_like(values)
    return np.gradient(values, 1.0 / fps, axis=0)
