"""Plays motions in simulation, compares the estimator with the truth in every tick, and breaks its sensors."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import BmError
from bm_core.g1 import CONTROL_DT
from bm_core.motion import MotionClip
from bm_core.reference import MotionReference
from bm_core.rotations import quat_rotate_inverse
from bm_core.state import RobotState
from bm_sim2real.clip_files import ClipFile
from bm_sim2real.estimator.base_estimator import BaseEstimate, BaseEstimator
from bm_sim2real.estimator.sabotage import SABOTAGES
from bm_sim2real.evaluation import put_on_frame
from bm_sim2real.guard import CommandGuard
from bm_sim2real.loop import ControlLoop
from bm_sim2real.modes import Mode
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.policy_pool import run_tasks
from bm_sim2real.pushes import PushConfig, PushSchedule, push_rng
from bm_sim2real.robots.imu_errors import ImuErrors
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.protocol import BaseState
from bm_sim2real.robots.simulation_config import TICK_DT, SimulationConfig
from bm_sim2real.standing import standing_frame
from bm_sim2real.state_machine import StateMachine
from bm_sim2real.timing import percentiles

Array = NDArray[np.float64]

SABOTAGE_AT_S = 4.0
"""s of sound sensors before they break."""
SABOTAGE_S = 8.0
"""s of broken sensors."""


@dataclass(frozen=True, kw_only=True)
class EstimatorTrial:
    """One run: clips one after another from standing, or a single clip from its first frame."""

    name: str
    clips: tuple[ClipFile, ...]
    seconds: float | None = None
    """s of walking, clips repeated as needed, entered from standing; None: the one clip, from its first frame."""
    imu: ImuErrors = field(default_factory=ImuErrors)
    friction: float = 1.0
    is_pushed: bool = False
    sabotage: str = ""
    """Name in SABOTAGES: breaks the sensors of the estimator, not of the policy."""


@dataclass(frozen=True, kw_only=True)
class EstimatorResult:
    """How far the estimate was off. Velocity in the pelvis frame, m/s; position in m; over all readings."""

    trial: str
    seconds: float
    distance_m: float
    """Path of the pelvis over the floor."""
    ended: str
    """Why the run ended early; empty if it did not."""
    vel_rmse: float
    vel_max: float
    height_rmse: float
    height_max: float
    drift_m: float
    """Horizontal error at the end."""
    healthy_share: float
    """Of the readings."""
    noticed_s: float | None
    """s from the sensors' breaking to the first unhealthy reading; None if never."""
    reason: str
    """What the estimator complained about last."""
    tick_ms: dict[str, float]
    """Cost of one update."""

    @property
    def drift_share(self) -> float:
        """Drift over distance; NaN below one metre of way."""
        return self.drift_m / self.distance_m if self.distance_m >= 1.0 else math.nan


def run_trials(
    policy: str | Path,
    trials: Sequence[EstimatorTrial],
    *,
    provider: str = "cpu",
    jobs: int = 1,
    on_result: Callable[[EstimatorResult], None] | None = None,
) -> list[EstimatorResult]:
    """Every trial, in the order given. Raises BmError if the policy cannot be trusted or a clip cannot be read."""
    return run_tasks(policy, provider, run_trial, trials, jobs=jobs, cost=_cost, on_result=on_result)


def run_trial(policy: TrackerPolicy, trial: EstimatorTrial) -> EstimatorResult:
    """One trial: simulated in closed loop; with a sabotage, its readings are then estimated anew, broken."""
    robot = _ObservedRobot(
        SimulationConfig(friction=trial.friction, imu=trial.imu, base_state=BaseState.ESTIMATE),
        keeps_readings=bool(trial.sabotage),
    )
    robot.connect()
    clips = [clip.load() for clip in trial.clips]
    if trial.seconds is None:
        ended = _play_from_its_first_frame(policy, robot, clips[0], trial.is_pushed)
    else:
        ended = _walk(policy, robot, clips, trial.seconds, trial.is_pushed)
    if not trial.sabotage:
        return _result(trial, robot.log, ended, noticed_s=None)
    log, noticed_s = _replay(robot.readings, robot.log, SABOTAGES[trial.sabotage]())
    return _result(trial, log, "", noticed_s)


def row(result: EstimatorResult) -> dict[str, Any]:
    """A result as a row of the JSON document."""
    return {**vars(result), "drift_share": result.drift_share}


class ErrorLog:
    """Estimate against truth, reading by reading."""

    def __init__(self) -> None:
        self.rows: list[Array] = []
        """(11,): error of position (3, world) and velocity (3, pelvis frame), true position (3), healthy, ms spent"""
        self.reason = ""

    def add(self, estimate: BaseEstimate, pos: Array, vel_b: Array, spent_s: float) -> None:
        """One reading; truth: pelvis position (3,) m in the world and velocity (3,) m/s in its own frame."""
        errors = estimate.pelvis_pos_w - pos, estimate.pelvis_lin_vel_b - vel_b
        self.rows.append(np.concatenate([*errors, pos, (estimate.healthy, 1e3 * spent_s)]))
        self.reason = estimate.reason


