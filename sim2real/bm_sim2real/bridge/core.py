"""One writer tick of the bridge: robot, guard, lease and shared memory. Knows no process and no clock.

The same object runs in the writer process at 500 Hz and, in lockstep, in the tests.
"""

from __future__ import annotations

import dataclasses
import json
import time
from typing import Any

import numpy as np

from bm_core.state import LowCommand, RobotState
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.event_log import EventLog
from bm_sim2real.bridge.records import pack_state, unpack_command
from bm_sim2real.bridge.shared_memory import BridgeMemory, Word
from bm_sim2real.bridge.watch import LinkWatch
from bm_sim2real.guard import CommandGuard
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode
from bm_sim2real.robots.unitree.robot import UnitreeRobot
from bm_sim2real.timing import percentiles

_STATUS_EVERY = 25
"""Ticks between two publications of the status (50 ms)."""
_TIMES_KEPT = 2500
_ZERO = np.zeros(29)


class BridgeCore:
    """Starts disarmed and damping. Commands count only with the lease of the client that armed."""

    def __init__(
        self, robot: UnitreeRobot, memory: BridgeMemory, config: BridgeConfig, log: EventLog, *, is_wall: bool = True
    ) -> None:
        """`robot` is connected. `is_wall` False: lockstep, where wall time means nothing."""
        self.robot, self.memory, self.config, self.log = robot, memory, config, log
        self.guard = CommandGuard(config.limits, is_hardware=config.is_hardware)
        self.watch = LinkWatch(config.limits, frozenset({robot.guid, config.guardian_guid}), robot.publishers)
        self.tick_count = 0
        self._is_wall = is_wall
        self._newest: PolicyCommand | None = None
        self._seen_index = memory.command.index
        self._sequence = 0
        self._lease_base = 0
        self._lease_seq = 0
        self._wrong_lease_tick: int | None = None
        self._answered = {word: int(memory.words[word]) for word in (Word.ESTOP_REQUESTS, Word.RESET_REQUESTS)}
        self._arm_answer = ""
        self._logged_fault = self._logged_mode = None
        self._command_at = self._ticked_at = time.perf_counter()
        self._periods: list[float] = []
        self._ages: list[float] = []
        memory.words[Word.MODE_MACHINE] = robot.low_state.mode_machine + 1

    def tick(self, overrun_s: float = 0.0) -> LowCommand:
        """The command that went out."""
        words, guard = self.memory.words, self.guard
        state = self.robot.read()
        trip = self.watch.look(self.robot.low_state)
        if trip is not None:
            guard.latch(*trip, source="bridge")
        self._take_command()
        self._take_requests(state)
        age = time.perf_counter() - self._command_at if self._is_wall else 0.0
        written = guard.tick(state, self._newest, overrun_s=overrun_s, wall_since_command_s=age)
        if not self.config.is_dry_run:
            self.robot.write(written)
        self.tick_count += 1
        words[Word.HEARTBEAT] = self.tick_count
        words[Word.IS_READY] = 1
        self.memory.state.write(pack_state(state))
        changed = self._log_changes()
        if guard.fault is not None and words[Word.LEASE]:
            self.disarm()
        if changed or self.tick_count % _STATUS_EVERY == 0:
            self.publish_status()
        self._time(age)
        return written

    def disarm(self) -> None:
        """No client may move the robot; the guard is told that nothing is asked of it any more."""
        if self.memory.words[Word.LEASE]:
            self.log.add("disarmed", self.tick_count)
        self.memory.words[Word.LEASE] = 0
        self._ask_damping()

    def damp(self) -> None:
        """On the way out: disarmed, and damping from the next tick on."""
        self.guard.latch("shutdown", "the bridge was told to end", source="bridge")
        self.disarm()

    def status(self) -> dict[str, Any]:
        """What clients see; also the end of the event log."""
        counters, fault = self.guard.counters, self.guard.fault
        return {
            "tick": self.tick_count,
            "mode": self._mode.value,
            "is_armed": bool(self.memory.words[Word.LEASE]),
            "arm_refusal": self._arm_answer,
            "fault": None if fault is None else dataclasses.asdict(fault),
            "counters": {
                **dataclasses.asdict(self.robot.counters),
                "effort": counters.effort.tolist(),
                "hard_stop": counters.hard_stop.tolist(),
                "slew": counters.slew,
                "dropped": counters.dropped,
                "refused": counters.refused,
                "overruns": counters.overruns,
                "torn": self.memory.command.torn,
                "events_lost": self.log.lost,
            },
            "hottest_motor_c": self.watch.hottest,
            "is_dry_run": self.config.is_dry_run,
            "timing_ms": {
                "writer_period": percentiles(self._periods, 1e3),
                "command_age": percentiles(self._ages, 1e3),
            },
        }

    def publish_status(self) -> None:
        """Into the shared memory."""
        self.memory.status.write(json.dumps(self.status()).encode())

    @property
    def _mode(self) -> Mode:
        view = self.guard.view
        return Mode.DAMPING if view is None or self.guard.fault is not None else view.mode

    def _take_command(self) -> None:
        """Moves the mailbox's newest to the guard if its lease is the granted one."""
        index = self.memory.command.index
        if index != self._seen_index:
            self._seen_index = index
            data = self.memory.command.read()
            leased = None if data is None else unpack_command(data)
            lease = int(self.memory.words[Word.LEASE])
            if leased is not None and lease and leased.lease == lease:
                self._accept(leased.command)
            elif leased is not None and lease:
                self.guard.counters.refused += 1
                if self._wrong_lease_tick is None:
                    self._wrong_lease_tick = self.tick_count
        since = self._wrong_lease_tick
        if since is not None and self.tick_count - since >= self.config.limits.refused_ticks:
            self._wrong_lease_tick = None
            self.guard.latch(
                "wrong_lease", "another process put commands into the armed client's mailbox", source="bridge"
            )

    def _accept(self, command: PolicyCommand) -> None:
        """Clients count from where they like: their sequence goes on where the last client's ended."""
        low = command.low
        if low.seq > self._lease_seq:
            self._command_at = time.perf_counter()
        self._lease_seq = max(self._lease_seq, low.seq)
        seq = self._lease_base + low.seq
        self._sequence = max(self._sequence, seq)
        self._newest = dataclasses.replace(command, low=dataclasses.replace(low, seq=seq))

    def _ask_damping(self) -> None:
        self._sequence += 1
        self._command_at = time.perf_counter()
        low = LowCommand(seq=self._sequence, state_seq=0, q=_ZERO, dq=_ZERO, tau=_ZERO, kp=_ZERO, kd=_ZERO)
        self._newest = PolicyCommand(low=low, mode=Mode.DAMPING)

    def _take_requests(self, state: RobotState) -> None:
        words = self.memory.words
        if int(words[Word.ESTOP_REQUESTS]) != self._answered[Word.ESTOP_REQUESTS]:
            self._answered[Word.ESTOP_REQUESTS] = int(words[Word.ESTOP_REQUESTS])
            self.guard.estop("asked for by a client")
        if int(words[Word.RESET_REQUESTS]) != self._answered[Word.RESET_REQUESTS]:
            self._reset()
        if words[Word.ARM_REQUEST] and words[Word.ARM_REQUEST] != words[Word.ARM_ANSWER]:
            self._arm(int(words[Word.ARM_REQUEST]), state)
        if words[Word.LEASE] and words[Word.RELEASE_REQUEST] == words[Word.LEASE]:
            self.disarm()

    def _reset(self) -> None:
        refusal = self.guard.reset()
        self.log.add("reset", self.tick_count, refused=None if refusal is None else str(refusal))
        self._answered[Word.RESET_REQUESTS] = int(self.memory.words[Word.RESET_REQUESTS])
        self.publish_status()
        self.memory.words[Word.RESET_ANSWERS] = self._answered[Word.RESET_REQUESTS]

    def _arm(self, lease: int, state: RobotState) -> None:
        """Grants the lease, or says in the status why not."""
        words, (_, x, y, _) = self.memory.words, state.pelvis_quat_w
        fault = self.guard.fault
        if fault is not None:
            self._arm_answer = f"a fault is latched ({fault}); reset it first"
        elif words[Word.LEASE]:
            self._arm_answer = "another client has armed the robot"
        else:
            self._arm_answer = self.watch.arm_refusal(1.0 - 2.0 * float(x * x + y * y))
        self.log.add("arm", self.tick_count, refused=self._arm_answer)
        if not self._arm_answer:
            self._lease_base, self._lease_seq = self._sequence, 0
            self._seen_index = self.memory.command.index  # what a former client left there is not ours
            words[Word.LEASE] = lease
        self.publish_status()
        words[Word.ARM_ANSWER] = lease

    def _log_changes(self) -> bool:
        fault, mode, view = self.guard.fault, self._mode, self.guard.view
        changed = False
        if fault is not self._logged_fault:
            self._logged_fault, changed = fault, True
            if fault is not None and view is not None:
                ages = {
                    "command_age_ticks": view.tick - view.last_sequence_tick,
                    "state_age_ticks": view.tick - view.state_tick,
                    "clock_age_ticks": view.tick - view.clock_tick,
                }
                self.log.add(
                    "fault", view.tick, name=fault.name, detail=fault.detail, reason_source=fault.source, **ages
                )
        if mode is not self._logged_mode:
            self._logged_mode, changed = mode, True
            self.log.add("mode", self.tick_count - 1, mode=mode.value)
        return changed

    def _time(self, age: float) -> None:
        now = time.perf_counter()
        self._periods.append(now - self._ticked_at)
        self._ticked_at = now
        if self.memory.words[Word.LEASE]:
            self._ages.append(age)
        for times in (self._periods, self._ages):
            if len(times) > 2 * _TIMES_KEPT:
                del times[:_TIMES_KEPT]
