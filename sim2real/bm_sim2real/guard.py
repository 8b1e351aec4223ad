"""The command guard: the last thing before the motors. Knows limits and ages, nothing of the task.

The same code runs in lockstep, in the simulated and in the real bridge. It never raises on the way to the motors.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import G1
from bm_core.state import LowCommand, RobotState
from bm_sim2real.faults import Fault, Reaction
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.guard_ramps import DampedRamp, no_torque
from bm_sim2real.guard_rules import RULES, GuardView, is_imu_plausible, is_too_fast
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode

Array = NDArray[np.float64]

_NUM_JOINTS = len(G1.joint_names)
_LEAST_STIFFNESS = 1e-3
"""N m/rad from which a target can be moved to correct a torque."""
_FIRST_ARM_JOINT = G1.joint_index["left_shoulder_pitch_joint"]


@dataclass
class GuardCounters:
    """What the guard corrected without a fault. Joint counts are in joint-ticks, canonical order."""

    effort: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_NUM_JOINTS, dtype=np.int64))
    """Targets back-solved to the effort limit."""
    hard_stop: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_NUM_JOINTS, dtype=np.int64))
    """Outward torques removed at a hard stop."""
    slew: int = 0
    """Ticks in which the entry slew limit acted."""
    dropped: int = 0
    """Commands with an old or repeated sequence."""
    refused: int = 0
    """Commands with NaN, infinity or a wrong length."""
    overruns: int = 0
    """Writer ticks later than GuardLimits.overrun_counted_s."""


class CommandGuard:
    """Turns the policy's newest command into the one that may go out, every writer tick."""

    def __init__(
        self, limits: GuardLimits | None = None, *, is_hardware: bool = False, start_mode: Mode = Mode.DAMPING
    ) -> None:
        """`start_mode` other than DAMPING: a simulation that begins in mid-motion, with no entry to slow down."""
        self.limits = limits or GuardLimits()
        self.counters = GuardCounters()
        self.fault: Fault | None = None
        """The latched fault."""
        self._is_hardware = is_hardware
        self._speed_limit = self.limits.joint_speed_factor * G1.velocity
        self._lower = G1.lower + self.limits.hard_stop_margin
        self._upper = G1.upper - self.limits.hard_stop_margin
        self._damping = damping_command(self.limits)
        self._view: GuardView | None = None
        self._start_mode = start_mode
        self._seen: PolicyCommand | None = None
        self._command = self._damping
        self._slew_until = 0
        self._slewed: Array | None = None
        """Where the slew limit's next step begins; None: at the measured position."""
        self._ramp: DampedRamp | None = DampedRamp(no_torque(self._damping), self._damping, self.limits.connect_ticks)
        self._is_released = False

    def tick(
        self,
        state: RobotState,
        newest: PolicyCommand | None,
        *,
        overrun_s: float = 0.0,
        wall_since_command_s: float = 0.0,
    ) -> LowCommand:
        """One writer tick: the command to write now.

        `newest` is the mailbox's content, the same object as before if nothing new came. The times are 0 in lockstep.
        """
        view = self._look(state, overrun_s, wall_since_command_s)
        if newest is not None and newest is not self._seen:
            self._seen = newest
            self._accept(newest, view)
        if self.fault is None:
            for rule in RULES:
                self.fault = rule(view, self.limits)
                if self.fault is not None:
                    break
        if self.fault is not None:
            self._ramp = self._slewed = None
            return self._damping
        if view.mode is Mode.DAMPING:
            return self._ramped(state, view)
        self._ramp = None
        return self._shape(self._command, state, view)

    def release(self) -> None:
        """An orderly end: from the next command in DAMPING on, stiffness fades instead of vanishing."""
        self._is_released = self.fault is None and self._view is not None and self._view.mode is not Mode.DAMPING

    def estop(self, reason: str) -> None:
        """Damping from the next tick on, from anywhere, latched. An earlier fault stays the first cause."""
        self.latch("estop", reason)

    def latch(self, name: str, detail: str, *, source: str = "guard") -> None:
        """Damping because of something that only the owner of the robot's link sees. The first cause stays."""
        if self.fault is None:
            self.fault = Fault(name, Reaction.DAMPING, self.view.tick if self.view else 0, detail, source)

    @property
    def view(self) -> GuardView | None:
        """What the rules saw in the last tick; None before the first."""
        return self._view

    def reset(self) -> Fault | None:
        """Forgets the latched fault if nothing is wrong any more and the policy asks for DAMPING; else says why not."""
        view = self._view
        if self.fault is None or view is None:
            return None
        if view.mode is not Mode.DAMPING:
            return Fault(
                "reset_refused", Reaction.DAMPING, view.tick, f"policy is in {view.mode.value}, not in damping"
            )
        view.refused_tick = None
        for rule in RULES:
            present = rule(view, self.limits)
            if present is not None:
                return present
        self.fault = None
        return None

    def _look(self, state: RobotState, overrun_s: float, wall_since_command_s: float) -> GuardView:
        view = self._view
        if view is None:
            self._view = view = GuardView(state=state, is_hardware=self._is_hardware, mode=self._start_mode)
            is_new = True
        else:
            view.tick += 1
            is_new = state.seq != view.state.seq
        if is_new:
            view.state_tick = view.tick
            if state.time != view.state.time or view.tick == 0:
                view.clock_tick = view.tick
            view.fast_ticks = view.fast_ticks + 1 if is_too_fast(state, self._speed_limit) else 0
            view.imu_ticks = 0 if is_imu_plausible(state, self.limits) else view.imu_ticks + 1
        view.state = state
        view.overrun_s = overrun_s
        view.sequence_wall_s = wall_since_command_s
        if overrun_s > self.limits.overrun_counted_s:
            self.counters.overruns += 1
        return view

    def _accept(self, newest: PolicyCommand, view: GuardView) -> None:
        """Takes a new command over, or drops or refuses it."""
        low = newest.low
        if low.seq <= view.last_sequence:
            self.counters.dropped += 1
            return
        reason = _nonsense(low, self.limits)
        if reason:
            self.counters.refused += 1
            if view.refused_tick is None:
                view.refused_tick, view.refused_reason = view.tick, f"command {low.seq}: {reason}"
            return
        view.last_sequence, view.last_sequence_tick, view.sequence_wall_s = low.seq, view.tick, 0.0
        is_entry = view.mode is Mode.DAMPING and newest.mode is not Mode.DAMPING
        if newest.mode is Mode.DAMPING and view.mode is not Mode.DAMPING:
            ticks = self.limits.release_ticks
            self._ramp = DampedRamp(self._command, self._damping, ticks) if self._is_released else None
            self._is_released = False
        if is_entry:
            self._slewed = None  # the robot may have moved since: the way begins where it is now
        if is_entry or newest.mode is Mode.HANG:
            self._slew_until = view.tick + self.limits.entry_ticks
        view.mode = newest.mode
        self._command = low

    def _ramped(self, state: RobotState, view: GuardView) -> LowCommand:
        """Damping, or on the way to it."""
        command = None if self._ramp is None else self._ramp.next()
        if command is None:
            self._ramp = self._slewed = None
            return self._damping
        return self._shape(command, state, view)

    def _shape(self, command: LowCommand, state: RobotState, view: GuardView) -> LowCommand:
        """The command, changed only as far as the limits demand."""
        target = self._limit_slew(command.q, state, view)
        torque = command.kp * (target - state.joint_pos) + command.kd * (command.dq - state.joint_vel) + command.tau
        inside = (state.joint_pos >= self._lower) & (state.joint_pos <= self._upper)
        if np.count_nonzero(inside & (np.abs(torque) <= G1.effort)) == _NUM_JOINTS:
            return command if target is command.q else _with(command, q=target, tau=command.tau)
        return self._limit_torque(command, target, torque, state)

    def _limit_torque(self, command: LowCommand, target: Array, torque: Array, state: RobotState) -> LowCommand:
        """Back-solves targets: the PD law gives at most the effort limit, and nothing outwards at a hard stop."""
        most = np.where(state.joint_pos > self._upper, 0.0, G1.effort)
        least = np.where(state.joint_pos < self._lower, 0.0, -G1.effort)
        self.counters.effort += np.abs(torque) > G1.effort
        self.counters.hard_stop += ((most == 0.0) & (torque > 0.0)) | ((least == 0.0) & (torque < 0.0))
        change = np.clip(torque, least, most) - torque
        # A joint without stiffness has no target to move (and with next to none, one at infinity): its feed-forward
        # torque gives way instead.
        has_stiffness = command.kp > _LEAST_STIFFNESS
        shift = np.divide(change, command.kp, out=np.zeros(_NUM_JOINTS), where=has_stiffness)
        return _with(command, q=target + shift, tau=np.where(has_stiffness, command.tau, command.tau + change))

    def _limit_slew(self, target: Array, state: RobotState, view: GuardView) -> Array:
        if view.tick >= self._slew_until:
            self._slewed = None
            return target
        if self._slewed is None:
            self._slewed = state.joint_pos
        step = self.limits.slew_per_tick
        limited = np.clip(target, self._slewed - step, self._slewed + step)
        self.counters.slew += not np.array_equal(limited, target)
        self._slewed = limited
        return limited


