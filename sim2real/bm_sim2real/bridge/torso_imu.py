"""The second IMU, in the torso, against the first through the waist: a turned, stuck or lying IMU shows here.

Only the directions of gravity are compared: the two headings drift apart. The policy's torso pose stays that of pelvis
IMU and waist, as in training.
"""

from __future__ import annotations

import math

from bm_core import rotations_single as single
from bm_core.body_from_pelvis import BodyFromPelvis
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.robots.unitree.low_state import LowState
from bm_sim2real.robots.unitree.torso_imu import TorsoImu

EVERY = 5
"""Ticks between two comparisons (10 ms)."""
_TORSO = "torso_link"
_UP = (0.0, 0.0, 1.0)


class TorsoImuCheck:
    """Counts ticks of disagreement. A robot without a torso IMU is never judged."""

    def __init__(self, limits: GuardLimits) -> None:
        self._limits = limits
        self._torso = BodyFromPelvis(_TORSO)
        self._ticks = self._bad = 0
        self._fault: tuple[str, str] | None = None
        self.error = math.nan
        """rad, of the newest comparison."""

    def look(self, reading: LowState, torso: TorsoImu | None) -> tuple[str, str] | None:
        """Once a tick: name and detail of the fault, if any. Between two comparisons the last one counts."""
        self._ticks += 1
        if self._ticks % EVERY == 0:
            self._fault = self._compare(reading, torso)
        return self._fault

    def _compare(self, reading: LowState, torso: TorsoImu | None) -> tuple[str, str] | None:
        if torso is None:
            self._bad, self.error = 0, math.nan
            return None
        self.error = self._error(reading, torso.quat.tolist())
        self._bad = 0 if self.error <= self._limits.torso_imu else self._bad + EVERY
        if self._bad < self._limits.torso_imu_ticks:
            return None
        return "imu_disagreement", f"torso IMU {self.error:.2f} rad off the pelvis IMU (limit {self._limits.torso_imu})"

    def _error(self, reading: LowState, torso_quat: list[float]) -> float:
        """rad; infinite for numbers that are no orientation."""
        length = math.sqrt(sum(x * x for x in torso_quat))
        if not abs(length - 1.0) <= self._limits.quat_norm_tolerance:
            return math.inf
        _, waist = self._torso.relative(reading.joint_pos)
        expected = single.rotate_inverse(waist, single.rotate_inverse(reading.imu_quat.tolist(), _UP))
        seen = single.rotate_inverse(torso_quat, _UP)
        cosine = sum(a * b for a, b in zip(expected, seen, strict=True))
        return math.acos(min(1.0, max(-1.0, cosine))) if math.isfinite(cosine) else math.inf
