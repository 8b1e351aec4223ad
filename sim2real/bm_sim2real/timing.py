"""Timing that is published: percentiles of the loop, and the clocks that pace it."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import Protocol

import numpy as np


def percentiles(values: Sequence[float], scale: float = 1.0) -> dict[str, float]:
    """{p50, p99, max} of `values` times `scale`; empty dict without values."""
    if not len(values):
        return {}
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": float(p50) * scale, "p99": float(p99) * scale, "max": float(np.max(values)) * scale}


LATE_MS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Upper ends of the histogram's classes, ms; the last class is open."""


class LateHistogram:
    """How late ticks were, counted by class, for runs of any length."""

    def __init__(self) -> None:
        self.counts = [0] * (len(LATE_MS) + 1)

    def add(self, late_s: float) -> None:
        """One tick."""
        self.counts[bisect_left(LATE_MS, 1e3 * late_s)] += 1

    @staticmethod
    def later_than(counts: Sequence[int], ms: float) -> int:
        """Ticks later than `ms`, one of LATE_MS."""
        return sum(counts[LATE_MS.index(ms) + 1 :])


class Clock(Protocol):
    """Paces the writer ticks."""

    is_wall: bool
    """Whether it follows real time."""

    def wait(self) -> float:
        """Returns when the next tick is due; by how many s it is late."""
        ...


class LockstepClock:
    """Every tick is due at once: simulated time runs as fast as the machine allows, and is never late."""

    is_wall = False

    def wait(self) -> float:
        return 0.0


class WallClock:
    """Absolute deadlines, so that one late tick does not shift all that follow."""

    is_wall = True

    def __init__(self, period: float, slip_s: float = 0.1) -> None:
        """`period` in s. More than `slip_s` late, the missed ticks are given up instead of made up in a burst."""
        self._period, self._slip = period, slip_s
        self._due: float | None = None

    def wait(self) -> float:
        now = time.perf_counter()
        if self._due is None:
            self._due = now
        self._due += self._period
        if self._due > now:
            time.sleep(self._due - now)
            now = time.perf_counter()
        late = now - self._due
        if late > self._slip:
            self._due = now
        return max(late, 0.0)