def _with(command: LowCommand, *, q: Array, tau: Array) -> LowCommand:
    return LowCommand(
        seq=command.seq, state_seq=command.state_seq, q=q, dq=command.dq, tau=tau, kp=command.kp, kd=command.kd
    )


def _nonsense(low: LowCommand, limits: GuardLimits) -> str:
    """Why a command cannot be obeyed, empty if it can. Lengths are those of the arrays that came."""
    bounds = (limits.most_number, limits.most_number, limits.most_number, limits.most_stiffness, limits.most_damping)
    for name, most in zip(("q", "dq", "tau", "kp", "kd"), bounds, strict=True):
        values = getattr(low, name)
        if np.shape(values) != (_NUM_JOINTS,):
            return f"{name} has shape {np.shape(values)}, ({_NUM_JOINTS},) expected"
        inside = np.abs(values) <= most  # which NaN is not
        if not inside.all():
            joint = int(np.argmin(inside))
            found = f"{values[joint]:.3g}, at most {most:g} allowed" if np.isfinite(values[joint]) else "not finite"
            return f"{name} of {G1.joint_names[joint]} is {found}"
    if (low.kp < 0.0).any() or (low.kd < 0.0).any():
        return "a gain is negative"
    return ""


def damping_command(limits: GuardLimits) -> LowCommand:
    """Needs no reading, so it can be sent blindly."""
    zero = np.zeros(_NUM_JOINTS)
    kd = np.full(_NUM_JOINTS, limits.damping_legs)
    kd[_FIRST_ARM_JOINT:] = limits.damping_arms
    return LowCommand(seq=0, state_seq=0, q=zero, dq=zero, tau=zero, kp=zero, kd=kd)
