"""A goal becomes the planner's steering, trimmed where the settings say so."""

from __future__ import annotations

import dataclasses

import numpy as np

from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.guidance.settings import GuidanceSpec
from bm_core.diffusion.guidance.steering import GoalSteering
from bm_core.diffusion.guidance.trim import CommandTrim
from bm_core.diffusion.spec import DiffusionSpec
from bm_sim2real.guidance.planar_state import PlanarState


class GoalSteerer:
    """One robot's; remembers its trim."""

    def __init__(self, spec: DiffusionSpec, settings: GuidanceSpec) -> None:
        """`settings`: usually the bundle's, `contract.guidance`."""
        self._spec, self._settings = spec, settings
        self._trim = CommandTrim(gain=settings.trim_gain, limit=settings.trim_limit)

    def step(self, goal: GuidanceGoal, state: PlanarState, dt: float) -> GoalSteering:
        """For the next plan; `dt` in s since the last question."""
        return GoalSteering(
            goal=self._trimmed(goal, state, dt),
            settings=self._settings,
            layout=self._spec.layout,
            representation=self._spec.representation,
        )

    def _trimmed(self, goal: GuidanceGoal, state: PlanarState, dt: float) -> GuidanceGoal:
        if goal.velocity is None or self._settings.trim_gain == 0.0:
            return goal
        told = self._trim.step(np.array(goal.velocity), np.asarray(state.velocity, dtype=np.float64), dt)
        return dataclasses.replace(goal, velocity=(float(told[0]), float(told[1]), float(told[2])))
