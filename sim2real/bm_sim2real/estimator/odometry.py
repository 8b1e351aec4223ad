"""Corrects the drift of the base estimate by a slower, later, absolute source: LiDAR odometry, motion capture.

The base estimate stays continuous in its own frame (odom, REP-105); what a fix changes is the alignment of that frame
to the map. A fix is compared with where the estimate was when it was taken, so its delay does not matter.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core import rotations_single as single

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class OdometryFix:
    """Where an external source saw the pelvis."""

    time: float
    """s on the robot's clock, when it was taken, not when it arrived"""
    pos: Array
    """(3,) m, pelvis origin in the map"""
    yaw: float
    """rad, heading of the pelvis in the map"""
    pos_sigma: float = 0.03
    """m, standard deviation"""
    yaw_sigma: float = 0.02
    """rad, standard deviation"""


@dataclass(frozen=True, kw_only=True)
class OdometryConfig:
    """How fast the base estimate drifts, and what a fix may say."""

    pos_drift: float = 0.03
    """m / sqrt(s)"""
    yaw_drift: float = 0.003
    """rad / sqrt(s)"""
    max_age_s: float = 1.0
    """s; older fixes are refused"""
    max_jump: float = 1.0
    """m between a fix and the corrected estimate; a fix further off is refused: after a loss, reset instead"""


class OdometryCorrection:
    """Alignment of the estimate's frame to the map, at first equal. `record` every tick, `correct` when a fix comes.

    Where the map's origin is somewhere else, the first fix goes to `begin`.
    """

    def __init__(self, config: OdometryConfig | None = None) -> None:
        self._config = config or OdometryConfig()
        self.reset()

    def reset(self) -> None:
        """Map and odom frame are the same, and known to be."""
        self.shift = np.zeros(3)
        """(3,) m and"""
        self.turn = 0.0
        """rad: map = turn about z, then shift"""
        self.refused = 0
        """Fixes that were not used"""
        self._pos_var, self._yaw_var = 0.0, 0.0
        self._past: deque[tuple[float, Array, float]] = deque()

    def record(self, time: float, pelvis_pos: Array, pelvis_quat: Array) -> None:
        """One tick of the base estimate in its own frame; times must rise."""
        if self._past:
            dt = time - self._past[-1][0]
            self._pos_var += self._config.pos_drift**2 * dt
            self._yaw_var += self._config.yaw_drift**2 * dt
        self._past.append((time, pelvis_pos, single.yaw(pelvis_quat.tolist())))
        while self._past[0][0] < time - self._config.max_age_s:
            self._past.popleft()

    def begin(self, fix: OdometryFix) -> bool:
        """Takes the whole alignment from one fix, however far off. False if refused, as in `correct`."""
        seen = self._seen(fix)
        if seen is None:
            return False
        pos, yaw = seen
        self.turn = _wrapped(fix.yaw - yaw)
        self.shift = self.shift + fix.pos - self.pos_in_map(pos)
        self._pos_var, self._yaw_var = fix.pos_sigma**2, fix.yaw_sigma**2
        return True

    def correct(self, fix: OdometryFix) -> bool:
        """Moves the alignment towards the fix. False if refused: not a number, too old, from the future, too far."""
        seen = self._seen(fix)
        if seen is None:
            return False
        pos, yaw = seen
        error = fix.pos - self.pos_in_map(pos)
        if not float(error @ error) <= self._config.max_jump**2:
            self.refused += 1
            return False
        yaw_gain = self._yaw_var / (self._yaw_var + fix.yaw_sigma**2)
        pos_gain = self._pos_var / (self._pos_var + fix.pos_sigma**2)
        pivot = self.pos_in_map(pos)
        self.turn += yaw_gain * _wrapped(fix.yaw - yaw - self.turn)
        # The turn is about where the robot was: the map position of that moment must not move with it.
        self.shift = self.shift + pivot - self.pos_in_map(pos) + pos_gain * error
        self._yaw_var *= 1.0 - yaw_gain
        self._pos_var *= 1.0 - pos_gain
        return True

    def pos_in_map(self, pos: Array) -> Array:
        """(3,) m in the odom frame -> (3,) m in the map."""
        c, s = math.cos(self.turn), math.sin(self.turn)
        x, y, z = pos.tolist()
        return np.array([c * x - s * y, s * x + c * y, z]) + self.shift

    def quat_in_map(self, quat: Array) -> Array:
        """(4,) wxyz in the odom frame -> (4,) in the map."""
        return np.array(single.multiply(single.from_axis_angle((0.0, 0.0, 1.0), self.turn), quat.tolist()))

    def _seen(self, fix: OdometryFix) -> tuple[Array, float] | None:
        """What the estimate said when the fix was taken; None, and counted, if that is not known or it is no number."""
        seen = self._at(fix.time)
        if seen is None or not math.isfinite(fix.yaw + float(fix.pos.sum())):
            self.refused += 1
            return None
        return seen

    def _at(self, time: float) -> tuple[Array, float] | None:
        """Position and heading recorded last at or before `time`; None outside of the record."""
        if not self._past or not self._past[0][0] <= time <= self._past[-1][0] + 1e-9:
            return None
        index = bisect_right([entry[0] for entry in self._past], time + 1e-9) - 1
        return self._past[index][1:]


def _wrapped(angle: float) -> float:
    return math.remainder(angle, 2.0 * math.pi)
