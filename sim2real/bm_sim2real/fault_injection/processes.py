"""Faults of whole processes, in real time over DDS: bridge, guardian, simulated G1 and client each on its own.

Reactions come from the event log, in ticks of whoever reacted. Wall times are reported, never judged: the machine that
measures them stalls by itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bm_core.errors import RobotError
from bm_core.g1 import G1
from bm_core.state import LowCommand
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.event_log import read_events
from bm_sim2real.bridge.realtime import make_realtime
from bm_sim2real.bridge.shared_memory import memory_path
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode
from bm_sim2real.robots.unitree.dds import LOW_COMMAND_TOPIC, DdsLink
from bm_sim2real.robots.unitree.low_command import read_low_command
from bm_sim2real.robots.unitree.sdk import load_sdk

_PATIENCE_S = 20.0
_SIMULATION = "from bm_sim2real.commands.sim_robot import SimRobot; SimRobot(seconds=60.0, lower_after=0.0)()"
_CLIENT = "from bm_sim2real.fault_injection.processes import hold_pose; hold_pose()"


class Stage:
    """The four processes of one fault, client included; `close` ends them all."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.log = Path(self._folder.name) / "events.jsonl"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._link: DdsLink | None = None
        try:
            self.simulation = self._start("-c", _SIMULATION)
            config = BridgeConfig(log=self.log)
            self.bridge = self._start("-m", "bm_sim2real.bridge.guardian", config.to_json())
            self.monitor = _attach()
            self.client = self._start("-c", _CLIENT)
            self._link = DdsLink("lo")
            _eventually(
                lambda: self.monitor.status().get("mode") == Mode.HANG.value or self.client.poll() is not None,
                "a running client",
            )
            self._reader = self._link.reader(LOW_COMMAND_TOPIC, load_sdk().LowCmd, depth=50)
        except BaseException:
            self.close()
            raise

    @property
    def writer_pid(self) -> int:
        """Of the bridge's writer process."""
        return self.monitor.pids[1]

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Those events so far, in order."""
        return [event for event in read_events(self.log) if event["event"] in names]

    def is_damped(self) -> bool:
        """Whether 20 frames that come from now on damp, all of them."""
        self._reader.take()
        frames: list[bytes] = []
        _eventually(lambda: frames.extend(self._reader.take()) or len(frames) >= 20, "frames on rt/lowcmd")
        messages = [read_low_command(frame) for frame in frames]
        return all(m is not None and m.is_intact and not m.values[:, 3].any() for m in messages)

    def close(self) -> None:
        """Kills whatever still lives."""
        writer = self.writer_pid if hasattr(self, "monitor") else 0
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if writer:
            with contextlib.suppress(ProcessLookupError):
                os.kill(writer, signal.SIGKILL)
        if self._link is not None:
            link, self._link = self._link, None
            # Who was killed is remembered for a while, and would be a second publisher on the next stage.
            _eventually(lambda: not link.publishers(LOW_COMMAND_TOPIC), "an empty topic")
            link.close()
        memory_path("lo").unlink(missing_ok=True)
        self._folder.cleanup()

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, *arguments]
        process = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._processes.append(process)
        return process


@dataclass(frozen=True, kw_only=True)
class ProcessFault:
    """One thing that happens to one of the processes."""

    name: str
    strike: Callable[[Stage], object]
    fault: str
    age: str | None
    """Field of the event that counts the ticks; None = the reaction has no age."""
    allowed_ticks: int = 0


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
        age=None,
    ),
    ProcessFault(
        name="guardian kill -9",
        strike=lambda s: s.bridge.kill(),
        fault="guardian_lost",
        age=None,
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

    @property
    def passed(self) -> bool:
        """Right fault, at its tick, and damping frames on the topic."""
        in_time = not self.allowed_ticks or (self.reaction_ticks or 0) == self.allowed_ticks
        return self.found == self.expected and in_time and self.is_damped


def run_process_fault(fault: ProcessFault, attempts: int = 3) -> ProcessResult:
    """Starts the processes, strikes, and looks at the log.

    Starts again if the machine has faulted the bridge before; RobotError if it does so every time.
    """
    for _ in range(attempts):
        stage = Stage()
        try:
            time.sleep(0.5)
            if stage.events("fault", "takeover") or stage.client.poll() is not None:
                continue
            struck = time.time()
            fault.strike(stage)
            _eventually(lambda stage=stage: bool(stage.events("fault", "takeover")), "a reaction")
            event = stage.events("fault", "takeover")[0]
            return ProcessResult(
                name=fault.name,
                expected=fault.fault,
                found="writer_silent" if event["event"] == "takeover" else event["name"],
                reaction_ticks=event.get(fault.age) if fault.age else None,
                allowed_ticks=fault.allowed_ticks,
                reaction_ms=1e3 * (event["wall"] - struck),
                is_damped=stage.is_damped(),
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


def hold_pose() -> None:
    """A client that arms and asks for the default pose until it is killed."""
    make_realtime(priority=50)
    client = _attach()
    client.arm()
    zero = np.zeros(len(G1.joint_names))
    seq = 0
    while True:
        client.wait_period()
        seq += 1
        low = LowCommand(seq=seq, state_seq=0, q=G1.default_joint_pos, dq=zero, tau=zero, kp=G1.kp, kd=G1.kd)
        client.put(PolicyCommand(low=low, mode=Mode.HANG))


def _attach() -> BridgeClient:
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return BridgeClient("lo", ready_s=_PATIENCE_S)
        except RobotError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _eventually(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise RobotError(f"process faults: {what} did not come in {_PATIENCE_S:g} s")
        time.sleep(0.01)
