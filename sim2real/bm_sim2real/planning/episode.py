"""One run of one task: walk in with the tracker, hand over to the diffusion policy, steer, push, judge.

The deployed runtime: control loop, guards, estimator, planner with its latency. Adding a task is one class (`Task`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import CONTROL_DT
from bm_core.reference import Reference
from bm_core.state import RobotState
from bm_sim2real.evaluation import put_on_frame
from bm_sim2real.falls import fall_of, is_head_down
from bm_sim2real.guard import CommandGuard
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.loop import ControlLoop
from bm_sim2real.modes import Mode
from bm_sim2real.planning.machine import GuidedMachine
from bm_sim2real.planning.policy import DiffusionPolicy
from bm_sim2real.planning.source import PlanSource
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.robots.ground_truth import GroundTruth
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.protocol import BaseState
from bm_sim2real.robots.simulation_config import SimulationConfig
from bm_sim2real.standing import plan_stop, standing_frame

Array = NDArray[np.float64]

HAND_OVER_S = 0.5
"""s within which the first plan must have taken over."""


@dataclass(frozen=True, kw_only=True)
class TaskStart:
    """Where an episode begins: the tracker follows `reference` from `frame` on for `seconds`, then hands over."""

    reference: Reference | None = None
    """None: it stands, and the task itself sets out after `seconds`."""
    frame: int = 0
    seconds: float = 1.0
    sabotage: Callable[[PlanSource], PlanSource] | None = None
    """What happens to the planner in this run; None: nothing."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a task says about a run that did not end in a fall."""

    success: bool
    detail: str = ""
    """Why not; empty for a success."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Numbers of this task for the JSON row, such as velocity_error."""
    may_lose_plans: bool = False
    """Whether plans may run out in a success: only where the planner is sabotaged."""


class Task(Protocol):
    """One run of a task; made by `TaskMaker` from a seed. Time is s since it began to drive."""

    seconds: float
    """Longest run."""

    def start(self) -> TaskStart:
        """How the run begins; asked once."""
        ...

    def drive(self, time: float, state: RobotState, machine: GuidedMachine) -> None:
        """The wish of the moment, from what the robot itself knows; before every control step. May set out and stop."""
        ...

    def push(self, time: float) -> Array | None:
        """(3,) m/s added to the pelvis's velocity before this control step, world frame."""
        ...

    def observe(self, time: float, truth: GroundTruth) -> bool:
        """The simulator's truth after a control step; True ends the run."""
        ...

    def judge(self) -> Verdict:
        """The verdict; asked once, also after a fall (which is no success, whatever it says)."""
        ...


@dataclass(frozen=True, kw_only=True)
class EpisodeConfig:
    """What is the same for every run of an evaluation."""

    simulation: SimulationConfig = field(default_factory=lambda: SimulationConfig(base_state=BaseState.ESTIMATE))
    limits: GuardLimits = field(default_factory=GuardLimits)


@dataclass(frozen=True, kw_only=True)
class EpisodeResult:
    """One run."""

    seed: int
    success: bool
    fell: bool
    """By the gate: pelvis below 0.45 m, a ground contact but the feet, or a guard that damped."""
    head_fell: bool
    """By the paper's definition."""
    detail: str
    """Why it is no success; empty if it is."""
    seconds: float
    """From the hand-over to the end of the run."""
    path_m: float
    """Way of the pelvis over ground, sway included."""
    net_m: float
    """Straight line from start to end."""
    plans: int
    plan_losses: int
    """How often plans ran out and the robot was braked."""
    plan_ms: tuple[float, ...]
    """Wall time of every plan."""
    values: Mapping[str, Any]
    """The task's own numbers."""


StepListener = Callable[[float, GroundTruth, GuidedMachine], None]
"""Sees every control step of a run: s since the hand-over, the truth after it, the machine."""


