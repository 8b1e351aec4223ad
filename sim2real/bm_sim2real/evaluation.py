"""Plays a tracker on a clip in simulation, through the same loop, guard and state machine as on the robot.

Completed = none of the terminations trips before the clip's end, on the simulator's ground truth, whatever the policy
sees. The guards are on: what they stop has failed, too, and says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from bm_core.errors import RobotError
from bm_core.g1 import CONTROL_DT
from bm_core.motion import MotionClip
from bm_core.reference import MotionReference, ReferenceFrame
from bm_core.rotations import gravity_in_body
from bm_sim2real.falls import FALL_HEIGHT, fall_of
from bm_sim2real.guard import CommandGuard
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.loop import ControlLoop
from bm_sim2real.modes import Mode
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.pushes import PushConfig, PushSchedule, push_rng
from bm_sim2real.robots.ground_truth import GroundTruth
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.simulation_config import SimulationConfig
from bm_sim2real.standing import standing_frame
from bm_sim2real.state_machine import StateMachine
from bm_sim2real.tracking_errors import Terminations, TrackingErrors, tracking_errors

SETTLE_S = 1.0
"""s of standing before a clip is entered with Start.STAND."""


class Start(str, Enum):
    """How an episode begins."""

    REFERENCE = "reference"
    """Robot put onto the clip's frame, pose and velocity."""
    STAND = "stand"
    """Robot stands, then enters the clip through a blend."""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What is the same for every clip of an evaluation."""

    simulation: SimulationConfig = field(default_factory=SimulationConfig)
    start: Start = Start.REFERENCE
    pushes: PushConfig | None = None
    """None: nobody pushes."""
    terminations: Terminations = field(default_factory=Terminations)
    limits: GuardLimits = field(default_factory=GuardLimits)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One control step of an episode, for pictures and plots."""

    frame: int
    """Of the clip; negative in the entry blend."""
    truth: GroundTruth
    reference: ReferenceFrame
    errors: TrackingErrors


@dataclass(frozen=True, kw_only=True)
class ClipResult:
    """One episode: a clip or a part of it, one seed. Means are over the frames until the end or the failure."""

    clip: str
    seed: int
    start_s: float
    """Where in the clip the episode began."""
    seconds: float
    """Length of the episode if completed."""
    is_acrobatic: bool
    """The reference's pelvis is somewhere more than 60 degrees from upright; such clips are listed apart."""
    completed: bool
    failure: str
    """What ended it: a termination, refused, guard; empty if completed."""
    detail: str
    """The same in words, with the time in the clip."""
    fault: str
    """Name of the guard's fault, such as tracking_lost; empty if no guard acted."""
    failed_at_s: float | None
    """s after the episode's first frame."""
    fall: str
    """What first said that the robot had fallen, such as "pelvis at 0.31 m"; empty if nothing did. Not watched where
    the reference itself goes down (acrobatic, or a pelvis below the fall's height)."""
    frames: int
    """Control steps that were measured."""
    body_error_m: float
    """Mean |p_b - p_b*| over the 14 target bodies; NaN if nothing was measured."""
    anchor_error_m: float
    joint_error_rad: float
    mpkpe_global_m: float
    """Mean per-keypoint position error: of the 14 target bodies in the world, drift included,"""
    mpkpe_root_m: float
    """and with both pelvises at the origin."""
    joint_velocity_error_rad_s: float
    body_velocity_error_m_s: float
    effort_clamps: int
    """Joint-ticks that the guard solved back to the effort limit."""
    hard_stop_clamps: int
    """Joint-ticks in which the guard removed outward torque at a hard stop."""
    tick_ms: tuple[float, ...]
    """Of each control step: observation, network, task guard, state machine."""
    simulated_s: float
    """Simulated time, settling and blends included."""
    wall_s: float
    """Wall time for it, physics, guards and measuring included."""

    @property
    def clamp_share(self) -> float:
        """Clamped joint-ticks as a share of all."""
        return (self.effort_clamps + self.hard_stop_clamps) / max(1, self.frames * 10 * 29)


def evaluate_clip(
    policy: TrackerPolicy,
    clip: MotionClip,
    config: EvaluationConfig | None = None,
    *,
    seed: int = 0,
    first_frame: int = 0,
    last_frame: int | None = None,
    on_sample: Callable[[Sample], None] | None = None,
) -> ClipResult:
    """Play frames `first_frame` to `last_frame` (default: the last) of `clip` in MuJoCo and measure.

    `seed` chooses the pushes. Raises BmError only for what makes measuring impossible.
    """
    config = config or EvaluationConfig()
    last_frame = clip.num_frames - 1 if last_frame is None else last_frame
    part = clip.slice(first_frame * CONTROL_DT, last_frame * CONTROL_DT)
    robot = MujocoRobot(config.simulation)
    robot.connect()
    machine = StateMachine(policy, standing_frame(), robot.features, limits=config.limits)
    begun = time.perf_counter()
    try:
        loop = _begin(robot, machine, part, config)
    except RobotError as error:
        outcome = _Outcome(failure="refused", detail=str(error))
        return _result(clip, seed, first_frame, part, outcome, None, time.perf_counter() - begun)
    pushes = PushSchedule(config.pushes, push_rng(seed, clip.name, first_frame)) if config.pushes else None
    outcome = _play(robot, loop, part, config, pushes, on_sample)
    return _result(clip, seed, first_frame, part, outcome, loop, time.perf_counter() - begun)


