"""What is played: robot, guided state machine and a goal source, one control step at a time. Knows no browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.errors import ConfigError, RobotError
from bm_sim2real.diffusion_tasks.lanes import Lane, random_lane
from bm_sim2real.diffusion_tasks.waypoint_rules import Place, random_places
from bm_sim2real.evaluation import put_on_frame
from bm_sim2real.falls import fall_of
from bm_sim2real.guard import CommandGuard
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.guidance.driver import GoalDriver
from bm_sim2real.guidance.obstacles_source import AmongObstacles
from bm_sim2real.guidance.operator_input import OperatorSource, Sticks
from bm_sim2real.guidance.planar_state import planar_state
from bm_sim2real.guidance.sources import GoalSource, ScriptedVelocity, VelocityTowards, Waypoints
from bm_sim2real.loop import ControlLoop
from bm_sim2real.markers import Marker, goal_markers
from bm_sim2real.modes import Mode
from bm_sim2real.planning.machine import GuidedMachine
from bm_sim2real.planning.policy import DiffusionPolicy
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.robots.ground_truth import GroundTruth
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.protocol import BaseState
from bm_sim2real.robots.simulation_config import SimulationConfig
from bm_sim2real.standing import plan_stop, standing_frame

Array = NDArray[np.floating]

SCRIPT = (
    (1.0, (0.0, 0.0, 0.0)), (4.0, (0.6, 0.0, 0.0)), (3.0, (0.0, 0.0, 0.6)), (4.0, (0.6, 0.0, 0.3)),
    (3.0, (-0.4, 0.0, 0.0)), (3.0, (0.0, 0.3, 0.0)), (2.0, (0.0, 0.0, 0.0)),
)  # fmt: skip
"""(s, velocity) of scripted joystick play."""


class PlayTask(str, Enum):
    """Which costs are at work; may be changed while the robot walks."""

    JOYSTICK = "joystick"
    WAYPOINT = "waypoint"
    OBSTACLE = "obstacle"
    WAYPOINT_OBSTACLE = "waypoint-obstacle"

    @property
    def has_obstacles(self) -> bool:
        return self in (PlayTask.OBSTACLE, PlayTask.WAYPOINT_OBSTACLE)

    @property
    def has_waypoints(self) -> bool:
        return self in (PlayTask.WAYPOINT, PlayTask.WAYPOINT_OBSTACLE)


@dataclass(frozen=True, kw_only=True)
class PlaySnapshot:
    """The world after a step."""

    time_s: float
    mode: Mode
    is_guided: bool
    truth: GroundTruth
    goal: GuidanceGoal
    markers: Sequence[Marker]
    """Obstacles, waypoint, plan"""
    velocity: Array
    """(3,) true m/s forward and left, rad/s"""
    fault: str
    """Empty if there is none."""
    fallen: str
    """What says that the robot lies; empty if it does not."""
    plan_ms: float
    """Of the newest plan; 0 before the first."""
    plan_losses: int


class PlaySession:
    """One robot. Use it from one thread."""

    def __init__(
        self,
        pilot: DiffusionPolicy,
        tracker: TrackerPolicy,
        task: PlayTask = PlayTask.JOYSTICK,
        *,
        is_scripted: bool = False,
        seed: int = 0,
        simulation: SimulationConfig | None = None,
    ) -> None:
        """`is_scripted`: nobody is at the sticks, the session steers itself. `seed`: waypoints, lane and noise."""
        self._pilot, self._tracker, self._seed, self._is_scripted = pilot, tracker, seed, is_scripted
        self._robot = MujocoRobot(simulation or SimulationConfig(base_state=BaseState.ESTIMATE))
        self._robot.connect()
        self._limits = GuardLimits()
        self.operator = OperatorSource()
        """Sticks, for the tasks that have them."""
        self.task = task
        self.reset()

    def reset(self) -> PlaySnapshot:
        """Robot standing at the origin, everything afresh."""
        self._pilot.reset(self._seed)
        self._pilot.steering, self._pilot.is_wanted = None, False
        self._machine = machine = GuidedMachine(
            self._pilot,
            self._tracker,
            standing_frame(),
            self._robot.features,
            plan_stop=plan_stop,
            limits=self._limits,
        )
        put_on_frame(self._robot, standing_frame())
        machine.start_standing(self._robot.read())
        self._loop = ControlLoop(self._robot, machine, CommandGuard(self._limits, start_mode=Mode.STAND))
        self._driver = GoalDriver(machine, self._pilot.contract)
        self._lane: Lane = random_lane(self._seed)
        self.select(self.task)
        return self.snapshot()

    def select(self, task: PlayTask) -> None:
        """Change the costs; the robot goes on from where it is."""
        self.task = task
        source = self._source(task)
        self._driver.source = AmongObstacles(source, self._lane.obstacles_at) if task.has_obstacles else source

    def go_to(self, places: Sequence[Place]) -> None:
        """Other waypoints, m in the world. ConfigError for a task without waypoints."""
        if not self.task.has_waypoints:
            raise ConfigError(f"{self.task.value}: has no waypoints; choose waypoint or waypoint-obstacle")
        source: GoalSource = Waypoints(places)
        self._driver.source = AmongObstacles(source, self._lane.obstacles_at) if self.task.has_obstacles else source

    def stop(self) -> None:
        """No goal: the robot brakes and stands."""
        self._driver.source = None

    def estop(self) -> None:
        """Damping at once, latched until the next reset."""
        self._machine.estop("button")

    def push(self, speed: float, heading: float) -> None:
        """Adds `speed` m/s to the pelvis in the direction `heading` (rad, world)."""
        self._robot.push(speed * np.array([np.cos(heading), np.sin(heading), 0.0]), np.zeros(3))

    def step(self, sticks: Sticks | None = None) -> PlaySnapshot:
        """One control step, 20 ms; `sticks` are the operator's newest. RobotError if the planner process has died."""
        if sticks is not None:
            self.operator.sticks = sticks
        if self._machine.fault is None:
            self._driver.step(self._robot.read())
        self._loop.step()
        return self.snapshot()

    def snapshot(self) -> PlaySnapshot:
        """The world now."""
        machine, truth, plan = self._machine, self._robot.ground_truth(), self._pilot.plan
        is_guided = machine.is_guided and machine.mode is Mode.RUNNING
        ahead = None
        if plan is not None and is_guided:
            ahead = plan.trajectory().root_pos_w[plan.layout.present :, :2]
        pelvis = (truth.body_pos_w[0], truth.body_quat_w[0], truth.body_lin_vel_w[0], truth.body_ang_vel_w[0])
        return PlaySnapshot(
            time_s=truth.time,
            mode=machine.mode,
            is_guided=is_guided,
            truth=truth,
            goal=self._driver.goal,
            markers=goal_markers(self._driver.goal, ahead),
            velocity=planar_state(truth.time, *pelvis).velocity,
            fault="" if self._loop.fault is None else str(self._loop.fault),
            fallen=fall_of(self._robot),
            plan_ms=0.0 if plan is None else 1e3 * plan.seconds,
            plan_losses=machine.plan_losses,
        )

    def close(self) -> None:
        """Ends the planner."""
        self._pilot.close()

    def _source(self, task: PlayTask) -> GoalSource:
        if task is PlayTask.WAYPOINT:
            return Waypoints(random_places(self._seed))
        if task is PlayTask.WAYPOINT_OBSTACLE:
            return Waypoints([self._lane.goal])
        if not self._is_scripted:
            return self.operator
        if task is PlayTask.OBSTACLE:
            return VelocityTowards(self._lane.goal)
        return ScriptedVelocity(SCRIPT)


def play_script(session: PlaySession, seconds: float) -> list[PlaySnapshot]:
    """Let a scripted session run; ends early with a fall or a fault. RobotError for less than a step."""
    if seconds < 0.02:
        raise RobotError(f"{seconds} s: nothing to play")
    snapshots = []
    for _ in range(round(seconds / 0.02)):
        snapshots.append(session.step())
        if snapshots[-1].fault or snapshots[-1].fallen:
            break
    return snapshots