def run_episode(
    pilot: DiffusionPolicy,
    tracker: TrackerPolicy,
    task: Task,
    seed: int,
    config: EpisodeConfig | None = None,
    *,
    on_step: StepListener | None = None,
) -> EpisodeResult:
    """Play one run in MuJoCo. `seed` is the planner's noise; the task's own chance is its maker's business."""
    config = config or EpisodeConfig()
    robot = MujocoRobot(config.simulation)
    robot.connect()
    pilot.reset(seed)
    pilot.steering, pilot.is_wanted = None, False
    machine = GuidedMachine(pilot, tracker, standing_frame(), robot.features, plan_stop=plan_stop, limits=config.limits)
    start, source = task.start(), pilot.source
    if start.sabotage is not None:
        pilot.source = start.sabotage(source)
    if start.reference is None:
        put_on_frame(robot, standing_frame())
        machine.start_standing(robot.read())
    else:
        put_on_frame(robot, start.reference.frame(start.frame))
        machine.start_running(start.reference, start.frame)
    loop = ControlLoop(robot, machine, CommandGuard(config.limits, start_mode=machine.mode))
    log = _Log(on_step=on_step)
    try:
        problem = _hand_over(loop, robot, machine, task, start.seconds) or _run(loop, robot, machine, task, log)
    finally:
        pilot.source = source
    return _result(seed, task.judge(), problem, log, machine)


@dataclass
class _Log:
    on_step: StepListener | None = None
    time: float = 0.0
    positions: list[Array] = field(default_factory=list)
    head_fell: bool = False
    fell: bool = False


def _hand_over(loop: ControlLoop, robot: MujocoRobot, machine: GuidedMachine, task: Task, seconds: float) -> str:
    """Up to the first step on a plan, or standing; what went wrong, empty if nothing did."""
    for _ in range(round(seconds / CONTROL_DT)):
        loop.step()
        wrong = str(loop.fault) if loop.fault else fall_of(robot)
        if wrong:
            return f"before the hand-over: {wrong}"
    if machine.mode is Mode.STAND:
        return ""
    task.drive(0.0, robot.read(), machine)
    machine.guide()
    for _ in range(round(HAND_OVER_S / CONTROL_DT)):
        loop.step()
        if machine.is_guided:
            return ""
    return f"no plan within {HAND_OVER_S} s"


def _run(loop: ControlLoop, robot: MujocoRobot, machine: GuidedMachine, task: Task, log: _Log) -> str:
    for step in range(round(task.seconds / CONTROL_DT)):
        log.time = step * CONTROL_DT
        push = task.push(log.time)
        if push is not None:
            robot.push(push, np.zeros(3))
        task.drive(log.time, robot.read(), machine)
        loop.step()
        truth = robot.ground_truth()
        log.positions.append(truth.body_pos_w[0])
        if log.on_step is not None:
            log.on_step(log.time, truth, machine)
        log.head_fell = log.head_fell or is_head_down(truth)
        wrong = str(loop.fault) if loop.fault else fall_of(robot)
        if wrong:
            log.fell = True
            return f"{log.time:.2f} s: {wrong}"
        if task.observe(log.time, truth):
            break
    return ""


def _result(seed: int, verdict: Verdict, problem: str, log: _Log, machine: GuidedMachine) -> EpisodeResult:
    path = np.array(log.positions).reshape(-1, 3)[:, :2]
    seconds = getattr(machine.pilot.source, "seconds", [])
    lost_plans = machine.plan_losses > 0 and not verdict.may_lose_plans
    return EpisodeResult(
        seed=seed,
        success=verdict.success and not problem and not lost_plans,
        fell=log.fell,
        head_fell=log.head_fell,
        detail=problem or verdict.detail or ("plans ran out" if lost_plans else ""),
        seconds=log.time,
        path_m=float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum()),
        net_m=float(np.linalg.norm(path[-1] - path[0])) if len(path) else 0.0,
        plans=len(seconds),
        plan_losses=machine.plan_losses,
        plan_ms=tuple(1e3 * s for s in seconds),
        values=dict(verdict.values),
    )
