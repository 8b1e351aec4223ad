"""Goal sources that need no operator: a script of velocities, a list of waypoints, the way to a place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from bm_core.diffusion.guidance.frame import to_present, wrapped
from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.trajectory import PresentFrame
from bm_core.errors import ConfigError
from bm_sim2real.guidance.arrival import Arrival, ArrivalRule
from bm_sim2real.guidance.planar_state import PlanarState

Velocity = tuple[float, float, float]
"""Forward and left m/s, yaw rate rad/s, in the robot's yaw frame."""
TURNS_BEYOND = 0.3
"""m from a place within which a velocity no longer turns towards it"""


class GoalSource(Protocol):
    """Says what is wanted. Asked once for every plan, by the clock of the robot's readings."""

    def goal(self, state: PlanarState) -> GuidanceGoal:
        """The wish at this moment."""
        ...


class ScriptedVelocity:
    """Velocities one after the other, each for its time; the last one stays."""

    def __init__(self, segments: Sequence[tuple[float, Velocity]]) -> None:
        """(s, velocity) each; time counts from the first question. ConfigError without segments."""
        if not segments:
            raise ConfigError("scripted velocity: no segments")
        self._ends = np.cumsum([seconds for seconds, _ in segments])
        self._velocities = [velocity for _, velocity in segments]
        self._begun: float | None = None

    def goal(self, state: PlanarState) -> GuidanceGoal:
        self._begun = state.time if self._begun is None else self._begun
        # A time of 3.0 s may come as 2.9999: half a control step tells the segments apart.
        index = int(np.searchsorted(self._ends, state.time - self._begun + 0.01, side="right"))
        return GuidanceGoal(velocity=self._velocities[min(index, len(self._velocities) - 1)])


class Waypoints:
    """Places one after the other, stopping at each; at the last one it stays."""

    def __init__(
        self,
        places: Sequence[tuple[float, float]],
        *,
        headings: Sequence[float | None] | None = None,
        rule: ArrivalRule | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """`places` in m and `headings` in rad, world. After `timeout_s` a place is given up. ConfigError if empty."""
        if not places:
            raise ConfigError("waypoints: none given")
        self.places = [(float(x), float(y)) for x, y in places]
        self._headings = list(headings) if headings is not None else [None] * len(self.places)
        # Stricter than the judge's rule: the robot knows where it is only by its estimate.
        self._rule = rule or ArrivalRule(distance=0.25, hold_s=1.2)
        self._timeout = timeout_s
        self._arrival = Arrival(self._rule)
        self._begun: float | None = None
        self.index = 0
        """Of the place it goes to; their number once the last is reached."""

    @property
    def is_done(self) -> bool:
        """Whether every place was reached or given up."""
        return self.index >= len(self.places)

    def goal(self, state: PlanarState) -> GuidanceGoal:
        self._begun = state.time if self._begun is None else self._begun
        if not self.is_done:
            distance = float(np.linalg.norm(state.pos_xy - self.places[self.index]))
            is_late = self._timeout is not None and state.time - self._begun >= self._timeout
            if self._arrival.step(state.time, distance, state.speed) or is_late:
                self.index += 1
                self._arrival, self._begun = Arrival(self._rule), state.time
        target = min(self.index, len(self.places) - 1)
        return GuidanceGoal(waypoint=self.places[target], heading=self._headings[target])


class VelocityTowards:
    """Walks to a place by velocity alone: turns to face it, slows down before it, stops there."""

    def __init__(
        self, place: tuple[float, float], *, speed: float = 0.6, turn_gain: float = 1.0, turn_limit: float = 0.6
    ) -> None:
        """`place` m in the world, `speed` m/s, `turn_gain` 1/s, `turn_limit` rad/s."""
        self._place, self._speed = np.array(place), speed
        self._gain, self._limit = turn_gain, turn_limit

    def goal(self, state: PlanarState) -> GuidanceGoal:
        return GuidanceGoal(velocity=self.velocity(state))

    def velocity(self, state: PlanarState) -> Velocity:
        """The one to walk at from where the robot is."""
        offset = to_present(self._place, PresentFrame(pos_xy=state.pos_xy, yaw=np.array(state.yaw)))
        distance = float(np.linalg.norm(offset))
        bearing = float(wrapped(np.arctan2(offset[1], offset[0])))
        speed = min(self._speed, distance) * max(0.0, float(np.cos(bearing)))
        turn = float(np.clip(self._gain * bearing, -self._limit, self._limit)) if distance > TURNS_BEYOND else 0.0
        return speed, 0.0, turn