class _ObservedRobot(MujocoRobot):
    """Compares its estimator with itself in every tick."""

    def __init__(self, config: SimulationConfig, *, keeps_readings: bool) -> None:
        super().__init__(config)
        self.log = ErrorLog()
        self.readings: list[tuple[RobotState, Array, Array]] = []
        """(reading, true position, true velocity in the pelvis frame)"""
        self._keeps_readings = keeps_readings
        self._spent_s = 0.0

    def step(self) -> None:
        super().step()
        if self.estimator is None:
            return
        state = self.read()
        pos, vel = self._qpos[:3].copy(), quat_rotate_inverse(self._qpos[3:7], self._qvel[:3])
        vel = np.asarray(vel, dtype=np.float64)
        self.log.add(self.estimator.estimate, pos, vel, self._spent_s)
        if self._keeps_readings:
            self.readings.append((state, pos, vel))

    def _estimated(self, estimator: BaseEstimator, state: RobotState) -> BaseEstimate:
        begun = time.perf_counter()
        estimate = super()._estimated(estimator, state)
        self._spent_s = time.perf_counter() - begun
        return estimate


def _walk(
    policy: TrackerPolicy, robot: MujocoRobot, clips: Sequence[MotionClip], seconds: float, is_pushed: bool
) -> str:
    """Clip after clip, with a second of standing before each, until `seconds` of motion are over."""
    put_on_frame(robot, standing_frame())
    machine = StateMachine(policy, standing_frame(), robot.features)
    machine.start_standing(robot.read())
    loop = ControlLoop(robot, machine, CommandGuard(start_mode=Mode.STAND))
    pushes = PushSchedule(PushConfig(), push_rng(0, clips[0].name, 0)) if is_pushed else None
    walked = 0
    for clip in cycle(clips):
        if not _steps(robot, loop, None, round(1.0 / CONTROL_DT), lambda: True):
            break
        try:
            machine.play(clip, robot.read())
        except BmError as error:
            return str(error)
        left = round(seconds / CONTROL_DT) - walked
        walked += _steps(robot, loop, pushes, left, lambda: machine.mode is Mode.RUNNING)
        if loop.fault is not None or walked * CONTROL_DT >= seconds:
            break
    return "" if loop.fault is None else str(loop.fault)


def _play_from_its_first_frame(policy: TrackerPolicy, robot: MujocoRobot, clip: MotionClip, is_pushed: bool) -> str:
    reference = MotionReference(clip)
    put_on_frame(robot, reference.frame(0))
    machine = StateMachine(policy, standing_frame(), robot.features)
    machine.start_running(reference)
    loop = ControlLoop(robot, machine, CommandGuard(start_mode=Mode.RUNNING))
    pushes = PushSchedule(PushConfig(), push_rng(0, clip.name, 0)) if is_pushed else None
    _steps(robot, loop, pushes, clip.num_frames, lambda: not policy.is_finished)
    return "" if loop.fault is None else str(loop.fault)


def _steps(
    robot: MujocoRobot, loop: ControlLoop, pushes: PushSchedule | None, count: int, goes_on: Callable[[], bool]
) -> int:
    """Control steps taken, at most `count`, while `goes_on` and no fault."""
    for step in range(count):
        if loop.fault is not None or not goes_on():
            return step
        push = pushes.next() if pushes else None
        if push is not None:
            robot.push(*push)
        loop.step()
    return count


def _replay(
    readings: Sequence[tuple[RobotState, Array, Array]], sound: ErrorLog, sabotage: Callable[[RobotState], RobotState]
) -> tuple[ErrorLog, float | None]:
    """The same readings through a fresh estimator whose sensors break; errors from then on."""
    start, end = (round(s / TICK_DT) for s in (SABOTAGE_AT_S, SABOTAGE_AT_S + SABOTAGE_S))
    estimator, log, noticed_s = BaseEstimator(dt=TICK_DT), ErrorLog(), None
    state, pos, _ = readings[0]
    estimator.reset(state, pos)
    for tick, (state, pos, vel) in enumerate(readings[1:end], start=1):
        begun = time.perf_counter()
        estimate = estimator.update(sabotage(state) if tick >= start else state)
        if tick >= start:
            log.add(estimate, pos, vel, time.perf_counter() - begun)
            if noticed_s is None and not estimate.healthy:
                noticed_s = (tick - start) * TICK_DT
    return log, noticed_s


def _result(trial: EstimatorTrial, log: ErrorLog, ended: str, noticed_s: float | None) -> EstimatorResult:
    rows = np.array(log.rows)
    pos, vel, truth = rows[:, :3], rows[:, 3:6], rows[:, 6:9]
    return EstimatorResult(
        trial=trial.name,
        seconds=len(rows) * TICK_DT,
        distance_m=float(np.linalg.norm(np.diff(truth[::10, :2], axis=0), axis=1).sum()),
        ended=ended,
        vel_rmse=float(np.sqrt((vel**2).sum(axis=1).mean())),
        vel_max=float(np.linalg.norm(vel, axis=1).max()),
        height_rmse=float(np.sqrt((pos[:, 2] ** 2).mean())),
        height_max=float(np.abs(pos[:, 2]).max()),
        drift_m=float(np.linalg.norm(pos[-1, :2])),
        healthy_share=float(rows[:, 9].mean()),
        noticed_s=noticed_s,
        reason=log.reason,
        tick_ms=percentiles(rows[:, 10].tolist()),
    )


def _cost(trial: EstimatorTrial) -> float:
    return 30.0 if trial.seconds is None else trial.seconds
