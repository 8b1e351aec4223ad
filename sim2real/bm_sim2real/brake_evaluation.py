"""BRAKE on trial: out of walking at any phase, under pushes, does the robot end up standing?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from bm_core.errors import ConfigError
from bm_core.g1 import CONTROL_DT
from bm_core.motion import MotionClip
from bm_core.reference import MotionReference
from bm_sim2real.clip_files import ClipFile
from bm_sim2real.evaluation import put_on_frame
from bm_sim2real.falls import fall_of
from bm_sim2real.guard import CommandGuard
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.loop import ControlLoop
from bm_sim2real.modes import Mode
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.policy_pool import run_tasks
from bm_sim2real.pushes import PushConfig, PushSchedule, push_rng
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.simulation_config import SimulationConfig
from bm_sim2real.standing import plan_stop, standing_frame
from bm_sim2real.state_machine import StateMachine
from bm_sim2real.statistics import wilson_interval


@dataclass(frozen=True, kw_only=True)
class BrakeConfig:
    """What is the same for every trial."""

    simulation: SimulationConfig = field(default_factory=SimulationConfig)
    pushes: PushConfig | None = field(default_factory=PushConfig)
    """From the moment of braking on; None: nobody pushes."""
    limits: GuardLimits = field(default_factory=GuardLimits)
    walk_s: float = 1.0
    """s on the walking reference before braking, so that the state is the tracker's own."""
    brake_s: float = 5.0
    """s from the brake to the verdict."""


@dataclass(frozen=True, kw_only=True)
class BrakeTrial:
    """One state to brake from."""

    clip: ClipFile
    frame: int
    """Of the clip, where the robot brakes."""
    speed: float
    """m/s of the reference's pelvis there, horizontal."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class BrakeResult:
    """One trial."""

    clip: str
    frame: int
    speed: float
    """m/s"""
    seed: int
    upright: bool
    detail: str
    """What went wrong and when; empty if upright."""
    stop_distance_m: float
    """Path of the pelvis from the brake to the end, straight line, pushes included."""


def choose_trials(
    clips: Sequence[ClipFile], count: int, seed: int, *, slowest: float = 0.1, fastest: float = 1.0, walk_s: float = 1.0
) -> list[BrakeTrial]:
    """`count` moments of walking between two speeds (m/s), spread evenly over the speeds. ConfigError without any."""
    frames = round(walk_s / CONTROL_DT)
    found: list[tuple[float, int, int]] = []
    for index, clip in enumerate(clips):
        speed = np.linalg.norm(clip.load().body_lin_vel_w[:, 0, :2], axis=-1)
        # Half a second's mean: within a stride the pelvis sways at other speeds than the robot travels.
        speed = np.convolve(speed, np.ones(25) / 25, mode="same")
        moments = np.flatnonzero((speed >= slowest) & (speed <= fastest))
        found += [(float(speed[k]), index, int(k)) for k in moments if frames <= k < len(speed) - 1]
    if not found:
        raise ConfigError(f"no clip walks at {slowest} to {fastest} m/s for {walk_s} s; give --motions with walking")
    rng = np.random.default_rng(seed)
    edges = np.linspace(slowest, fastest, count + 1)
    speeds = np.array([moment[0] for moment in found])
    trials = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        inside = np.flatnonzero((speeds >= low) & (speeds <= high))
        pick = found[int(rng.choice(inside) if len(inside) else rng.integers(len(found)))]
        trials.append(BrakeTrial(clip=clips[pick[1]], frame=pick[2], speed=pick[0], seed=seed))
    return trials


def run_brake_trials(
    policy: str | Path,
    trials: Sequence[BrakeTrial],
    config: BrakeConfig,
    *,
    provider: str = "cpu",
    jobs: int = 1,
    on_result: Callable[[BrakeResult], None] | None = None,
) -> list[BrakeResult]:
    """Every trial, in the order given."""
    return run_tasks(policy, provider, partial(_work, config=config), trials, jobs=jobs, on_result=on_result)


def brake_trial(policy: TrackerPolicy, clip: MotionClip, trial: BrakeTrial, config: BrakeConfig) -> BrakeResult:
    """Walk under the tracker, brake, push, look after `brake_s`."""
    robot = MujocoRobot(config.simulation)
    robot.connect()
    machine = StateMachine(policy, standing_frame(), robot.features, plan_stop=plan_stop, limits=config.limits)
    reference = MotionReference(clip)
    first = trial.frame - round(config.walk_s / CONTROL_DT)
    put_on_frame(robot, reference.frame(first))
    machine.start_running(reference, first)
    loop = ControlLoop(robot, machine, CommandGuard(config.limits, start_mode=Mode.RUNNING))
    detail = _step(robot, loop, trial.frame - first, None, "walking")
    begin = robot.ground_truth().body_pos_w[0]
    if not detail:
        machine.brake(robot.read())
        pushes = PushSchedule(config.pushes, push_rng(trial.seed, clip.name, trial.frame)) if config.pushes else None
        detail = _step(robot, loop, round(config.brake_s / CONTROL_DT), pushes, "braking")
    if not detail and machine.mode is not Mode.STAND:
        detail = f"still in {machine.mode.value} after {config.brake_s} s"
    return BrakeResult(
        clip=clip.name,
        frame=trial.frame,
        speed=trial.speed,
        seed=trial.seed,
        upright=not detail,
        detail=detail,
        stop_distance_m=float(np.linalg.norm((robot.ground_truth().body_pos_w[0] - begin)[:2])),
    )


def summarize_brakes(results: Sequence[BrakeResult]) -> dict[str, Any]:
    """The summary of `bm eval brake`."""
    upright = sum(result.upright for result in results)
    return {
        "trials": len(results),
        "upright": upright,
        "upright_rate": upright / len(results),
        "upright_interval": wilson_interval(upright, len(results)),
        "fell_walking": sum("walking" in result.detail for result in results),
        "stop_distance_m": float(np.mean([result.stop_distance_m for result in results])),
    }


def brake_row(result: BrakeResult) -> dict[str, Any]:
    """A result as a row of the JSON document."""
    return asdict(result)


def _work(policy: TrackerPolicy, trial: BrakeTrial, config: BrakeConfig) -> BrakeResult:
    return brake_trial(policy, _loaded(trial.clip), trial, config)


@lru_cache(maxsize=8)
def _loaded(clip: ClipFile) -> MotionClip:
    return clip.load()


def _step(robot: MujocoRobot, loop: ControlLoop, steps: int, pushes: PushSchedule | None, doing: str) -> str:
    """Runs on; returns what went wrong and when, empty if nothing did."""
    for step in range(steps):
        push = pushes.next() if pushes else None
        if push is not None:
            robot.push(*push)
        loop.step()
        wrong = str(loop.fault) if loop.fault else fall_of(robot)
        if wrong:
            return f"{doing}, {(step + 1) * CONTROL_DT:.2f} s: {wrong}"
    return ""
