"""What a robot really did, as the rules of the tasks look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_sim2real.guidance.planar_state import PlanarState

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Track:
    """Pelvis and bodies at T instants, simulator ground truth."""

    times: Array
    """(T,) s"""
    pos_xy: Array
    """(T, 2) m, world"""
    yaw: Array
    """(T,) rad"""
    velocity: Array
    """(T, 3) m/s forward and left, rad/s, in the robot's yaw frame"""
    body_pos_w: Array | None = None
    """(T, 14, 3) m, TARGET_BODIES; None where nobody asks for clearance"""

    @classmethod
    def of(cls, states: Sequence[PlanarState], body_pos_w: Sequence[Array] | None = None) -> Track:
        """From states one after the other."""
        return cls(
            times=np.array([state.time for state in states]),
            pos_xy=np.array([state.pos_xy for state in states]).reshape(-1, 2),
            yaw=np.array([state.yaw for state in states]),
            velocity=np.array([state.velocity for state in states]).reshape(-1, 3),
            body_pos_w=None if body_pos_w is None else np.array(body_pos_w).reshape(-1, 14, 3),
        )

    @property
    def speed(self) -> Array:
        """(T,) m/s over ground"""
        return np.linalg.norm(self.velocity[:, :2], axis=1)

    def mean_velocity(self, start: float, end: float) -> Array:
        """(3,) over start <= time < end; NaN without samples there."""
        inside = (self.times >= start - 1e-9) & (self.times < end - 1e-9)
        return self.velocity[inside].mean(axis=0) if inside.any() else np.full(3, np.nan)

    def path_length(self, start: float = -np.inf, end: float = np.inf) -> float:
        """m of the pelvis over ground between two times."""
        inside = (self.times >= start) & (self.times <= end)
        return float(np.linalg.norm(np.diff(self.pos_xy[inside], axis=0), axis=1).sum())
