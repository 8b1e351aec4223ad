"""The command guard's rules: pure functions of a view and the limits. They return a fault or None; the caller latches.

Every comparison is written so that NaN trips it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bm_core.g1 import G1
from bm_core.state import RobotState
from bm_sim2real.faults import Fault, Reaction
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.modes import Mode


@dataclass(slots=True)
class GuardView:
    """What the rules look at. The guard rewrites one view every tick: a new object would cost more than the rules."""

    state: RobotState
    """The newest reading."""
    is_hardware: bool = False
    mode: Mode = Mode.DAMPING
    """Of the newest accepted command."""
    tick: int = 0
    """Writer ticks since the guard started."""
    last_sequence: int = -1
    """Of the newest accepted command."""
    last_sequence_tick: int = 0
    sequence_wall_s: float = 0.0
    """Wall time since the newest accepted command, s; 0 in lockstep."""
    state_tick: int = 0
    """When the newest reading was first seen."""
    clock_tick: int = 0
    """When the robot's clock last moved."""
    refused_tick: int | None = None
    """When a command was first refused."""
    refused_reason: str = ""
    overrun_s: float = 0.0
    """By how much this tick is late, s; 0 in lockstep."""
    fast_ticks: int = 0
    """Consecutive readings with a joint above the speed limit."""
    imu_ticks: int = 0
    """Consecutive readings with an implausible IMU."""


def silent_policy(view: GuardView, limits: GuardLimits) -> Fault | None:
    """No new sequence: the last target is history, not a command."""
    silent = view.tick - view.last_sequence_tick
    if silent < limits.silent_ticks and view.sequence_wall_s <= limits.silent_wall_s:
        return None
    if view.mode is Mode.DAMPING:  # nothing is expected of the policy
        return None
    detail = f"nothing after sequence {view.last_sequence} for {silent} ticks (limit {limits.silent_ticks})"
    return Fault("silent_policy", Reaction.DAMPING, view.tick, detail)


def stale_state(view: GuardView, limits: GuardLimits) -> Fault | None:
    """No fresh reading: damping goes out blindly."""
    age = view.tick - view.state_tick
    if age < limits.stale_state_ticks:
        return None
    detail = f"no reading after {view.state.seq} for {age} ticks (limit {limits.stale_state_ticks})"
    return Fault("stale_state", Reaction.DAMPING, view.tick, detail)


def frozen_clock(view: GuardView, limits: GuardLimits) -> Fault | None:
    """Readings arrive, but the robot's own tick stands still: its controller hangs and repeats itself."""
    age = view.tick - view.clock_tick
    if age < limits.frozen_ticks or view.clock_tick == view.state_tick:
        return None
    detail = f"robot clock stands at {view.state.time:.3f} s for {age} ticks (limit {limits.frozen_ticks})"
    return Fault("frozen_clock", Reaction.DAMPING, view.tick, detail)


def writer_overrun(view: GuardView, limits: GuardLimits) -> Fault | None:
    """The writer itself came late. In simulation the robot waited, so it is only counted (by the loop)."""
    if view.overrun_s <= limits.overrun_fault_s or not view.is_hardware:
        return None
    detail = f"tick {1e3 * view.overrun_s:.0f} ms late (limit {1e3 * limits.overrun_fault_s:.0f} ms)"
    return Fault("writer_overrun", Reaction.DAMPING, view.tick, detail)


def refused_command(view: GuardView, limits: GuardLimits) -> Fault | None:
    """A command was nonsense: the one before it holds for one period, then damping, whatever has come since."""
    if view.refused_tick is None or view.tick - view.refused_tick < limits.refused_ticks:
        return None
    return Fault("refused_command", Reaction.DAMPING, view.tick, view.refused_reason)


def invalid_state(view: GuardView, limits: GuardLimits) -> Fault | None:
    """An angle that no joint can have, a speed that is no number: a command corrected with it would be nonsense too."""
    q, dq = view.state.joint_pos, view.state.joint_vel
    beyond = limits.position_beyond
    # NaN is inside of nothing.
    possible = (q >= G1.lower - beyond) & (q <= G1.upper + beyond) & (np.abs(dq) <= limits.most_speed)
    if np.count_nonzero(possible) == len(possible):
        return None
    joint = int(np.argmin(possible))
    detail = (
        f"{G1.joint_names[joint]} at {q[joint]:.3g} rad (range {G1.lower[joint]:.2f}..{G1.upper[joint]:.2f}, "
        f"{beyond} beyond tolerated), {dq[joint]:.3g} rad/s"
    )
    return Fault("invalid_state", Reaction.DAMPING, view.tick, detail)


def joint_speed(view: GuardView, limits: GuardLimits) -> Fault | None:
    """Faster than the motor can turn by itself: slipping encoder, broken linkage or a runaway."""
    if view.fast_ticks < limits.joint_speed_ticks:
        return None
    speed = np.abs(view.state.joint_vel) / G1.velocity
    worst = int(np.argmax(np.where(np.isfinite(speed), speed, np.inf)))
    limit = limits.joint_speed_factor * G1.velocity[worst]
    detail = f"{G1.joint_names[worst]} at {view.state.joint_vel[worst]:.1f} rad/s (limit {limit:.1f})"
    return Fault("joint_speed", Reaction.DAMPING, view.tick, detail)


def imu_implausible(view: GuardView, limits: GuardLimits) -> Fault | None:
    """An orientation that is none, or rates that no pelvis survives."""
    if view.imu_ticks < limits.imu_ticks:
        return None
    state = view.state
    quat, gyro, acc = (float(np.linalg.norm(a)) for a in (state.pelvis_quat_w, state.pelvis_gyro_b, state.pelvis_acc_b))
    detail = (
        f"|quat| {quat:.3f} (1 +- {limits.quat_norm_tolerance}), gyro {gyro:.1f} rad/s (limit {limits.gyro_limit}), "
        f"acceleration {acc:.0f} m/s^2 (limit {limits.acceleration_limit:.0f})"
    )
    return Fault("imu_implausible", Reaction.DAMPING, view.tick, detail)


RULES = (
    refused_command,
    silent_policy,
    stale_state,
    frozen_clock,
    writer_overrun,
    invalid_state,
    joint_speed,
    imu_implausible,
)
"""In the order in which they are asked; the first fault is latched."""


def is_too_fast(state: RobotState, limit: np.ndarray) -> bool:
    """Whether any joint is above its speed limit (29,) rad/s, or not a number."""
    return bool(np.count_nonzero(np.abs(state.joint_vel) <= limit) < len(limit))


def is_imu_plausible(state: RobotState, limits: GuardLimits) -> bool:
    """Whether quaternion, gyro and accelerometer of one reading can be true."""
    quat, gyro, acc = state.pelvis_quat_w, state.pelvis_gyro_b, state.pelvis_acc_b
    return (
        abs(math.sqrt(quat.dot(quat)) - 1.0) <= limits.quat_norm_tolerance
        and gyro.dot(gyro) <= limits.gyro_limit**2
        and acc.dot(acc) <= limits.acceleration_limit**2
    )
