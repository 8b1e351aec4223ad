"""Goals from outside to a guided policy: keeps the newest wish, counts its age, and drives the machine by it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.state import RobotState
from bm_sim2real.guidance.driver import GoalDriver
from bm_sim2real.guidance.planar_state import PlanarState
from bm_sim2real.holds import Hold
from bm_sim2real.planning.machine import GuidedMachine


class GuidedRun:
    """`is_on` decides whether wishes are followed; without it the tracker stands."""

    def __init__(self, machine: GuidedMachine) -> None:
        self._machine = machine
        self._driver = GoalDriver(machine, machine.pilot.contract)
        self._driver.source = self
        self._wish = GuidanceGoal()
        self._published = -1
        self.is_on = False

    def wish(self, goal: GuidanceGoal) -> None:
        """The newest; from the first one that a standing or walking robot hears, silence brakes."""
        self._wish = goal
        self._machine.sources.beat(Hold.GUIDANCE)

    def forget(self) -> None:
        """Nobody is expected to say anything any more."""
        self._wish = GuidanceGoal()
        self._machine.sources.forget(Hold.GUIDANCE)

    def goal(self, state: PlanarState) -> GuidanceGoal:
        """As a GoalSource: standing still is no wish to walk."""
        if not self.is_on or self._machine.held or self._wish.velocity == (0.0, 0.0, 0.0):
            return GuidanceGoal()
        return self._wish

    def step(self, state: RobotState) -> None:
        """Once a control step."""
        # Who guides needs odometry, and odometry needs feet on the floor: from a robot on its rope, or on the ground,
        # silence is no loss. If it were one, the robot could not be stood up again to end it.
        if not self._machine.mode.is_tracking:
            self.forget()
        self._driver.step(state)

    def new_plan_xy(self) -> NDArray[np.float64] | None:
        """(N, 2) m, the way that the newest plan means to go; None if it was asked for before."""
        plan = self._machine.pilot.plan
        if plan is None or plan.step == self._published:
            return None
        self._published = plan.step
        way = plan.trajectory().root_pos_w[plan.layout.present :, :2]
        return np.asarray(way, dtype=np.float64)
