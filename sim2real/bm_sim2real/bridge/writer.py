"""The writer process: `python -m bm_sim2real.bridge.writer CONFIG FD`. Started by the guardian, never by hand.

Ignores SIGINT, which a terminal sends to the whole group: it ends when the guardian says so, after damping.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time

from bm_core.errors import BmError
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.core import BridgeCore
from bm_sim2real.bridge.event_log import EventLog
from bm_sim2real.bridge.realtime import make_realtime
from bm_sim2real.bridge.shared_memory import BridgeMemory, Word
from bm_sim2real.process_signals import outlive_terminal
from bm_sim2real.robots.unitree.robot import UnitreeRobot
from bm_sim2real.timing import WallClock
from bm_sim2real.unblocked_output import unblocked_output

COULD_NOT_RUN = 2
_PARENT_EVERY = 25
"""Ticks between two looks whether the guardian lives."""


def main(arguments: list[str]) -> int:
    """Exit code 0 after damping, or if told to end before the robot answered; 2 if it could not be reached."""
    with unblocked_output():
        return _main(arguments)


def _main(arguments: list[str]) -> int:
    config, memory = BridgeConfig.from_json(arguments[0]), BridgeMemory(int(arguments[1]))
    try:
        log = EventLog(config.log, "writer")
    except BmError as error:
        memory.status.write(json.dumps({"error": str(error)}).encode())
        return COULD_NOT_RUN
    signals = _Signals()
    realtime = make_realtime(priority=70)
    robot = UnitreeRobot(config.robot)

    def is_told_to_end() -> bool:
        return bool(memory.words[Word.SHUTDOWN]) or signals.ends

    try:
        robot.connect(gives_up=is_told_to_end)
    except BmError as error:
        if is_told_to_end():
            return 0
        memory.status.write(json.dumps({"error": str(error)}).encode())
        return COULD_NOT_RUN
    try:
        gc.disable()  # its pauses; the loop makes no cycles, and what the start-up left is collected now
        gc.collect()
        gc.freeze()
        log.add("start", 0, released=robot.released, realtime=realtime)
        core = BridgeCore(robot, memory, config, log, realtime=realtime)
        _run(core, signals)
    finally:
        robot.close()
        log.close()
    return 0


def _run(core: BridgeCore, signals: _Signals) -> None:
    clock, guardian = WallClock(core.config.tick_s), _GuardianWatch(core)
    while not core.memory.words[Word.SHUTDOWN] and not signals.ends:
        _tick(core, clock, signals)
        guardian.look()
    core.end()
    _keep_ticking(core, clock, signals, core.config.limits.release_ticks * core.robot.features.tick_dt)
    core.damp()
    _keep_ticking(core, clock, signals, core.config.limits.exit_damping_s)
    _hand_back(core, clock, signals)
    core.memory.words[Word.HAS_ENDED] = 1
    core.log.add("end", core.tick_count, status=core.status())


def _tick(core: BridgeCore, clock: WallClock, signals: _Signals) -> None:
    core.tick(clock.wait())
    if signals.takes_estop():
        core.estop("signal", "signal SIGUSR1")


def _keep_ticking(core: BridgeCore, clock: WallClock, signals: _Signals, seconds: float) -> None:
    end = time.perf_counter() + seconds / core.config.real_time_factor
    while time.perf_counter() < end:
        _tick(core, clock, signals)


def _hand_back(core: BridgeCore, clock: WallClock, signals: _Signals) -> None:
    """Ticks go on meanwhile: the service may take a second, and a writer that stands still is replaced in 20 ms."""
    errors: list[Exception] = []

    def call() -> None:
        try:
            core.robot.hand_back()
        except Exception as error:  # a thread has nobody to raise to
            errors.append(error)

    thread = threading.Thread(target=call, name="hand back", daemon=True)
    thread.start()
    while thread.is_alive():
        _tick(core, clock, signals)
    for error in errors:
        if not isinstance(error, BmError):
            raise error
        core.log.add("hand_back_refused", core.tick_count, detail=str(error))


class _GuardianWatch:
    """Whether somebody would damp after us: the guardian lives, and it moves."""

    def __init__(self, core: BridgeCore) -> None:
        self._core, self._words = core, core.memory.words
        # From the memory, not from getppid: who died while we connected was never our parent here.
        self._pid = int(self._words[Word.GUARDIAN_PID])
        self._beats, self._seen_tick = -1, 0

    def look(self) -> None:
        """Once a tick."""
        tick, limit = self._core.tick_count, self._core.config.limits.guardian_lost_ticks
        if tick % _PARENT_EVERY:
            return
        beats = int(self._words[Word.GUARDIAN_BEATS])
        if beats != self._beats:
            self._beats, self._seen_tick = beats, tick
        if os.getppid() != self._pid:
            self._core.guard.latch("guardian_lost", "the guardian process is gone", source="bridge")
        elif tick - self._seen_tick >= limit:
            self._core.guard.latch("guardian_lost", f"the guardian stands still for {limit} ticks", source="bridge")


class _Signals:
    """SIGTERM ends after damping, SIGUSR1 is the emergency stop; SIGINT and the terminal are left to the guardian."""

    def __init__(self) -> None:
        self.ends = False
        self._estop = False
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        outlive_terminal()
        signal.signal(signal.SIGTERM, self._on_end)
        signal.signal(signal.SIGUSR1, self._on_estop)

    def takes_estop(self) -> bool:
        estop, self._estop = self._estop, False
        return estop

    def _on_end(self, *_: object) -> None:
        self.ends = True

    def _on_estop(self, *_: object) -> None:
        self._estop = True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
