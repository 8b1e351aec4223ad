"""The base estimate inside the bridge: every reading once, with resets that clients may ask for."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.state import RobotState
from bm_sim2real.bridge.shared_memory import Word
from bm_sim2real.estimator.base_estimator import BaseEstimator
from bm_sim2real.robots.estimated import with_estimate


class PublishedEstimate:
    """Begins at the first reading, standing at x = y = 0, and again at every reset."""

    def __init__(self, tick_dt: float) -> None:
        self._estimator, self._tick_dt = BaseEstimator(dt=tick_dt), tick_dt
        self._seq = -1
        self._resets = -1
        self._state: RobotState | None = None

    def warm_up(self, state: RobotState) -> None:
        """What the first update takes longer, it takes now: a writer that hangs in its first ticks is taken over."""
        self._estimator.reset(state)
        for k in range(1, 6):
            self._estimator.update(dataclasses.replace(state, time=state.time + k * self._tick_dt))

    def of(self, state: RobotState, words: NDArray[np.uint64]) -> tuple[RobotState, NDArray[np.float64]]:
        """The reading with its estimate, and the covariance (6, 6) of position and velocity, world frame."""
        resets = int(words[Word.ESTIMATE_RESETS])
        if self._state is None or resets != self._resets:
            self._resets = resets
            self._state = with_estimate(state, self._estimator.reset(state))
        elif state.seq != self._seq:
            with np.errstate(all="ignore"):  # a reading that is no number ends in an unhealthy estimate, not in words
                self._state = with_estimate(state, self._estimator.update(state))
        self._seq = state.seq
        return self._state, self._estimator.estimate.covariance

    def status(self) -> dict[str, Any] | None:
        """Health and contacts; None before the first reading."""
        if self._state is None:
            return None
        estimate = self._estimator.estimate
        return {
            "is_healthy": estimate.healthy,
            "reason": estimate.reason,
            "contact": estimate.contact.tolist(),
            "resets": self._resets,
        }
