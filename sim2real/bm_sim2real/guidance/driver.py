"""From a goal source to the policy: asks it for every plan, trims, sets the steering, stops where nothing is wanted."""

from __future__ import annotations

from bm_core.diffusion.contract import DiffusionContract
from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.guidance.settings import GuidanceSpec
from bm_core.g1 import CONTROL_DT
from bm_core.state import RobotState
from bm_sim2real.guidance.planar_state import planar_reading
from bm_sim2real.guidance.sources import GoalSource
from bm_sim2real.guidance.steer import GoalSteerer
from bm_sim2real.modes import Mode
from bm_sim2real.planning.machine import GuidedMachine


class GoalDriver:
    """Drives one machine. Call `step` with every reading, before the machine's own step."""

    def __init__(
        self, machine: GuidedMachine, contract: DiffusionContract, settings: GuidanceSpec | None = None
    ) -> None:
        """`settings` default: the bundle's."""
        self._machine = machine
        self._steerer = GoalSteerer(contract.spec, settings or contract.guidance)
        self.source: GoalSource | None = None
        """Who is asked; may be replaced at any moment. None wants nothing."""
        self.goal = GuidanceGoal()
        """The newest wish, as it was said."""

    def step(self, state: RobotState) -> None:
        """One control step. Without an estimate of the base the last goal stands: the machine will stop by itself."""
        planar = planar_reading(state)
        if planar is None:
            return
        self.goal = GuidanceGoal() if self.source is None else self.source.goal(planar)
        if self.goal.is_empty:
            self._stop(state)
            return
        self._machine.pilot.steering = self._steerer.step(self.goal, planar, CONTROL_DT)
        if not self._machine.is_guided and self._machine.mode is Mode.STAND:
            self._machine.guide()

    def _stop(self, state: RobotState) -> None:
        self._machine.pilot.steering = None
        if self._machine.is_guided and self._machine.mode is Mode.RUNNING:
            self._machine.brake(state)
        else:
            self._machine.pilot.is_wanted = False
