"""Why a robot must brake, stand and stay: losses that leave the policy alive, and parts that need rest."""

from __future__ import annotations

from enum import IntFlag

from bm_sim2real.guard_limits import GuardLimits


class Hold(IntFlag):
    """Causes of a controlled end, BRAKE -> STAND; each stays until it is reset and gone."""

    NONE = 0
    OPERATOR = 1 << 0
    """The operator's heartbeat is lost."""
    PLANNER = 1 << 1
    """No fresh plan."""
    GUIDANCE = 1 << 2
    """The commands that steer a plan are lost."""
    MOTOR_TEMPERATURE = 1 << 3
    BATTERY = 1 << 4


_ALL = (Hold.OPERATOR, Hold.PLANNER, Hold.GUIDANCE, Hold.MOTOR_TEMPERATURE, Hold.BATTERY)


def hold_names(holds: int) -> list[str]:
    """Lower-case names of the causes in a word, such as ["operator"]."""
    return [hold.name.lower() for hold in _ALL if holds & hold and hold.name]


class SourceWatch:
    """Which of the sources that have spoken have since fallen silent. Counts ticks of `tick_s`, not wall time."""

    def __init__(self, limits: GuardLimits, tick_s: float) -> None:
        self._limit = round(limits.heartbeat_s / tick_s)
        self._ages: dict[Hold, int] = {}

    def beat(self, source: Hold) -> None:
        """It has spoken; from now on its silence counts."""
        self._ages[source] = 0

    def forget(self, source: Hold) -> None:
        """Nothing is expected of it any more."""
        self._ages.pop(source, None)

    def is_fresh(self, source: Hold) -> bool:
        """Whether it has spoken within the limit."""
        return self._ages.get(source, self._limit) < self._limit

    def tick(self) -> Hold:
        """Lets one tick pass; the sources that are silent for too long."""
        lost = Hold.NONE
        for source in self._ages:
            self._ages[source] += 1
            if self._ages[source] >= self._limit:
                lost |= source
        return lost
