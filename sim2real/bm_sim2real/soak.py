"""A long run over DDS on loopback: does memory grow, and are ticks later than those of a loop that does nothing?

Processes: simulated G1, bridge (guardian and writer), a client that walks clip after clip, and beside them the bare
loop: 500 Hz at the writer's priority, without work.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bm_core.errors import RobotError
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.process_groups import kill_groups, start_group
from bm_sim2real.process_signals import close_undisturbed, temporary_folder
from bm_sim2real.timing import LateHistogram

LIMITS = GuardLimits().allowing_stalls(0.3)
"""Ages wider than on the robot: a shared computer stalls now and then, and a takeover would end the run."""
SETTLE_SHARE = 1.0 / 3.0
"""Of the run, at its start, in which memory may grow: 10 of 30 minutes."""
LATE = 2.0
"""ms from which a tick counts as late: one period."""
SAMPLE_S = 5.0
_PATIENCE_S = 120.0
"""For a process that starts or ends, on a machine that is busy with others."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(kw_only=True)
class SoakResult:
    """What was seen."""

    seconds: float
    growth_mb: dict[str, float] = field(default_factory=dict)
    """Straight line through each process's memory after the settling, from its begin to its end, MB"""
    rss_mb: dict[str, float] = field(default_factory=dict)
    """At the end"""
    late: dict[str, list[int]] = field(default_factory=dict)
    """Histogram of the writer and of the bare loop, classes LATE_MS"""
    status: dict[str, Any] = field(default_factory=dict)
    """Of the bridge, at the end"""
    client: dict[str, Any] = field(default_factory=dict)
    """What the client did: motions played, faults"""

    def late_ticks(self, name: str) -> int:
        """Later than LATE."""
        return LateHistogram.later_than(self.late[name], LATE)

    def passes(self, most_growth_mb: float, most_late: float) -> bool:
        """Memory below its bar in every process, late ticks at most `most_late` times the bare loop's.

        A run in which no motion came to its end has shown nothing.
        """
        if not self.client.get("played"):
            return False
        grows = any(growth >= most_growth_mb for growth in self.growth_mb.values())
        return not grows and self.late_ticks("writer") <= most_late * max(1, self.late_ticks("bare loop"))


class Soak:
    """The processes of one run; `close` ends them."""

    def __init__(self, policy: Path, clips: list[Path], real_time_factor: float = 1.0) -> None:
        """Returns when the client has armed. RobotError if bridge or client do not come up."""
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ends = contextlib.ExitStack()
        try:
            self._out = self._ends.enter_context(temporary_folder())
            self._ends.callback(self._kill)
            config = BridgeConfig(
                log=self._out / "events.jsonl",
                first_state_s=_PATIENCE_S,
                limits=LIMITS,
                real_time_factor=real_time_factor,
            )
            self._start("simulated robot", "simulate", str(real_time_factor))
            self._start("guardian", "guard", config.to_json())
            self.monitor = BridgeClient.find("lo", _PATIENCE_S)
            arguments = (str(self.processes["simulated robot"].pid), str(policy), *map(str, clips))
            self._start("client", "walk", str(self._out / "client.json"), *arguments)
            self._start("bare loop", "idle", str(self._out / "idle.json"), str(config.tick_s))
            self._wait_for_client()
        except BaseException:
            self.close()
            raise

    def run(self, seconds: float, on_sample: Callable[[float], object] = lambda _: None) -> SoakResult:
        """RobotError if one of the processes ends by itself."""
        memory: dict[str, list[float]] = {}
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            for name, pid in self._pids().items():
                memory.setdefault(name, []).append(rss_mb(pid))
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            if ended:
                raise RobotError(f"soak: {ended[0]} ended after {passed:.0f} s; {self._log()}")
            on_sample(passed)
            time.sleep(min(SAMPLE_S, seconds))
        result = SoakResult(seconds=seconds, status=self.monitor.status())
        for name in ("client", "bare loop"):
            self.processes[name].send_signal(signal.SIGTERM)
            self.processes[name].wait(_PATIENCE_S)
        result.growth_mb = {name: growth_mb(values) for name, values in memory.items()}
        result.rss_mb = {name: values[-1] for name, values in memory.items()}
        result.client = self._told("client", "client.json")
        result.late = {
            "writer": result.status["late_ticks"],
            "bare loop": self._told("bare loop", "idle.json")["late_ticks"],
        }
        return result

    def close(self) -> None:
        """Kills whatever still runs."""
        close_undisturbed(self._ends)

    def _kill(self) -> None:
        kill_groups(self.processes.values(), self.monitor.pids[1] if hasattr(self, "monitor") else 0)

    def _wait_for_client(self) -> None:
        """Before it is at work there is nothing to measure; if it has ended, `run` says so."""
        end = time.monotonic() + _PATIENCE_S
        while not self.monitor.status().get("is_armed") and self.processes["client"].poll() is None:
            if time.monotonic() > end:
                raise RobotError(f"soak: the client has not armed within {_PATIENCE_S:g} s; {self._log()}")
            time.sleep(0.05)

    def _told(self, name: str, file: str) -> dict[str, Any]:
        """What a process wrote at its end. One that was still starting when it was told to end wrote nothing."""
        path = self._out / file
        if not path.exists():
            raise RobotError(f"soak: {name} ended before it saw anything; {self._log()}; remedy: more --minutes")
        return json.loads(path.read_text())

    def _pids(self) -> dict[str, int]:
        pids = {name: process.pid for name, process in self.processes.items()}
        return {**pids, "writer": self.monitor.pids[1]}

    def _start(self, name: str, what: str, *arguments: str) -> None:
        command = [sys.executable, "-m", "bm_sim2real.soak_processes", what, *arguments]
        with (self._out / "stderr.txt").open("ab") as errors:
            keep = functools.partial(self.processes.__setitem__, name)
            start_group(command, keep, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)

    def _log(self) -> str:
        text = (self._out / "stderr.txt").read_text(errors="replace").strip()
        return text.splitlines()[-1] if text else "it said nothing"


def growth_mb(samples: list[float]) -> float:
    """Rise of the straight line through the samples after the settling, MB; 0 for too few."""
    kept = samples[int(len(samples) * SETTLE_SHARE) :]
    if len(kept) < 3:
        return 0.0
    slope = np.polyfit(np.arange(len(kept)), kept, 1)[0]
    return float(slope * (len(kept) - 1))


def rss_mb(pid: int) -> float:
    """Resident memory of a process; 0 once it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
