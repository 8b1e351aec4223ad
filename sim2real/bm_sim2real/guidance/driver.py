"""From a goal source to the machine: asks it for every plan, trims, sets the steering, sets out and stops."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.contract import DiffusionContract
from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.guidance.settings import GuidanceSpec
from bm_core.g1 import CONTROL_DT
from bm_core.state import RobotState
from bm_sim2real.guidance.planar_state import PlanarState, planar_reading
from bm_sim2real.guidance.rest import Rest
from bm_sim2real.guidance.sources import GoalSource
from bm_sim2real.guidance.steer import GoalSteerer
from bm_sim2real.modes import Mode
from bm_sim2real.planning.machine import GuidedMachine

_STRIDE_S = 1.2
"""s of keyframes whose mean is their velocity: a gait cycle and more"""


class GoalDriver:
    """Drives one machine. Call `step` with every reading, before the machine's own step."""

    def __init__(
        self, machine: GuidedMachine, contract: DiffusionContract, settings: GuidanceSpec | None = None
    ) -> None:
        """`settings` default: the bundle's."""
        self._machine = machine
        self._steerer = GoalSteerer(contract.spec, settings or contract.guidance)
        self._rest = Rest(settings=settings or contract.guidance)
        self._losses = machine.plan_losses
        self.source: GoalSource | None = None
        """Who is asked; may be replaced at any moment. None wants nothing."""
        self.goal = GuidanceGoal()
        """The newest wish, as it was said."""

    def step(self, state: RobotState, time: float | None = None) -> None:
        """One control step; `time` in s: the source's clock, default the reading's.

        Without an estimate of the base the last goal stands: the machine will stop by itself.
        """
        planar = planar_reading(state)
        if planar is None:
            return
        if time is not None:
            planar = dataclasses.replace(planar, time=time)
        self.goal = GuidanceGoal() if self.source is None else self.source.goal(planar)
        velocity = self._rest.velocity(self.goal, planar)
        if velocity is None:
            self._losses = self._machine.plan_losses
            self._stop(state)
            return
        goal = _on_clock(self.goal, state.time - planar.time)
        self._machine.pilot.steering = self._steerer.step(goal, planar, CONTROL_DT)
        if self._may_set_out:
            self._set_out(velocity, planar)

    @property
    def _may_set_out(self) -> bool:
        """A robot that was braked because its planner was lost stays until somebody has asked it to stand."""
        machine = self._machine
        is_lost = machine.plan_losses > self._losses
        return machine.mode is Mode.STAND and not (machine.is_guided or machine.is_starting or is_lost or machine.held)

    def _set_out(self, velocity: NDArray[np.float64], planar: PlanarState) -> None:
        if self.goal.keyframes is not None:  # as they walk when the first steps are done
            begin = planar.time + self._machine.start_s
            velocity = self.goal.keyframes.velocity(begin, begin + _STRIDE_S)
        if velocity.any():
            self._machine.guide(self._steerer.around(velocity, planar, self.goal.obstacles))

    def _stop(self, state: RobotState) -> None:
        machine = self._machine
        machine.pilot.steering = None
        if (machine.is_guided or machine.is_starting) and machine.mode is Mode.RUNNING:
            machine.brake(state)
        elif machine.mode is not Mode.RUNNING:
            machine.pilot.is_wanted = False


def _on_clock(goal: GuidanceGoal, ahead: float) -> GuidanceGoal:
    """Keyframes moved to a clock that is `ahead` s of the source's: plans are stamped with the readings' time."""
    if goal.keyframes is None or ahead == 0.0:
        return goal
    return dataclasses.replace(goal, keyframes=dataclasses.replace(goal.keyframes, times=goal.keyframes.times + ahead))
