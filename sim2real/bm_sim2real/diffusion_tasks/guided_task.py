"""What all guided tasks have in common: a start from standing, a goal source that steers, a track to be judged."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.contract import DiffusionContract
from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.guidance.obstacle import Obstacle
from bm_core.diffusion.planner import Steering
from bm_core.g1 import CONTROL_DT, TARGET_BODY_INDICES
from bm_core.state import RobotState
from bm_sim2real.blend import still
from bm_sim2real.diffusion_tasks.track import Track
from bm_sim2real.guidance.planar_state import PlanarState, planar_reading, planar_state
from bm_sim2real.guidance.sources import GoalSource
from bm_sim2real.guidance.steer import GoalSteerer
from bm_sim2real.planning.episode import TaskStart
from bm_sim2real.robots.ground_truth import GroundTruth
from bm_sim2real.standing import standing_frame

Array = NDArray[np.float64]

_TARGETS = list(TARGET_BODY_INDICES)


class GuidedTask:
    """Base of the tasks; a task adds its source, its length and `judge`."""

    seconds = 60.0

    def __init__(self, contract: DiffusionContract, source: GoalSource) -> None:
        self.source = source
        self._steerer = GoalSteerer(contract.spec, contract.guidance)
        self._steering: Steering | None = None
        self.goal = GuidanceGoal()
        """The newest wish."""
        self.states: list[PlanarState] = []
        """True states, one a control step."""
        self._bodies: list[NDArray[np.floating]] = []

    def start(self) -> TaskStart:
        """The tracker stands at the origin, facing +x."""
        return TaskStart(reference=still(standing_frame()), frame=0)

    def steer(self, time: float, state: RobotState) -> Steering | None:
        """The source's goal, from the robot's own estimate; while there is none, the last one."""
        planar = planar_reading(state)
        if planar is not None:
            self.goal = self.source.goal(dataclasses.replace(planar, time=time))
            self._steering = self._steerer.step(self.goal, planar, CONTROL_DT)
        return self._steering

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
