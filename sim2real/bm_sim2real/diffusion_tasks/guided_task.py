"""What all guided tasks have in common: a start from standing, a goal source that steers, a track to be judged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.contract import DiffusionContract
from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.guidance.obstacle import Obstacle
from bm_core.g1 import TARGET_BODY_INDICES
from bm_core.state import RobotState
from bm_sim2real.diffusion_tasks.track import Track
from bm_sim2real.guidance.driver import GoalDriver
from bm_sim2real.guidance.planar_state import PlanarState, planar_state
from bm_sim2real.guidance.sources import GoalSource
from bm_sim2real.planning.episode import TaskStart
from bm_sim2real.planning.machine import GuidedMachine
from bm_sim2real.robots.ground_truth import GroundTruth

Array = NDArray[np.float64]

_TARGETS = list(TARGET_BODY_INDICES)


class GuidedTask:
    """Base of the tasks; a task adds its source, its length and `judge`."""

    seconds = 60.0

    def __init__(self, contract: DiffusionContract, source: GoalSource) -> None:
        self.source = source
        self._contract = contract
        self._driver: GoalDriver | None = None
        self.goal = GuidanceGoal()
        """The newest wish."""
        self.states: list[PlanarState] = []
        """True states, one a control step."""
        self._bodies: list[NDArray[np.floating]] = []

    def start(self) -> TaskStart:
        """The tracker stands at the origin, facing +x."""
        return TaskStart()

    def drive(self, time: float, state: RobotState, machine: GuidedMachine) -> None:
        """By the source's goals, from the robot's own estimate."""
        if self._driver is None:
            self._driver = GoalDriver(machine, self._contract)
            self._driver.source = self.source
        self._driver.step(state, time)
        self.goal = self._driver.goal

    def push(self, time: float) -> Array | None:
        """Nobody pushes."""
        return None

    def observe(self, time: float, truth: GroundTruth) -> bool:
        """Keeps the truth."""
        pelvis = (truth.body_pos_w[0], truth.body_quat_w[0], truth.body_lin_vel_w[0], truth.body_ang_vel_w[0])
        self.states.append(planar_state(time, *pelvis))
        self._bodies.append(truth.body_pos_w[_TARGETS])
        return self.is_over(time)

    def is_over(self, time: float) -> bool:
        """Whether nothing more can be won or lost."""
        return False

    def obstacles_at(self, time: float) -> tuple[Obstacle, ...]:
        """What is in the way, for pictures."""
        return ()

    @property
    def track(self) -> Track:
        """What the robot did so far."""
        return Track.of(self.states, self._bodies)
