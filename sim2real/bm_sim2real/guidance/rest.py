"""Whether a goal asks for motion now: a robot that shall stand is left to the tracker, which does it better."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.guidance.frame import to_present, wrapped
from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.guidance.settings import GuidanceSpec
from bm_core.diffusion.trajectory import PresentFrame
from bm_sim2real.guidance.planar_state import PlanarState

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class RestRule:
    """When standing is what is asked for."""

    speed: float = 0.05
    """m/s: a slower command is one to stand"""
    turn: float = 0.1
    """rad/s"""
    near: float = 0.2
    """m from a waypoint at which the robot stops"""
    far: float = 0.24
    """m from it at which it sets out again"""
    facing: float = 0.3
    """rad off the heading asked for at which it still stops; twice as much and it sets out again"""
    hold_s: float = 0.3
    """s that a command to stand must last: sticks pass through zero on their way from one side to the other."""


@dataclass
class Rest:
    """The rule at work on one robot."""

    settings: GuidanceSpec
    rule: RestRule = field(default_factory=RestRule)
    _since: float | None = None
    _is_there: bool = False

    def velocity(self, goal: GuidanceGoal, state: PlanarState) -> Array | None:
        """(3,) m/s, m/s, rad/s in the robot's yaw frame to set out with; None: stand."""
        if goal.is_empty:
            return None
        wanted = self._wanted(goal, state)
        if wanted is not None:
            self._since = None
            return wanted
        self._since = state.time if self._since is None else self._since
        return None if state.time - self._since >= self.rule.hold_s - 1e-9 else np.zeros(3)

    def _wanted(self, goal: GuidanceGoal, state: PlanarState) -> Array | None:
        if goal.waypoint is not None:
            return self._towards(goal, state)
        velocity = np.zeros(3) if goal.velocity is None else np.array(goal.velocity, dtype=np.float64)
        is_slow = np.hypot(*velocity[:2]) < self.rule.speed and abs(velocity[2]) < self.rule.turn
        return None if is_slow and goal.keyframes is None else velocity

    def _towards(self, goal: GuidanceGoal, state: PlanarState) -> Array | None:
        settings, rule = self.settings, self.rule
        offset = to_present(np.array(goal.waypoint), PresentFrame(pos_xy=state.pos_xy, yaw=np.array(state.yaw)))
        distance, bearing = float(np.hypot(*offset)), float(np.arctan2(offset[1], offset[0]))
        away = 0.0 if goal.heading is None else abs(float(wrapped(goal.heading - state.yaw)))
        scale = (rule.far / rule.near, 2.0) if self._is_there else (1.0, 1.0)
        self._is_there = distance < rule.near * scale[0] and away < rule.facing * scale[1]
        if self._is_there:
            return None
        turn = float(np.clip(settings.turn_gain * bearing, -settings.turn_limit, settings.turn_limit))
        speed = min(settings.approach_forward, distance) * max(0.0, float(np.cos(bearing)))
        return np.array([speed, 0.0, turn])
