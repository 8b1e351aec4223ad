"""Faults of whole processes, in real time over DDS: bridge, guardian, simulated G1 and client each on its own.

Reactions come from the event log, in ticks of whoever reacted. Wall times are reported, never judged: the machine that
measures them stalls by itself.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bm_core.errors import RobotError
from bm_sim2real.fault_injection.stage import Namespace, Stage, eventually


@dataclass(frozen=True, kw_only=True)
class ProcessFault:
    """One thing that happens to one of the processes."""

    name: str
    strike: Callable[[Stage], object]
    fault: str
    age: str | None = None
    """Field of the event that counts the ticks; None = the reaction has no age."""
    allowed_ticks: int = 0
    may_survive: bool = False
    """Whether going on without a fault is as good."""
    in_namespace: bool = False
    """Whether the processes need a network of their own."""


PROCESS_FAULTS = (
    ProcessFault(
        name="client kill -9",
        strike=lambda s: s.client.kill(),
        fault="silent_policy",
        age="command_age_ticks",
        allowed_ticks=30,
    ),
    ProcessFault(
        name="client SIGSTOP",
        strike=lambda s: s.client.send_signal(signal.SIGSTOP),
        fault="silent_policy",
        age="command_age_ticks",
        allowed_ticks=30,
    ),
    ProcessFault(
        name="robot process killed",
        strike=lambda s: s.simulation.kill(),
        fault="stale_state",
        age="state_age_ticks",
        allowed_ticks=25,
    ),
    ProcessFault(
        name="bridge writer kill -9",
        strike=lambda s: os.kill(s.writer_pid, signal.SIGKILL),
        fault="writer_silent",
        age="silent_ticks",
        allowed_ticks=10,
    ),
    ProcessFault(
        name="bridge writer SIGSTOP",
        strike=lambda s: os.kill(s.writer_pid, signal.SIGSTOP),
        fault="writer_silent",
        age="silent_ticks",
        allowed_ticks=10,
    ),
    ProcessFault(
        name="bridge SIGUSR1",
        strike=lambda s: os.kill(s.writer_pid, signal.SIGUSR1),
        fault="estop",
    ),
    ProcessFault(name="guardian SIGUSR1", strike=lambda s: s.bridge.send_signal(signal.SIGUSR1), fault="estop"),
    ProcessFault(name="guardian kill -9", strike=lambda s: s.bridge.kill(), fault="guardian_lost"),
    ProcessFault(name="guardian SIGSTOP", strike=lambda s: s.bridge.send_signal(signal.SIGSTOP), fault="guardian_lost"),
    ProcessFault(name="bridge SIGTERM", strike=lambda s: s.bridge.send_signal(signal.SIGTERM), fault="shutdown"),
    ProcessFault(name="CPU starved for 3 s", strike=lambda s: s.starve(3.0), fault="", may_survive=True),
    ProcessFault(
        name="interface down",
        strike=lambda s: s.take_network_down(),
        fault="stale_state",
        age="state_age_ticks",
        allowed_ticks=25,
        in_namespace=True,
    ),
)


@dataclass(frozen=True, kw_only=True)
class ProcessResult:
    """What came of it."""

    name: str
    expected: str
    found: str | None
    reaction_ticks: int | None
    """Ticks of the writer or guardian without what it waits for."""
    allowed_ticks: int
    reaction_ms: float | None
    """Wall time from the strike to the event, ms."""
    is_damped: bool
    """On the wire, afterwards."""

    may_survive: bool = False

    @property
    def passed(self) -> bool:
        """Right fault, at its tick, and damping frames on the topic; or, where that is as good, nothing at all."""
        if self.may_survive:
            return self.found is None or self.is_damped
        in_time = not self.allowed_ticks or (self.reaction_ticks or 0) == self.allowed_ticks
        return self.found == self.expected and in_time and self.is_damped


def run_process_fault(fault: ProcessFault, attempts: int = 3) -> ProcessResult:
    """Starts the processes, strikes, and looks at the log.

    Starts again if the machine has faulted the bridge before; RobotError if it does so every time.
    """
    for _ in range(attempts):
        stage = Stage(Namespace() if fault.in_namespace else None)
        try:
            time.sleep(0.5)
            if stage.events("fault", "takeover") or stage.client.poll() is not None:
                continue
            struck = time.time()
            fault.strike(stage)
            if fault.may_survive and not stage.events("fault", "takeover"):
                return ProcessResult(
                    name=fault.name, expected="", found=None, reaction_ticks=None, allowed_ticks=0,
                    reaction_ms=None, is_damped=False, may_survive=True,
                )  # fmt: skip
            eventually(lambda stage=stage: bool(stage.events("fault", "takeover")), "a reaction")
            event = stage.events("fault", "takeover")[0]
            return ProcessResult(
                name=fault.name,
                expected=fault.fault,
                found="writer_silent" if event["event"] == "takeover" else event["name"],
                reaction_ticks=event.get(fault.age) if fault.age else None,
                allowed_ticks=fault.allowed_ticks,
                reaction_ms=1e3 * (event["wall"] - struck),
                is_damped=stage.is_damped(),
                may_survive=fault.may_survive,
            )
        finally:
            stage.close()
    raise RobotError(
        f"{fault.name}: this machine stalls so often that the bridge faults by itself; try when it is idle"
    )


def process_row(result: ProcessResult) -> dict[str, Any]:
    """For the JSON document, as fault_row."""
    return {
        "fault": result.name,
        "transport": "processes",
        "expected": result.expected,
        "found": result.found,
        "reaction_ticks": result.reaction_ticks,
        "reaction_ms": result.reaction_ms,
        "allowed_ticks": result.allowed_ticks,
        "passed": result.passed,
    }
