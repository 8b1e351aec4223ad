"""The control loop of a policy whose robot and guard live in the bridge."""

from __future__ import annotations

import time
from typing import Any

from bm_core.errors import RobotError
from bm_core.g1 import CONTROL_DT, G1
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.faults import Fault, Reaction
from bm_sim2real.loop import StepListener
from bm_sim2real.modes import Mode
from bm_sim2real.state_machine import StateMachine
from bm_sim2real.timing_window import TimingWindow


class BridgedLoop:
    """One control step for every ten ticks of the bridge's writer, in its phase."""

    def __init__(self, client: BridgeClient, machine: StateMachine, listener: StepListener | None = None) -> None:
        self.client, self.machine = client, machine
        self._listener = listener
        self._policy = TimingWindow()
        self._was_armed = False

    def step(self) -> None:
        """Waits for the period, then reading, policy, mailbox. A fault of the bridge latches in the machine."""
        self.client.wait_period()
        state = self.client.read()
        self.machine.bridge_holds = self.client.holds
        start = time.perf_counter()
        command = self.machine.step(state)
        policy_s = time.perf_counter() - start
        if self.client.is_armed:  # else it would be a stranger's, in the mailbox of whoever is
            self.client.put(command)
        self._policy.add(policy_s)
        if self._listener is not None:
            self._listener.on_step(state, self.machine, command.low, policy_s)
        fault = self.client.fault
        if fault is not None and self.machine.fault is None:
            self.machine.latch(fault)
        self._watch_lease()

    def reset(self) -> None:
        """Forgets the bridge's fault and holds. RobotError if a cause is still there."""
        self.client.reset()
        self.machine.bridge_holds = self.client.holds  # or the next request would meet those of the last step

    def damp(self, seconds: float) -> None:
        """Gives the lease back, so that stiffness fades, and damps for that long. A dead bridge needs neither."""
        if self.fault is None:
            self.client.release()
        self.machine.damp()
        try:
            for _ in range(max(1, round(seconds / CONTROL_DT))):
                self.step()
        except RobotError:  # it damps by itself, or its guardian does
            return
        self.client.release()

    @property
    def fault(self) -> Fault | None:
        """The first latched fault, of the bridge or of the state machine."""
        return self.machine.fault or self.client.fault

    @property
    def mode(self) -> Mode:
        """Of the state machine."""
        return self.machine.mode

    def timing_ms(self) -> dict[str, dict[str, float]]:
        """As ControlLoop's; period and age are the bridge's own."""
        timing = self.client.status().get("timing_ms", {})
        return {"policy": self._policy.percentiles_ms(), **timing}

    def _watch_lease(self) -> None:
        """A policy that goes on without being obeyed would find the robot elsewhere the next time it is."""
        is_armed = self.client.is_armed
        if self._was_armed and not is_armed and self.machine.mode is not Mode.DAMPING:
            detail = "the bridge has taken the lease back"
            self.machine.latch(Fault("lease_lost", Reaction.DAMPING, 0, detail, source="bridge"))
        self._was_armed = is_armed

    def notes(self) -> dict[str, Any]:
        """As ControlLoop's."""
        counters = self.client.status().get("counters", {})
        return {
            "fault": None if self.fault is None else str(self.fault),
            "timing_ms": self.timing_ms(),
            "effort_clamps": dict(zip(G1.joint_names, counters.get("effort", ()), strict=False)),
            "hard_stop_clamps": dict(zip(G1.joint_names, counters.get("hard_stop", ()), strict=False)),
            "slewed_ticks": counters.get("slew", 0),
            "dropped_commands": counters.get("dropped", 0),
            "refused_commands": counters.get("refused", 0),
            "overruns": counters.get("overruns", 0),
            "corrupt_readings": counters.get("corrupt", 0),
            "unsent_commands": counters.get("unsent", 0),
            "holds": self.client.status().get("holds", []),
            "is_dry_run": self.client.status().get("is_dry_run", False),
        }
