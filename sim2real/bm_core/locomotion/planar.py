"""Poses in the plane: arrays (..., 3) of x m, y m, yaw rad."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import CONTROL_DT

Array = NDArray[np.floating]


def place(pose: Array, point: Array) -> Array:
    """A point (..., 2) of the pose's frame, in the world, (..., 2)."""
    cos, sin = np.cos(pose[..., 2]), np.sin(pose[..., 2])
    x, y = point[..., 0], point[..., 1]
    return pose[..., :2] + np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def seen_from(pose: Array, point: Array) -> Array:
    """A world point (..., 2) in the pose's frame, (..., 2)."""
    cos, sin = np.cos(pose[..., 2]), np.sin(pose[..., 2])
    dx, dy = point[..., 0] - pose[..., 0], point[..., 1] - pose[..., 1]
    return np.stack([cos * dx + sin * dy, cos * dy - sin * dx], axis=-1)


def along_arc(start: Array, end: Array, fraction: Array) -> Array:
    """Poses on the constant-twist arc from `start` (3,) to `end` (3,), at `fraction` (N,) of it: (N, 3)."""
    half = 0.5 * (end[2] - start[2])
    # sin(half s) / sin(half): the chord's share, with its limit s for a straight line.
    share = fraction if abs(half) < 1e-9 else np.sin(half * fraction) / np.sin(half)
    turn = half * (fraction - 1.0)
    chord = end[:2] - start[:2]
    x = share * (np.cos(turn) * chord[0] - np.sin(turn) * chord[1])
    y = share * (np.sin(turn) * chord[0] + np.cos(turn) * chord[1])
    return np.stack([start[0] + x, start[1] + y, start[2] + 2.0 * half * fraction], axis=-1)


def ease(fraction: Array) -> Array:
    """0 to 1 with zero velocity at both ends: a quarter of the cubic, the rest the minimum-jerk quintic.

    The quintic alone lags longer behind the body at lift-off, which costs reach and hip torque.
    """
    s = np.clip(fraction, 0.0, 1.0)
    return s * s * (0.25 * (3.0 - 2.0 * s) + 0.75 * s * (10.0 + s * (6.0 * s - 15.0)))


def fade(frames: int, num_frames: int) -> tuple[Array, Array]:
    """How an offset and a velocity at frame 0 die out over `frames`: two weights (num_frames,), one of them in s.

    Quintics: value, velocity and acceleration are zero from frame `frames` on, the acceleration also at frame 0.
    """
    s = np.clip(np.arange(num_frames) / frames, 0.0, 1.0)
    offset = 1.0 - s**3 * (10.0 + s * (6.0 * s - 15.0))
    rate = frames * CONTROL_DT * s * (1.0 - s * s * (6.0 - s * (8.0 - 3.0 * s)))
    return offset, rate


def bump(fraction: Array) -> Array:
    """0 to 1 at the middle and back, with zero velocity at both ends."""
    q = np.clip(fraction * (1.0 - fraction), 0.0, None)
    return 16.0 * q * q
