"""Adds what is in the way to another source's goals."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.guidance.obstacle import Obstacle
from bm_sim2real.guidance.planar_state import PlanarState
from bm_sim2real.guidance.sources import GoalSource


class AmongObstacles:
    """Another source's goals, with obstacles as they are at the moment."""

    def __init__(self, source: GoalSource, obstacles_at: Callable[[float], tuple[Obstacle, ...]]) -> None:
        """`obstacles_at(time)`: in the world, `time` on the clock of the robot's readings."""
        self.source, self._obstacles_at = source, obstacles_at

    def goal(self, state: PlanarState) -> GuidanceGoal:
        return dataclasses.replace(self.source.goal(state), obstacles=self._obstacles_at(state.time))
