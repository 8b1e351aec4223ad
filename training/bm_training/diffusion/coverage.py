"""What velocities a collection really contains, and which changes between them. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import CONTROL_DT
from bm_core.rotations import quat_from_yaw, quat_rotate, yaw_from_quat

Array = NDArray[np.floating]

LOWER, UPPER = np.array([-0.6, -0.4, -1.0]), np.array([1.2, 0.4, 1.0])
"""The joystick's range: vx, vy m/s, wz rad/s."""
CELL = np.array([0.2, 0.2, 0.4])
MIN_CELL_S = 120.0
"""s of data that every cell inside the ellipsoid must hold"""
MIN_TRANSITIONS = 200
"""Episodes for every change of gait"""
GAITS = ("stand", "walk", "turn", "back")
TRANSITIONS = tuple(permutations(GAITS, 2))
_AVERAGE_S = 0.5
"""Velocities are means over about a step: the pelvis sways with every one."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Seconds per velocity cell and episodes per change of gait."""

    seconds: Array
    """(9, 4, 5) by cell of vx, vy, wz"""
    is_required: NDArray[np.bool_]
    """(9, 4, 5) whether the cell's middle is inside the ellipsoid in the joystick's range"""
    outside: float
    """s outside the box"""
    transitions: dict[tuple[str, str], int]

    @property
    def poor_cells(self) -> int:
        """Required cells with less than MIN_CELL_S."""
        return int((self.is_required & (self.seconds < MIN_CELL_S)).sum())

    @property
    def poor_transitions(self) -> list[str]:
        """Changes of gait with less than MIN_TRANSITIONS episodes."""
        return [f"{one} -> {other}" for (one, other), n in self.transitions.items() if n < MIN_TRANSITIONS]

    @property
    def is_enough(self) -> bool:
        return self.poor_cells == 0 and not self.poor_transitions


def coverage_of(root: Array) -> Coverage:
    """From the pelvis states (E, T, 13) of a collection."""
    velocity = planar_velocity(root)
    shape = tuple(np.round((UPPER - LOWER) / CELL).astype(int))
    cell = np.floor((velocity.reshape(-1, 3) - LOWER) / CELL).astype(int)
    inside = ((cell >= 0) & (cell < shape)).all(axis=1)
    counts = np.zeros(shape)
    np.add.at(counts, tuple(cell[inside].T), 1.0)
    return Coverage(
        seconds=counts * CONTROL_DT,
        is_required=_inside_ellipsoid(shape),
        outside=float((~inside).sum()) * CONTROL_DT,
        transitions=_transitions(velocity),
    )


def planar_velocity(root: Array) -> Array:
    """vx, vy m/s in the pelvis's yaw frame and wz rad/s, each a running mean over 0.5 s: (E, T, 13) -> (E, T, 3)."""
    root = np.asarray(root, dtype=np.float64)
    to_own_yaw = quat_from_yaw(-yaw_from_quat(root[..., 3:7]))
    planar = quat_rotate(to_own_yaw, root[..., 7:10])
    planar[..., 2] = root[..., 12]
    width = min(round(_AVERAGE_S / CONTROL_DT), root.shape[1])
    sums = np.cumsum(np.pad(planar, ((0, 0), (1, 0), (0, 0))), axis=1)
    # Shorter windows at both ends, centred otherwise.
    index = np.arange(root.shape[1])
    first, last = np.maximum(index - width // 2, 0), np.minimum(index + (width + 1) // 2, root.shape[1])
    return (sums[:, last] - sums[:, first]) / (last - first)[:, None]


def gait_of(velocity: Array) -> NDArray[np.int64]:
    """Index into GAITS, -1 for anything else (sideways, very slow): (..., 3) -> (...)."""
    vx, vy, wz = np.moveaxis(np.asarray(velocity), -1, 0)
    is_slow = (np.hypot(vx, vy) < 0.1) & (np.abs(wz) < 0.15)
    is_turn = (np.abs(wz) > 0.3) & (np.hypot(vx, vy) < 0.2)
    return np.select([is_slow, is_turn, vx > 0.2, vx < -0.15], [0, 2, 1, 3], default=-1)


def _transitions(velocity: Array) -> dict[tuple[str, str], int]:
    edge = min(round(_AVERAGE_S / CONTROL_DT), velocity.shape[1])
    before, after = gait_of(velocity[:, :edge].mean(axis=1)), gait_of(velocity[:, -edge:].mean(axis=1))
    return {
        (one, other): int(((before == GAITS.index(one)) & (after == GAITS.index(other))).sum())
        for one, other in TRANSITIONS
    }


def _inside_ellipsoid(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    middle, half = 0.5 * (LOWER + UPPER), 0.5 * (UPPER - LOWER)
    centres = [LOWER[axis] + CELL[axis] * (np.arange(shape[axis]) + 0.5) for axis in range(3)]
    grid = np.stack(np.meshgrid(*centres, indexing="ij"), axis=-1)
    return (((grid - middle) / half) ** 2).sum(axis=-1) <= 1.0
