"""A link that is not perfect: messages come late, twice, in another order, or not at all. Time is counted in ticks."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import count

import numpy as np

from bm_core.errors import ConfigError

_REORDERED_TICKS = 3
"""Ticks by which a message that is overtaken is later."""


@dataclass(frozen=True, kw_only=True)
class ChannelConfig:
    """What happens to messages, each way. The default is a perfect link."""

    loss: float = 0.0
    """Fraction of messages that never arrive."""
    delay_ticks: int = 0
    """Ticks (2 ms) that every message takes."""
    jitter_ticks: int = 0
    """At most so many ticks more, uniform; their order is kept."""
    duplicated: float = 0.0
    """Fraction of messages that arrive twice, the second time one tick later."""
    reordered: float = 0.0
    """Fraction of messages that are overtaken by those sent in the next 6 ms."""

    def __post_init__(self) -> None:
        for name in ("loss", "duplicated", "reordered"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"{name} = {getattr(self, name)}: a fraction of messages, 0 to below 1")
        for name in ("delay_ticks", "jitter_ticks"):
            if not 0 <= getattr(self, name) <= 500:
                raise ConfigError(f"{name} = {getattr(self, name)}: 0 to 500 ticks (1 s)")

    @property
    def is_perfect(self) -> bool:
        """Whether every message arrives at once."""
        return self == ChannelConfig()


class Channel:
    """One direction. Equal seeds lose and delay the same messages."""

    def __init__(self, seed: int) -> None:
        self.config = ChannelConfig()
        self._random = np.random.default_rng(seed)
        self._on_the_way: list[tuple[int, int, bytes]] = []
        self._numbers = count()
        self._tick = 0
        self._newest_due = 0

    def send(self, message: bytes) -> None:
        """Hands a message over, now."""
        config = self.config
        if config.is_perfect:
            self._add(self._tick, message)
            return
        lost, twice, late = self._random.random(3)
        if lost < config.loss:
            return
        due = self._tick + config.delay_ticks
        if config.jitter_ticks:
            due += int(self._random.integers(config.jitter_ticks + 1))
        self._newest_due = due = max(due, self._newest_due)
        self._add(due + _REORDERED_TICKS * (late < config.reordered), message)
        if twice < config.duplicated:
            self._add(due + 1, message)

    def arrived(self) -> list[bytes]:
        """What has arrived by now, in the order of arrival."""
        messages = []
        while self._on_the_way and self._on_the_way[0][0] <= self._tick:
            messages.append(heapq.heappop(self._on_the_way)[2])
        return messages

    def tick(self) -> None:
        """2 ms pass."""
        self._tick += 1

    def _add(self, due: int, message: bytes) -> None:
        heapq.heappush(self._on_the_way, (due, next(self._numbers), message))
