"""The control loop: policy every 20 ms, guard and robot every 2 ms. One class for lockstep and for real time."""

from __future__ import annotations

import time
from typing import Any, Protocol

from bm_core.g1 import G1
from bm_core.state import LowCommand, RobotState
from bm_sim2real.faults import Fault
from bm_sim2real.guard import CommandGuard
from bm_sim2real.guard_limits import TICKS_PER_PERIOD
from bm_sim2real.mailbox import LocalMailbox, Mailbox
from bm_sim2real.modes import Mode
from bm_sim2real.robots.protocol import Robot, SteppedRobot
from bm_sim2real.state_machine import StateMachine
from bm_sim2real.timing import Clock, LockstepClock, percentiles


class StepListener(Protocol):
    """Sees every control step, such as a recorder. Must return at once."""

    def on_step(self, state: RobotState, machine: StateMachine, written: LowCommand, policy_s: float) -> None:
        """The reading, the machine after its step, the first command written for it, s that the step took."""
        ...


class ControlLoop:
    """Robot, guard and state machine in one process; the mailbox is the seam where a bridge takes two of them away."""

    def __init__(
        self,
        robot: Robot,
        machine: StateMachine,
        guard: CommandGuard,
        *,
        clock: Clock | None = None,
        mailbox: Mailbox | None = None,
        listener: StepListener | None = None,
    ) -> None:
        """Without a clock: lockstep."""
        self.robot, self.machine, self.guard = robot, machine, guard
        self._clock = clock or LockstepClock()
        self._mailbox = mailbox or LocalMailbox()
        self._listener = listener
        self._stepped = robot if isinstance(robot, SteppedRobot) else None
        self._policy_s: list[float] = []
        self._period_s: list[float] = []
        self._age_s: list[float] = []
        self._put_at = 0.0
        self._ticked_at: float | None = None

    def step(self) -> None:
        """One control period: the policy once, the writer ten times."""
        state = self.robot.read()
        self._put_at = time.perf_counter()
        self._mailbox.put(self.machine.step(state))
        self._policy_s.append(time.perf_counter() - self._put_at)
        for tick in range(TICKS_PER_PERIOD):
            written = self._tick()
            if tick == 0 and self._listener is not None:
                self._listener.on_step(state, self.machine, written, self._policy_s[-1])
        if self.guard.fault is not None and self.machine.mode is not Mode.DAMPING:
            self.machine.latch(self.guard.fault)

    def damp(self, seconds: float) -> None:
        """Nothing but damping for that long: the way out of every run."""
        self.machine.damp()
        for _ in range(max(1, round(seconds / (TICKS_PER_PERIOD * self.robot.features.tick_dt)))):
            self.step()

    @property
    def fault(self) -> Fault | None:
        """The first latched fault, of the guard or of the state machine."""
        return self.machine.fault or self.guard.fault

    def timing_ms(self) -> dict[str, dict[str, float]]:
        """p50, p99, max in ms: policy (reading to command), period of the writer, age of the command that it writes.

        Period and age are empty in lockstep, where time does not pass.
        """
        stats = {"policy": self._policy_s, "period": self._period_s, "command_age": self._age_s}
        return {name: percentiles(values, 1e3) for name, values in stats.items()}

    def notes(self) -> dict[str, Any]:
        """How the run went, for recordings and results: fault, timing, and what the guard corrected."""
        counters = self.guard.counters
        return {
            "fault": None if self.fault is None else str(self.fault),
            "timing_ms": self.timing_ms(),
            "effort_clamps": dict(zip(G1.joint_names, counters.effort.tolist(), strict=True)),
            "hard_stop_clamps": dict(zip(G1.joint_names, counters.hard_stop.tolist(), strict=True)),
            "slewed_ticks": counters.slew,
            "dropped_commands": counters.dropped,
            "refused_commands": counters.refused,
            "overruns": counters.overruns,
        }

    @property
    def policy_s(self) -> list[float]:
        """s that each control step of state machine and policy took."""
        return self._policy_s

    def _tick(self) -> LowCommand:
        overrun, age = self._clock.wait(), 0.0
        if self._clock.is_wall:
            now = time.perf_counter()
            age = now - self._put_at
            self._age_s.append(age)
            if self._ticked_at is not None:
                self._period_s.append(now - self._ticked_at)
            self._ticked_at = now
        written = self.guard.tick(
            self.robot.read(), self._mailbox.newest(), overrun_s=overrun, wall_since_command_s=age
        )
        self.robot.write(written)
        if self._stepped is not None:
            self._stepped.step()
        return written
