"""When a waypoint counts as reached and stopped at."""

from __future__ import annotations

from dataclasses import dataclass

from bm_core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ArrivalRule:
    """Nearer than `distance`, then slower than `speed` for `hold_s`."""

    distance: float = 0.3
    """m"""
    speed: float = 0.1
    """m/s"""
    hold_s: float = 1.0
    """s"""

    def __post_init__(self) -> None:
        if min(self.distance, self.speed, self.hold_s) <= 0.0:
            raise ConfigError("arrival: distance, speed and hold_s must be above 0")


class Arrival:
    """The rule at work on one waypoint."""

    def __init__(self, rule: ArrivalRule) -> None:
        self._rule = rule
        self._since: float | None = None

    def step(self, time: float, distance: float, speed: float) -> bool:
        """Whether the waypoint is reached by `time` (s), now `distance` m away at `speed` m/s."""
        if distance >= self._rule.distance or speed >= self._rule.speed:
            self._since = None
            return False
        self._since = time if self._since is None else self._since
        return time - self._since >= self._rule.hold_s - 1e-9
