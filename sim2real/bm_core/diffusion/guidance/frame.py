"""World <-> present yaw frame, for goals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.guidance.arrays import turned
from bm_core.diffusion.trajectory import PresentFrame

Array = NDArray[np.floating]


def to_present(points: Array, present: PresentFrame) -> Array:
    """(..., 2) m in the world -> in the present yaw frame."""
    offset = np.asarray(points, dtype=np.float64) - present.pos_xy
    return turned(offset, np.cos(present.yaw), -np.sin(present.yaw))


def to_world(points: Array, present: PresentFrame) -> Array:
    """The way back."""
    points = np.asarray(points, dtype=np.float64)
    return turned(points, np.cos(present.yaw), np.sin(present.yaw)) + present.pos_xy


def wrapped(angle: float | Array) -> Array:
    """An angle in -pi..pi, rad."""
    return (np.asarray(angle) + np.pi) % (2.0 * np.pi) - np.pi
