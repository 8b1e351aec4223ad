"""A goal becomes the planner's steering: commands approached as fast as a robot can, trimmed where settings say so."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.guidance.settings import GuidanceSpec
from bm_core.diffusion.guidance.steering import GoalSteering
from bm_core.diffusion.guidance.trim import CommandTrim
from bm_core.diffusion.spec import DiffusionSpec
from bm_sim2real.guidance.planar_state import PlanarState


class GoalSteerer:
    """One robot's; remembers its trim and the command it has got to."""

    def __init__(self, spec: DiffusionSpec, settings: GuidanceSpec) -> None:
        """`settings`: usually the bundle's, `contract.guidance`."""
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

    def _approached(self, goal: GuidanceGoal, state: PlanarState, dt: float) -> GuidanceGoal:
        if goal.velocity is None:
            self._told = None
            return goal
        velocity = np.asarray(state.velocity, dtype=np.float64)
        # From what the robot does, not from standing: it may have been walking for another goal.
        before, most = velocity if self._told is None else self._told, self._rate * dt
        self._told = before + np.clip(np.array(goal.velocity) - before, -most, most)
        told = self._told if self._settings.trim_gain == 0.0 else self._trim.step(self._told, velocity, dt)
        return dataclasses.replace(goal, velocity=(float(told[0]), float(told[1]), float(told[2])))
