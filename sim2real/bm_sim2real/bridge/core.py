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
from bm_sim2real.bridge.client_holds import ClientHolds
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.event_log import EventLog
from bm_sim2real.bridge.published_estimate import PublishedEstimate
from bm_sim2real.bridge.records import pack_state, unpack_command
from bm_sim2real.bridge.shared_memory import BridgeMemory, Word
from bm_sim2real.bridge.status import bridge_status
from bm_sim2real.bridge.watch import LinkWatch, Trip
from bm_sim2real.guard import CommandGuard
from bm_sim2real.holds import hold_names
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode
from bm_sim2real.robots.unitree.robot import UnitreeRobot
from bm_sim2real.timing import LateHistogram
from bm_sim2real.timing_window import TimingWindow

_STATUS_EVERY = 25
"""Ticks between two publications of the status (50 ms)."""
_ZERO = np.zeros(29)


class BridgeCore:
    """Starts disarmed and damping. Commands count only with the lease of the client that armed."""

    def __init__(
        self,
        robot: UnitreeRobot,
        memory: BridgeMemory,
        config: BridgeConfig,
        log: EventLog,
        *,
        is_wall: bool = True,
        realtime: str = "",
    ) -> None:
        """`robot` is connected. `is_wall` False: lockstep, where wall time means nothing. `realtime`: priority and
        memory lock of the writer process, in words, for the status; empty where there is none.
        """
        self.robot, self.memory, self.config, self.log = robot, memory, config, log
        self.guard = CommandGuard(config.limits, is_hardware=config.is_hardware)
        own = frozenset({robot.guid, config.guardian_guid})
        self.watch = LinkWatch(config.limits, own, robot.publishers, is_dry_run=config.is_dry_run)
        self.holds = ClientHolds(config.limits, memory.words)
        self.estimate = PublishedEstimate(robot.features.tick_dt) if config.estimates_base else None
        self.tick_count = 0
        self._is_wall = is_wall
        self._newest: PolicyCommand | None = None
        self._seen_index = memory.command.index
        self._sequence = 0
        self._lease_base = self._lease_seq = self._lease_tick = 0
        self._wrong_lease_tick: int | None = None
        # 0 as in the memory that the guardian made, not what stands there now: a stop pressed meanwhile still counts.
        self._answered = {Word.ESTOP_REQUESTS: 0, Word.RESET_REQUESTS: 0}
        self._arm_answer = self._reset_answer = ""
        self._trip: Trip | None = None
        self._is_ending = False
        self._logged_fault = self._logged_mode = None
        self._command_at = self._ticked_at = time.perf_counter()
        self.late = LateHistogram()
        """Of the writer's ticks."""
        self.realtime = realtime
        self._periods, self._ages = TimingWindow(), TimingWindow()
        memory.words[Word.MODE_MACHINE] = robot.low_state.mode_machine + 1
        self._warm_up()

    def tick(self, overrun_s: float = 0.0) -> LowCommand:
        """The command that went out."""
        words, guard = self.memory.words, self.guard
        state = self.robot.read()
        self._trip = self.watch.look(self.robot.low_state, self.robot.torso_imu, self.robot.charge)
        if self._trip is not None:
            guard.latch(*self._trip, source="bridge")
        if self.watch.is_estop_pressed:
            self.log.add("estop", self.tick_count, by="remote")
        self._take_command()
        self._take_back_unused_lease()
        held = self.holds.tick(self.watch.holds(), self.watch.is_deadman_held)
        if held:
            self.log.add("hold", self.tick_count, holds=hold_names(held))
        self._take_requests(state)
        age = (time.perf_counter() - self._command_at) * self.config.real_time_factor if self._is_wall else 0.0
        written = guard.tick(state, self._newest, overrun_s=overrun_s, wall_since_command_s=age)
        if not self.config.is_dry_run:
            self.robot.write(written)
        self._publish_state(state)
        changed = self._log_changes() or bool(held)
        if guard.fault is not None and words[Word.LEASE]:
            self.disarm()
        if changed or self.tick_count % _STATUS_EVERY == 0:
            self.publish_status()
        self._time(age)
        self.late.add(overrun_s)
        return written

    def _warm_up(self) -> None:
        """Whatever is slow the first time. The guardian watches from the first tick on."""
        self.robot.publishers()
        self.publish_status()
        if self.estimate is not None:
            self.estimate.warm_up(self.robot.read())

    def _publish_state(self, state: RobotState) -> None:
        """After the command is out, as nothing but the policy waits for the estimate; then the tick counts as done."""
        words, covariance = self.memory.words, None
        if self.estimate is not None:
            state, covariance = self.estimate.of(state, words)
        self.memory.state.write(pack_state(state, covariance, self.robot.low_state))
        self.tick_count += 1
        words[Word.HEARTBEAT] = self.tick_count
        words[Word.IS_READY] = 1

    def disarm(self) -> None:
        """No client may move the robot; without a fault its stiffness fades, with one it damps already."""
        if self.memory.words[Word.LEASE]:
            self.log.add("disarmed", self.tick_count)
            self.guard.release()
        self.memory.words[Word.LEASE] = 0
        self._ask_damping()

    def estop(self, by: str, reason: str) -> None:
        """Damping from the next tick on, latched; logged even where another fault came first."""
        self.log.add("estop", self.tick_count, by=by)
        self.guard.estop(reason)

    def end(self) -> None:
        """The first step on the way out: disarmed, stiffness fades, and nobody is armed any more."""
        self._is_ending = True
        self.disarm()

    def damp(self) -> None:
        """On the way out: disarmed, and damping from the next tick on."""
        self.guard.latch("shutdown", "the bridge was told to end", source="bridge")
        self.disarm()

    def status(self) -> dict[str, Any]:
        """What clients see; also the end of the event log."""
        return bridge_status(self)

    @property
    def mode(self) -> Mode:
        """Of the newest accepted command; damping with a fault."""
        view = self.guard.view
        return Mode.DAMPING if view is None or self.guard.fault is not None else view.mode

    @property
    def arm_answer(self) -> str:
        """Why the last request to arm was refused; empty if it was not."""
        return self._arm_answer

    @property
    def reset_answer(self) -> str:
        """Why the last request to reset was refused; empty if it was not."""
        return self._reset_answer

    def timing_ms(self) -> dict[str, dict[str, float]]:
        """p50, p99, max since the start; the age while somebody is armed."""
        return {"writer_period": self._periods.percentiles_ms(), "command_age": self._ages.percentiles_ms()}

    def publish_status(self) -> None:
        """Into the shared memory."""
        self.memory.status.write(json.dumps(self.status()).encode())

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
        self._lease_tick = self.tick_count
        if low.seq > self._lease_seq:
            self._command_at = time.perf_counter()
        self._lease_seq = max(self._lease_seq, low.seq)
        seq = self._lease_base + low.seq
        self._sequence = max(self._sequence, seq)
        self._newest = dataclasses.replace(command, low=dataclasses.replace(low, seq=seq))

    def _take_back_unused_lease(self) -> None:
        """Whoever armed and then died in DAMPING trips no guard, and must not keep the robot from the next one."""
        silent = self.tick_count - self._lease_tick
        if silent > self.config.limits.lease_ticks and self.memory.words[Word.LEASE] and self.mode is Mode.DAMPING:
            self.log.add("lease_lapsed", self.tick_count, silent_ticks=silent)
            self.disarm()

    def _ask_damping(self) -> None:
        self._sequence += 1
        self._command_at = time.perf_counter()
        low = LowCommand(seq=self._sequence, state_seq=0, q=_ZERO, dq=_ZERO, tau=_ZERO, kp=_ZERO, kd=_ZERO)
        self._newest = PolicyCommand(low=low, mode=Mode.DAMPING)

    def _take_requests(self, state: RobotState) -> None:
        words = self.memory.words
        if int(words[Word.ESTOP_REQUESTS]) != self._answered[Word.ESTOP_REQUESTS]:
            self._answered[Word.ESTOP_REQUESTS] = int(words[Word.ESTOP_REQUESTS])
            self.estop("client", "asked for by a client")
        if int(words[Word.RESET_REQUESTS]) != self._answered[Word.RESET_REQUESTS]:
            self._reset()
        if words[Word.ARM_REQUEST] and words[Word.ARM_REQUEST] != words[Word.ARM_ANSWER]:
            self._arm(int(words[Word.ARM_REQUEST]), state)
        if words[Word.LEASE] and words[Word.RELEASE_REQUEST] == words[Word.LEASE]:
            self.disarm()

    def _reset(self) -> None:
        """Forgets what is over. What the watch still sees would latch again in the next tick."""
        asked = int(self.memory.words[Word.RESET_REQUESTS])  # now: who asks meanwhile is answered in the next tick
        refusal = self.guard.reset() if self._trip is None else ": ".join(self._trip)
        self.holds.reset()
        self._reset_answer = "" if refusal is None else str(refusal)
        self.log.add("reset", self.tick_count, refused=self._reset_answer or None)
        self._answered[Word.RESET_REQUESTS] = asked
        self.publish_status()
        self.memory.words[Word.RESET_ANSWERS] = asked

    def _arm(self, lease: int, state: RobotState) -> None:
        """Grants the lease, or says in the status why not."""
        words, (_, x, y, _) = self.memory.words, state.pelvis_quat_w
        fault = self.guard.fault
        if fault is not None:
            self._arm_answer = f"a fault is latched ({fault}); reset it first"
        elif self._is_ending:
            self._arm_answer = "the bridge is ending"
        elif words[Word.LEASE]:
            self._arm_answer = "another client has armed the robot; disarm it there, or stop it and reset"
        elif self.config.demands_heartbeat and not self.holds.is_operator_there:
            self._arm_answer = "no operator heartbeat; hold L1 on the remote, or LB on a gamepad (--joystick)"
        elif words[Word.HOLDS]:
            self._arm_answer = f"held by {', '.join(hold_names(int(words[Word.HOLDS])))}; reset when it is over"
        else:
            needs_battery = self.config.is_hardware and self.config.needs_battery
            self._arm_answer = self.watch.arm_refusal(1.0 - 2.0 * float(x * x + y * y), needs_battery=needs_battery)
        self.log.add("arm", self.tick_count, refused=self._arm_answer)
        if not self._arm_answer:
            self._lease_base, self._lease_seq, self._lease_tick = self._sequence, 0, self.tick_count
            self._seen_index = self.memory.command.index  # what a former client left there is not ours
            self._command_at = time.perf_counter()
            words[Word.LEASE] = lease
        self.publish_status()
        words[Word.ARM_ANSWER] = lease

    def _log_changes(self) -> bool:
        fault, mode, view = self.guard.fault, self.mode, self.guard.view
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
        self._periods.add(now - self._ticked_at)
        self._ticked_at = now
        if self.memory.words[Word.LEASE]:
            self._ages.add(age)
