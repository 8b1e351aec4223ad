"""Percentiles of a run that may last for hours, in memory that does not grow: a histogram with fine bins."""

from __future__ import annotations

import numpy as np

_BIN_MS = 0.05
_BINS = 10_000
"""Up to 500 ms; what is longer counts in the last bin, the maximum is kept exactly."""


class TimingWindow:
    """Durations since the start; `add` costs a microsecond."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, dtype=np.int64)
        self._max_ms = 0.0

    def add(self, seconds: float) -> None:
        """One duration, s."""
        ms = 1e3 * seconds
        self._max_ms = max(self._max_ms, ms)
        self._counts[min(_BINS - 1, max(0, int(ms / _BIN_MS)))] += 1

    def percentiles_ms(self) -> dict[str, float]:
        """p50 and p99, rounded up to 0.05 ms, and the exact max; empty without values."""
        total = int(self._counts.sum())
        if not total:
            return {}
        cumulated = np.cumsum(self._counts)
        p50, p99 = ((int(np.searchsorted(cumulated, q * total)) + 1) * _BIN_MS for q in (0.5, 0.99))
        return {"p50": min(p50, self._max_ms), "p99": min(p99, self._max_ms), "max": self._max_ms}
