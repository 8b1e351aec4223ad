"""A goal becomes the planner's steering: led around obstacles, approached as fast as a robot can, trimmed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.guidance.obstacle import Obstacle
from bm_core.diffusion.guidance.settings import GuidanceSpec
from bm_core.diffusion.guidance.steering import GoalSteering
from bm_core.diffusion.guidance.trim import CommandTrim
from bm_core.diffusion.spec import DiffusionSpec
from bm_sim2real.guidance.around import AroundConfig, around, can_lead
from bm_sim2real.guidance.planar_state import PlanarState
from bm_sim2real.guidance.way_there import way_there


class GoalSteerer:
    """One robot's; remembers its trim and the command it has got to."""

    def __init__(self, spec: DiffusionSpec, settings: GuidanceSpec, around_config: AroundConfig | None = None) -> None:
        """`settings`: usually the bundle's, `contract.guidance`."""
        self._around = around_config or AroundConfig()
        self._spec, self._settings = spec, settings
        self._trim = CommandTrim(gain=settings.trim_gain, limit=settings.trim_limit)
        self._rate = np.array([settings.slew, settings.slew, settings.turn_slew])
        self._told: NDArray[np.float64] | None = None

    def step(self, goal: GuidanceGoal, state: PlanarState, dt: float) -> GoalSteering:
        """For the next plan; `dt` in s since the last question."""
        return GoalSteering(
            goal=self._approached(goal, state, dt),
            settings=self._settings,
            layout=self._spec.layout,
            representation=self._spec.representation,
        )

    def around(
        self, velocity: NDArray[np.float64], state: PlanarState, obstacles: Sequence[Obstacle]
    ) -> NDArray[np.float64]:
        """A velocity (3,) led around what is in its way."""
        told = float(velocity[0]), float(velocity[1]), float(velocity[2])
        return np.array(around(told, state, obstacles, self._around))

    def _approached(self, goal: GuidanceGoal, state: PlanarState, dt: float) -> GuidanceGoal:
        wanted = self._wanted(goal, state)
        if wanted is None:
            self._told = None
            return goal
        velocity = np.asarray(state.velocity, dtype=np.float64)
        # From what the robot does, not from standing: it may have been walking for another goal.
        before, most = velocity if self._told is None else self._told, self._rate * dt
        self._told = before + np.clip(wanted - before, -most, most)
        told = self._told if self._settings.trim_gain == 0.0 else self._trim.step(self._told, velocity, dt)
        # A waypoint said together with a velocity adds up; one that became the velocity is in it.
        waypoint = None if goal.velocity is None else goal.waypoint
        # Where the velocity leads around, the barrier would drown its turn and pull aside, which legs do not follow.
        is_led = waypoint is None and (goal.velocity is None or can_lead(goal.velocity))
        obstacles = () if is_led else goal.obstacles
        velocity = float(told[0]), float(told[1]), float(told[2])
        return dataclasses.replace(goal, waypoint=waypoint, velocity=velocity, obstacles=obstacles)

    def _wanted(self, goal: GuidanceGoal, state: PlanarState) -> NDArray[np.float64] | None:
        """The goal as a velocity (3,), clear of obstacles; None: the planner finds the way by itself."""
        if goal.velocity is not None:
            return self.around(np.array(goal.velocity), state, goal.obstacles)
        if goal.waypoint is None:
            return None
        led = way_there(goal.waypoint, state, goal.obstacles, self._settings, self._around)
        return None if led is None else np.array(led)
