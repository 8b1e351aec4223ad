"""One run from the gantry to the end: hang, stand, let down, play, stand, damp. What `bm run` does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bm_core.errors import ConfigError
from bm_core.g1 import CONTROL_DT
from bm_core.motion import MotionClip
from bm_sim2real.loop import ControlLoop
from bm_sim2real.modes import Mode
from bm_sim2real.robots.mujoco import MujocoRobot

Report = Callable[[float, str], None]
"""Gets s since the start and what happens now."""


@dataclass(frozen=True, kw_only=True)
class SessionConfig:
    """Times of a session, s."""

    clearance: float = 0.05
    """m between soles and floor on the gantry."""
    lower_s: float = 1.0
    """s in which the gantry lets the robot down, already balanced by the tracker."""
    settle_s: float = 1.0
    """s of standing free before a motion, and after it."""
    stand_s: float = 5.0
    """s of standing where there is no motion."""
    exit_damping_s: float = 1.0
    """s of damping at the end."""

    def __post_init__(self) -> None:
        named = {
            "clearance": "m between soles and floor",
            "lower_s": "s of letting down",
            "settle_s": "s of settling",
            "stand_s": "s of standing (--seconds)",
            "exit_damping_s": "s of damping at the end",
        }
        for name, meaning in named.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ConfigError(f"{meaning} = {value:g}: must be a finite number, 0 or more")


class Session:
    """Drives one loop on a simulated robot. Ends early, damping, when a fault latches."""

    def __init__(self, robot: MujocoRobot, loop: ControlLoop, config: SessionConfig, report: Report) -> None:
        self._robot, self._loop, self._config, self._report = robot, loop, config, report
        self._steps = 0
        self._mode: Mode | None = None

    def run(self, *clips: MotionClip) -> None:
        """The whole sequence; damps at the end, also after an exception. RobotError if a clip cannot be entered."""
        try:
            self._up()
            if not clips:
                self._wait(self._config.stand_s)
            for clip in clips:
                self._play(clip)
        finally:
            if self._loop.fault is not None:
                self._report(self.time, f"fault: {self._loop.fault}")
            self._loop.damp(self._config.exit_damping_s)
            self._report(self.time, "damped, end")

    @property
    def time(self) -> float:
        """s since the start, on the robot's clock."""
        return self._steps * CONTROL_DT

    def _up(self) -> None:
        """From the gantry to standing free."""
        machine, robot, config = self._loop.machine, self._robot, self._config
        robot.hang(config.clearance)
        machine.hang(robot.read())
        self._while(lambda: not machine.is_hang_done)
        if self._loop.fault is not None:
            return
        if machine.needs_base:  # which is estimated from feet on the floor
            self._lower()
            self._while(lambda: robot.read().pelvis_pos_w is None)
            if self._loop.fault is not None:
                return
        machine.stand(robot.read())
        if not machine.needs_base:
            self._lower()
        robot.release()
        self._report(self.time, "gantry released")
        self._wait(config.settle_s)

    def _lower(self) -> None:
        """Until the feet stand, a little more than the clearance."""
        steps = round(self._config.lower_s / CONTROL_DT)
        for _ in range(steps):
            self._robot.lower((self._config.clearance + 0.01) / steps)
            self._step()

    def _play(self, clip: MotionClip) -> None:
        if self._loop.fault is not None:
            return
        self._loop.machine.play(clip, self._robot.read())
        self._report(self.time, f"playing {clip.name}, {clip.duration:.1f} s")
        self._while(lambda: self._loop.machine.mode is Mode.RUNNING)
        self._wait(self._config.settle_s)

    def _wait(self, seconds: float) -> None:
        end = self._steps + round(seconds / CONTROL_DT)
        self._while(lambda: self._steps < end)

    def _while(self, condition: Callable[[], bool]) -> None:
        while condition() and self._loop.fault is None:
            self._step()

    def _step(self) -> None:
        self._loop.step()
        self._steps += 1
        if self._loop.machine.mode is not self._mode:
            self._mode = self._loop.machine.mode
            self._report(self.time, self._mode.value)
