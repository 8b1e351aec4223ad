"""Why the armed client has to brake and stand: found by the bridge, latched, published as one word of shared memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bm_sim2real.bridge.heartbeats import counts_for
from bm_sim2real.bridge.shared_memory import Word
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.holds import Hold, SourceWatch
from bm_sim2real.robots.simulation_config import TICK_DT


class ClientHolds:
    """Counts the operator's beats; a cause stays until `reset` finds it gone. Nothing is held while disarmed."""

    def __init__(self, limits: GuardLimits, words: NDArray[np.uint64]) -> None:
        self._words = words
        self._sources = SourceWatch(limits, TICK_DT)
        self._beats = int(words[Word.OPERATOR_BEATS])
        self._present = Hold.NONE

    def tick(self, worn: Hold, is_deadman_held: bool) -> Hold:
        """Once a writer tick: `worn` motors or battery, the remote's deadman key. Returns what is newly held."""
        words = self._words
        beats = int(words[Word.OPERATOR_BEATS])
        self._present = self._sources.tick() | worn
        is_new, self._beats = beats != self._beats, beats
        if is_deadman_held or (is_new and counts_for(beats, int(words[Word.LEASE]))):
            self._sources.beat(Hold.OPERATOR)
        held = Hold(int(words[Word.HOLDS]))
        new = self._present & ~held if words[Word.LEASE] else Hold.NONE
        if new:
            words[Word.HOLDS] = int(held | new)
        return new

    def reset(self) -> None:
        """Forgets the causes that are gone."""
        self._words[Word.HOLDS] = int(self._words[Word.HOLDS]) & int(self._present)

    @property
    def is_operator_there(self) -> bool:
        """Whether a heartbeat has come within the limit."""
        return self._sources.is_fresh(Hold.OPERATOR)
