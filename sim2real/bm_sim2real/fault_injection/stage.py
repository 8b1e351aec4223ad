"""Bridge, guardian, simulated G1 and client, each a process of its own, over DDS on loopback."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
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
from bm_sim2real.process_groups import kill_groups, start_group
from bm_sim2real.process_signals import close_undisturbed, signals_put_off, temporary_folder
from bm_sim2real.robots.unitree.dds import LOW_COMMAND_TOPIC, DdsLink
from bm_sim2real.robots.unitree.low_command import read_low_command
from bm_sim2real.robots.unitree.sdk import load_sdk

_PATIENCE_S = 20.0
_SIMULATION = "from bm_sim2real.commands.sim_robot import SimRobot; SimRobot(seconds=60.0, lower_after=0.0)()"
_CLIENT = "from bm_sim2real.fault_injection.stage import hold_pose; hold_pose()"


class Namespace:
    """A network namespace of Linux with nothing but a loopback interface. RobotError without the right to make one."""

    def __init__(self) -> None:
        self._name = f"bm-faults-{os.getpid()}"
        self.prefix = ("ip", "netns", "exec", self._name)
        self._ip("netns", "add", self._name)
        self._ip("-n", self._name, "link", "set", "lo", "up")

    def take_down(self) -> None:
        """As if the cable were pulled."""
        self._ip("-n", self._name, "link", "set", "lo", "down")

    def close(self) -> None:
        """Removes it."""
        with contextlib.suppress(RobotError):
            self._ip("netns", "delete", self._name)

    def _ip(self, *arguments: str) -> None:
        try:
            done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
        except FileNotFoundError:
            raise RobotError("interface down: needs the command ip (iproute2)") from None
        if done.returncode:
            raise RobotError(f"interface down: needs the right to make a network namespace ({done.stderr.strip()})")


class Stage:
    """The four processes of one fault, client included; `close` ends them all."""

    def __init__(self, namespace: Namespace | None = None) -> None:
        """`namespace`: a network of their own, whose loopback may be taken down; the topics cannot be heard then."""
        self.namespace = namespace
        self._processes: list[subprocess.Popen[bytes]] = []
        self._link: DdsLink | None = None
        self._ends = contextlib.ExitStack()
        try:
            self.log = self._ends.enter_context(temporary_folder()) / "events.jsonl"
            self._ends.callback(memory_path("lo").unlink, missing_ok=True)
            if namespace is not None:
                self._ends.callback(namespace.close)
            self.simulation = self._start("-c", _SIMULATION)
            config = BridgeConfig(log=self.log)
            self.bridge = self._start("-m", "bm_sim2real.bridge.guardian", config.to_json())
            self.monitor = attach()
            self.client = self._start("-c", _CLIENT)
            if namespace is None:
                self._link = DdsLink("lo")
                self._ends.callback(self._link.close)
            eventually(
                lambda: self.monitor.status().get("mode") == Mode.HANG.value or self.client.poll() is not None,
                "a running client",
            )
            if self._link is not None:
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
        """Whether 20 frames that come from now on damp; where they cannot be heard: what the bridge says."""
        if self._link is None:
            eventually(lambda: not self.monitor.status()["is_armed"], "the end of the lease")
            return self.monitor.status()["mode"] == Mode.DAMPING.value
        self._reader.take()
        frames: list[bytes] = []
        eventually(lambda: frames.extend(self._reader.take()) or len(frames) >= 20, "frames on rt/lowcmd")
        messages = [read_low_command(frame) for frame in frames]
        return all(m is not None and m.is_intact and not m.values[:, 3].any() for m in messages)

    def close(self) -> None:
        """Kills whatever still lives."""
        try:
            with signals_put_off():
                kill_groups(self._processes, self.writer_pid if hasattr(self, "monitor") else 0)
            if self._link is not None:
                link, self._link = self._link, None
                # Who was killed is remembered for a while, and would be a second publisher on the next stage.
                eventually(lambda: not link.publishers(LOW_COMMAND_TOPIC), "an empty topic")
        finally:
            close_undisturbed(self._ends)

    def take_network_down(self) -> None:
        """For all processes of this stage."""
        assert self.namespace is not None
        self.namespace.take_down()

    def starve(self, seconds: float) -> None:
        """Two busy processes a core, for so long."""
        end = f"import time; end = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"
        for _ in range(2 * (os.cpu_count() or 1)):
            self._start("-c", end)
        time.sleep(seconds)

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [*(self.namespace.prefix if self.namespace else ()), sys.executable, *arguments]
        return start_group(command, self._processes.append, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def hold_pose() -> None:
    """A client that arms and asks for the default pose until it is killed."""
    make_realtime(priority=50)
    client = attach()
    client.arm()
    zero = np.zeros(len(G1.joint_names))
    seq = 0
    while True:
        client.wait_period()
        seq += 1
        low = LowCommand(seq=seq, state_seq=0, q=G1.default_joint_pos, dq=zero, tau=zero, kp=G1.kp, kd=G1.kd)
        client.put(PolicyCommand(low=low, mode=Mode.HANG))


def attach() -> BridgeClient:
    """A client of the bridge that is starting."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return BridgeClient("lo", ready_s=_PATIENCE_S)
        except RobotError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Waits for it. RobotError if it does not come."""
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise RobotError(f"process faults: {what} did not come in {_PATIENCE_S:g} s")
        time.sleep(0.01)
