"""The guardian: parent of the writer, with a DDS writer of its own. It takes over when the writer falls silent.

It counts its own 2 ms ticks, not time: on a machine that stalls, a stalled guardian has not seen a silent writer.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import signal
import subprocess
import sys

from bm_core.errors import BmError, RobotError
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.event_log import EventLog
from bm_sim2real.bridge.realtime import make_realtime
from bm_sim2real.bridge.shared_memory import BridgeMemory, Word
from bm_sim2real.guard import damping_command
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.process_signals import Stop, children_ignore_sigint, outlive_terminal
from bm_sim2real.robots.simulation_config import TICK_DT
from bm_sim2real.robots.unitree.dds import DdsLink, RawWriter
from bm_sim2real.robots.unitree.low_command import LowCommandPacker
from bm_sim2real.robots.unitree.sdk import load_sdk
from bm_sim2real.timing import WallClock
from bm_sim2real.unblocked_output import unblocked_output


class SilenceCounter:
    """Consecutive guardian ticks without a new frame of the writer."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._last: int | None = None
        self.silent = 0

    def tick(self, heartbeat: int) -> bool:
        """Whether the limit is reached. A writer that has not sent its first frame is not silent yet."""
        if heartbeat == 0 or heartbeat != self._last:
            self._last, self.silent = heartbeat, 0
            return False
        self.silent += 1
        return self.silent >= self._limit


def damping_frame(memory: BridgeMemory, limits: GuardLimits) -> bytes:
    """The one message that a guardian ever sends; the writer has told it the robot's variant."""
    return LowCommandPacker(int(memory.words[Word.MODE_MACHINE]) - 1).pack(damping_command(limits))


class Guardian:
    """Starts the writer, watches it, and damps after it. `run` is the life of the process."""

    def __init__(self, config: BridgeConfig) -> None:
        """RobotError if another bridge has the interface or DDS cannot use it, ConfigError if the log cannot be."""
        self._log = EventLog(config.log, "guardian")  # first: so far there is nothing to give back
        self._memory = BridgeMemory.create(config.interface)
        self.realtime = make_realtime(priority=80)
        """What the system has granted, in words."""
        self._link = DdsLink(config.interface)
        self._dds = self._link.writer(config.robot.command_topic, load_sdk().LowCmd)
        self._config = dataclasses.replace(config, guardian_guid=self._dds.guid)
        self._stop = Stop()
        signal.signal(signal.SIGUSR1, self._on_estop)
        self._has_terminal = True
        outlive_terminal(self._on_hangup)
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Exit code: 0 after an orderly end, 1 after a takeover. RobotError if the writer cannot reach the robot."""
        with unblocked_output():
            return self._run()

    def _run(self) -> int:
        self._child = child = self._start_writer()
        try:
            counter = SilenceCounter(self._config.limits.guardian_silent_ticks)
            clock = WallClock(self._config.tick_s, slip_s=0.0)
            words, ticks = self._memory.words, 0
            while True:
                clock.wait()
                ticks += 1
                words[Word.GUARDIAN_BEATS] = ticks
                # Without its terminal it goes on for who is armed, and not for ever.
                if self._stop.requested or not (self._has_terminal or words[Word.LEASE]):
                    words[Word.SHUTDOWN] = 1
                if child.poll() is not None and (words[Word.HAS_ENDED] or not words[Word.IS_READY]):
                    break
                if counter.tick(int(words[Word.HEARTBEAT])) and not words[Word.HAS_ENDED]:
                    return self._take_over(child, counter, ticks)
            return self._ended(child)
        finally:
            self._close()

    def _on_estop(self, *_: object) -> None:
        """As the writer's: whoever presses must not have to know which of the two processes is which."""
        self._memory.words[Word.ESTOP_REQUESTS] = secrets.randbits(63)

    def _on_hangup(self) -> None:
        self._has_terminal = False

    def _start_writer(self) -> subprocess.Popen[bytes]:
        fd = self._memory.fd
        command = [sys.executable, "-m", "bm_sim2real.bridge.writer", self._config.to_json(), str(fd)]
        # The inherited file keeps its lock: should the guardian die, an orphaned writer still owns the robot.
        with children_ignore_sigint():
            child = subprocess.Popen(command, pass_fds=(fd,))
        self._memory.words[Word.WRITER_PID] = child.pid
        return child

    def _take_over(self, child: subprocess.Popen[bytes], counter: SilenceCounter, ticks: int) -> int:
        """The writer is stopped for good, so that it cannot come back with an old command; then only damping."""
        child.kill()
        words = self._memory.words
        words[Word.HAS_TAKEN_OVER] = 1
        words[Word.LEASE] = 0
        self._log.add("takeover", ticks, silent_ticks=counter.silent, heartbeat=int(words[Word.HEARTBEAT]))
        fault = {
            "name": "writer_silent",
            "detail": f"no frame for {counter.silent} guardian ticks",
            "source": "guardian",
        }
        self._memory.status.write(json.dumps({"fault": fault, "is_armed": False, "mode": "damping"}).encode())
        self._damp(self._dds)
        child.wait()
        return 1

    def _damp(self, dds: RawWriter) -> None:
        """Until SIGTERM, SIGINT or the end of the terminal, and for at least the time of an exit."""
        if self._config.is_dry_run:
            return
        frame = damping_frame(self._memory, self._config.limits)
        clock, frames = WallClock(self._config.tick_s, slip_s=0.0), 0
        least = self._config.limits.exit_damping_s
        while (self._has_terminal and not self._stop.requested) or frames * TICK_DT < least:
            clock.wait()
            dds.write(frame)
            frames += 1

    def _ended(self, child: subprocess.Popen[bytes]) -> int:
        if child.returncode == 0:
            return 0
        status = self._memory.status.read()
        reason = json.loads(status).get("error") if status else None
        raise RobotError(reason or f"the bridge's writer ended with code {child.returncode}; see above")

    def _close(self) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        self._log.close()
        self._link.close()
        self._memory.close()


def main(arguments: list[str]) -> int:
    """`python -m bm_sim2real.bridge.guardian CONFIG`: the process that `bm run` starts. Errors are one line, exit 2."""
    try:
        return Guardian(BridgeConfig.from_json(arguments[0])).run()
    except BmError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