def is_acrobatic(clip: MotionClip) -> bool:
    """Whether the pelvis is anywhere more than 60 degrees from upright: cartwheels, flips, rolls."""
    return bool((gravity_in_body(np.asarray(clip.root_quat))[:, 2] > -0.5).any())


def goes_down(clip: MotionClip) -> bool:
    """Whether the motion itself would count as a fall: acrobatic, or with the pelvis near the floor."""
    return is_acrobatic(clip) or bool(np.min(clip.body_pos_w[:, 0, 2]) < FALL_HEIGHT)


@dataclass
class _Outcome:
    failure: str = ""
    detail: str = ""
    fault: str = ""
    failed_at_s: float | None = None
    fall: str = ""
    errors: list[TrackingErrors] = field(default_factory=list)


def _begin(robot: MujocoRobot, machine: StateMachine, part: MotionClip, config: EvaluationConfig) -> ControlLoop:
    """Robot, machine and guard at the episode's first moment."""
    if config.start is Start.REFERENCE:
        reference = MotionReference(part)
        put_on_frame(robot, reference.frame(0))
        machine.start_running(reference)
        return ControlLoop(robot, machine, CommandGuard(config.limits, start_mode=Mode.RUNNING))
    put_on_frame(robot, standing_frame())
    machine.start_standing(robot.read())
    loop = ControlLoop(robot, machine, CommandGuard(config.limits, start_mode=Mode.STAND))
    for _ in range(round(SETTLE_S / CONTROL_DT)):
        loop.step()
    machine.play(part, robot.read())
    return loop


def put_on_frame(robot: MujocoRobot, frame: ReferenceFrame) -> None:
    """Root and joints, positions and velocities, exactly as in the frame."""
    robot.reset(
        root_pos_w=frame.body_pos_w[0],
        root_quat_w=frame.body_quat_w[0],
        root_lin_vel_w=frame.body_lin_vel_w[0],
        root_ang_vel_w=frame.body_ang_vel_w[0],
        joint_pos=frame.joint_pos,
        joint_vel=frame.joint_vel,
    )


def _play(
    robot: MujocoRobot,
    loop: ControlLoop,
    part: MotionClip,
    config: EvaluationConfig,
    pushes: PushSchedule | None,
    on_sample: Callable[[Sample], None] | None,
) -> _Outcome:
    outcome = _Outcome()
    machine, policy = loop.machine, loop.machine.policy
    may_fall = goes_down(part)
    while not policy.is_finished:
        push = pushes.next() if pushes else None
        if push is not None:
            robot.push(*push)
        loop.step()
        if not outcome.fall and not may_fall:
            outcome.fall = fall_of(robot)
        if machine.output is not None:  # None: the task guard damped before the policy's turn, there is no new target
            sample = _sample(robot, machine, config.terminations)
            if sample.frame > 0:
                outcome.errors.append(sample.errors)
            if on_sample is not None:
                on_sample(sample)
            outcome.failure, outcome.detail = sample.errors.failure, f"{sample.errors.failure} tripped"
        if loop.fault is not None and not outcome.failure:
            outcome.failure, outcome.detail, outcome.fault = "guard", str(loop.fault), loop.fault.name
        if outcome.failure:
            outcome.failed_at_s = max(machine.clip_frame, 0) * CONTROL_DT
            outcome.detail += f" {outcome.failed_at_s:.2f} s into the clip"
            break
    return outcome


def _sample(robot: MujocoRobot, machine: StateMachine, terminations: Terminations) -> Sample:
    truth, frame = robot.ground_truth(), machine.policy.present_frame
    errors = tracking_errors(truth, frame, terminations)
    return Sample(frame=machine.clip_frame, truth=truth, reference=frame, errors=errors)


_MEANS = ("body", "anchor", "joint", "mpkpe_global", "mpkpe_root", "joint_velocity", "body_velocity")
"""Of TrackingErrors: what a result holds means of."""


def _result(
    clip: MotionClip,
    seed: int,
    first_frame: int,
    part: MotionClip,
    outcome: _Outcome,
    loop: ControlLoop | None,
    wall_s: float,
) -> ClipResult:
    errors = outcome.errors
    means = {name: float(np.mean([getattr(e, name) for e in errors])) if errors else float("nan") for name in _MEANS}
    return ClipResult(
        clip=clip.name,
        seed=seed,
        start_s=first_frame * CONTROL_DT,
        seconds=part.duration,
        is_acrobatic=is_acrobatic(clip),
        completed=not outcome.failure,
        failure=outcome.failure,
        detail=outcome.detail if outcome.failure else "",
        fault=outcome.fault,
        failed_at_s=outcome.failed_at_s,
        fall=outcome.fall,
        frames=len(errors),
        body_error_m=means["body"],
        anchor_error_m=means["anchor"],
        joint_error_rad=means["joint"],
        mpkpe_global_m=means["mpkpe_global"],
        mpkpe_root_m=means["mpkpe_root"],
        joint_velocity_error_rad_s=means["joint_velocity"],
        body_velocity_error_m_s=means["body_velocity"],
        effort_clamps=0 if loop is None else int(loop.guard.counters.effort.sum()),
        hard_stop_clamps=0 if loop is None else int(loop.guard.counters.hard_stop.sum()),
        tick_ms=() if loop is None else tuple(1e3 * s for s in loop.policy_s),
        simulated_s=0.0 if loop is None else len(loop.policy_s) * CONTROL_DT,
        wall_s=wall_s,
    )
