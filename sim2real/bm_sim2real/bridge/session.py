"""One run on the robot behind a bridge: arm, hang, stand, let down, play, stand, damp."""

from __future__ import annotations

from collections.abc import Callable

from bm_core.errors import RobotError
from bm_core.g1 import CONTROL_DT
from bm_core.motion import MotionClip
from bm_sim2real.bridge.loop import BridgedLoop
from bm_sim2real.bridge.operator import Operator, Spoken
from bm_sim2real.holds import hold_names
from bm_sim2real.modes import Mode
from bm_sim2real.session import Report, SessionConfig

ESTIMATE_S = 0.2
"""s after a reset in which the estimate settles."""


class BridgedSession:
    """As Session, but the gantry is in somebody's hands. Ends early, damping, when a fault latches."""

    def __init__(
        self,
        loop: BridgedLoop,
        operator: Operator,
        config: SessionConfig,
        report: Report,
        stops: Callable[[], int] = lambda: 0,
    ) -> None:
        """`stops`: how often the run has been asked to end. The first time it ends in good order: a robot that walks
        brakes and stands until somebody holds the rope; once more, and it damps where it is. `report` may fail: what it
        raises would end in damping, and a robot that walks would fall because nobody can read about it."""
        self._loop, self._operator, self._config, self._report = loop, operator, config, Spoken(report)
        self._stops, self._most_stops = stops, 0
        self._steps = 0
        self._mode: Mode | None = None

    def run(self, clip: MotionClip | None) -> None:
        """The whole sequence; damps and disarms at the end, also after an exception.

        RobotError if another client is armed, if the bridge lacks what the policy needs, if a fault of an earlier run
        is still there, or if arming is refused.
        """
        loop = self._loop
        self._check_bridge()
        if loop.fault is not None:
            self._report(0.0, f"reset after {loop.fault}")
            loop.reset()
        self._confirm("Robot on the gantry, nobody within reach, remote in hand (B = damping). Arm?")
        if self._is_over:
            self._report_fault()
            return
        if loop.client.holds:  # of an earlier run; only now, as an operator who was lost holds the key again by now
            self._report(self.time, f"reset after hold: {', '.join(hold_names(loop.client.holds))}")
            loop.reset()
        loop.client.arm()
        try:
            try:
                self._up()
                self._play(clip)
            finally:
                self._down()
        finally:
            self._report_fault()
            loop.damp(self._config.exit_damping_s)
            self._report(self.time, "damped, end")

    @property
    def time(self) -> float:
        """s since the start."""
        return self._steps * CONTROL_DT

    @property
    def _is_over(self) -> bool:
        return self._loop.fault is not None or self._stops() > self._most_stops

    def _check_bridge(self) -> None:
        """Before anybody is asked: what would only show with the robot in the air, or disturb another client's."""
        client = self._loop.client
        guardian, writer = client.pids
        name = f"{client.interface}: the bridge (processes {guardian} and {writer})"
        if client.is_taken:
            raise RobotError(f"{name} is armed by another client; end that one first")
        if self._loop.machine.needs_base and client.status().get("estimates_base") is False:
            raise RobotError(f"{name} estimates no base state, which this policy needs; end it (--no-estimator)")

    def _report_fault(self) -> None:
        if self._loop.fault is not None:
            self._report(self.time, f"fault: {self._loop.fault}")

    def _up(self) -> None:
        machine, client = self._loop.machine, self._loop.client
        machine.hang(client.read())
        self._while(lambda: not machine.is_hang_done)
        if self._is_over:
            return
        if machine.needs_base:
            # In the air there is nothing to estimate from; the rope still holds what the legs do not.
            self._confirm("Let it down until its feet stand on the floor, the rope still taut.")
            client.reset_estimate()
            self._wait(ESTIMATE_S)
        self._while(lambda: machine.needs_base and client.read().pelvis_pos_w is None)
        if self._is_over:
            return
        machine.stand(client.read())
        self._confirm("It balances. Let it down until the rope is slack.")
        self._wait(self._config.settle_s)

    def _play(self, clip: MotionClip | None) -> None:
        if clip is None:
            self._wait(self._config.stand_s)
        elif not self._is_over:
            machine = self._loop.machine
            machine.play(clip, self._loop.client.read())
            self._report(self.time, f"playing {clip.name}, {clip.duration:.1f} s")
            self._while(lambda: machine.mode is Mode.RUNNING)
            self._wait(self._config.settle_s)

    def _down(self) -> None:
        """Damping lets a standing robot fall: first it stands still, and stays until somebody holds it."""
        machine, self._most_stops = self._loop.machine, self._stops()
        if machine.mode is Mode.RUNNING:
            machine.brake(self._loop.client.read())
        self._while(lambda: machine.mode is Mode.BRAKE)
        if machine.mode is Mode.STAND and not self._is_over:
            self._confirm("Pull the rope taut. Damp?")

    def _confirm(self, text: str) -> None:
        self._operator.ask(text)
        self._while(lambda: not self._operator.has_answered())

    def _wait(self, seconds: float) -> None:
        end = self._steps + round(seconds / CONTROL_DT)
        self._while(lambda: self._steps < end)

    def _while(self, condition: Callable[[], bool]) -> None:
        while condition() and not self._is_over:
            self._loop.step()
            self._steps += 1
            if self._loop.mode is not self._mode:
                self._mode = self._loop.mode
                self._report(self.time, self._mode.value)
