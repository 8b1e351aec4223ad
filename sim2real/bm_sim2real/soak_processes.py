"""The processes of a soak: `python -m bm_sim2real.soak_processes simulate | guard | walk | idle ...`."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

from bm_core.errors import BmError, RobotError
from bm_core.motion import load_clip
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.features import bridged_features
from bm_sim2real.bridge.loop import BridgedLoop
from bm_sim2real.bridge.realtime import make_realtime
from bm_sim2real.modes import Mode
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.process_signals import Stop
from bm_sim2real.standing import plan_stop, standing_frame
from bm_sim2real.state_machine import MachineConfig, StateMachine
from bm_sim2real.timing import LateHistogram, WallClock

WRITER_PRIORITY = 70


def simulate(real_time_factor: str) -> int:
    """The robot; SIGUSR1 hangs it up again."""
    from bm_sim2real.commands.sim_robot import SimRobot

    return SimRobot(real_time_factor=float(real_time_factor))()


def guard(config: str) -> int:
    """The bridge."""
    from bm_sim2real.bridge.guardian import Guardian

    return Guardian(BridgeConfig.from_json(config)).run()


def idle(out: str, tick_s: str) -> int:
    """The bare loop: the writer's clock and priority, no work."""
    stop, late = Stop(), LateHistogram()
    make_realtime(priority=WRITER_PRIORITY)
    clock = WallClock(float(tick_s))
    while not stop.requested:
        late.add(clock.wait())
    Path(out).write_text(json.dumps({"late_ticks": late.counts}))
    return 0


def walk(out: str, robot_pid: str, policy: str, *clips: str) -> int:
    """Clip after clip; after a fault the robot is hung up again and the next life begins."""
    return _Walker(Path(out), int(robot_pid), Path(policy), [Path(clip) for clip in clips]).run()


class _Walker:
    """One client of the bridge."""

    def __init__(self, out: Path, robot_pid: int, policy: Path, clips: list[Path]) -> None:
        self._stop = Stop()  # first: loading takes a second, and who is told to end meanwhile still tells what it saw
        self._out, self._robot_pid = out, robot_pid
        features = bridged_features(BridgeConfig())
        self._machine = StateMachine(
            TrackerPolicy.load(policy, features=features),
            standing_frame(),
            features,
            plan_stop=plan_stop,
            config=MachineConfig(plans_in_background=True),
        )
        self._clips = cycle([load_clip(clip) for clip in clips])
        self._client = BridgeClient("lo")
        self._loop = BridgedLoop(self._client, self._machine)
        self._played, self._faults = 0, []

    def run(self) -> int:
        """Until SIGTERM."""
        make_realtime(priority=50)
        while not self._stop.requested:
            self._note(self._live)
            if self._loop.fault is not None:
                self._faults.append(str(self._loop.fault))
            if not self._stop.requested:
                self._note(self._again)
        self._loop.damp(1.0)
        self._out.write_text(json.dumps({"played": self._played, "faults": self._faults}))
        return 0

    def _note(self, act: Callable[[], None]) -> None:
        """Also a refused reset is one fault more, and no end of hours of walking."""
        try:
            act()
        except RobotError as error:
            self._faults.append(str(error))

    def _live(self) -> None:
        """From the gantry on, clip after clip, until a fault or the end."""
        machine, client = self._machine, self._client
        client.arm()
        machine.hang(client.read())
        self._while(lambda: not machine.is_hang_done)
        machine.stand(client.read())
        self._wait(6.0)
        while self._goes_on:
            machine.play(next(self._clips), client.read())
            self._while(lambda: machine.mode is not Mode.STAND)
            self._wait(1.0)
            self._played += self._goes_on

    def _again(self) -> None:
        """Damp, pick the robot up, reset."""
        self._loop.damp(1.0)
        os.kill(self._robot_pid, signal.SIGUSR1)
        time.sleep(2.0)
        self._machine.reset()
        self._client.heartbeat()  # the operator of this run is back
        self._client.wait_period()
        self._client.reset()

    @property
    def _goes_on(self) -> bool:
        return self._loop.fault is None and not self._stop.requested

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._while(lambda: time.monotonic() < end)

    def _while(self, condition: Callable[[], bool]) -> None:
        while condition() and self._goes_on:
            self._client.heartbeat()
            self._loop.step()


def main(arguments: list[str]) -> int:
    """Errors are one line, exit 2."""
    what = {"simulate": simulate, "guard": guard, "idle": idle, "walk": walk}
    try:
        return what[arguments[0]](*arguments[1:])
    except BmError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
