"""What the viewer shows: one simulated robot in the control loop of every other command, one step at a time.

Nothing here knows of browsers. Robot, guard, state machine and errors are those of `bm run` and `bm eval tracking`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import BmError, RobotError
from bm_core.motion import MotionClip
from bm_core.reference import MotionReference, ReferenceFrame
from bm_sim2real.evaluation import EvaluationConfig, Start, put_on_frame
from bm_sim2real.guard import CommandGuard
from bm_sim2real.loop import ControlLoop
from bm_sim2real.modes import Mode
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.robots.ground_truth import GroundTruth
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.standing import plan_stop, standing_frame
from bm_sim2real.state_machine import StateMachine
from bm_sim2real.tracking_errors import TrackingErrors, tracking_errors

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The world after a step."""

    time_s: float
    """Simulated, since the last reset."""
    mode: Mode
    truth: GroundTruth
    reference: ReferenceFrame | None
    """What the robot should be doing now; None where no policy is at work."""
    errors: TrackingErrors | None
    """Against that reference."""
    clip_s: float
    """Where in the clip the robot is, s; 0 outside RUNNING."""
    fault: str
    """The latched fault in words; empty if there is none."""
    tick_ms: float
    """Of the last control step, reading to command."""
    clamps: int
    """Joint-ticks since the last reset in which the guard changed a target."""


class ViewSession:
    """Plays clips one after the other. Use it from one thread."""

    def __init__(
        self, policy: TrackerPolicy, clips: Sequence[MotionClip], config: EvaluationConfig | None = None
    ) -> None:
        """`clips` under different names; the first one is chosen."""
        if not clips:
            raise RobotError("nothing to view: no clips")
        self.clips = {clip.name: clip for clip in clips}
        self.clip = clips[0]
        self.start = Start.REFERENCE
        self._policy = policy
        self._config = config or EvaluationConfig()
        self._robot = MujocoRobot(self._config.simulation)
        self._robot.connect()
        self.reset()

    def reset(self) -> Snapshot:
        """Robot, guard and state machine afresh: on the clip's first frame, or standing (`start`)."""
        machine = StateMachine(
            self._policy, standing_frame(), self._robot.features, plan_stop=plan_stop, limits=self._config.limits
        )
        if self.start is Start.REFERENCE:
            reference = MotionReference(self.clip)
            put_on_frame(self._robot, reference.frame(0))
            machine.start_running(reference)
        else:
            put_on_frame(self._robot, standing_frame())
            machine.start_standing(self._robot.read())
        self._loop = ControlLoop(self._robot, machine, CommandGuard(self._config.limits, start_mode=machine.mode))
        self._steps = 0
        return self.snapshot()

    def select(self, name: str) -> Snapshot:
        """Choose a clip and start over with it. RobotError for an unknown name."""
        if name not in self.clips:
            raise RobotError(f"{name}: no such clip; there are {', '.join(self.clips)}")
        self.clip = self.clips[name]
        return self.reset()

    def step(self) -> Snapshot:
        """One control step, 20 ms."""
        self._loop.step()
        self._steps += 1
        return self.snapshot()

    def play(self) -> str:
        """The chosen clip from standing, blended in. Returns why not, empty if it does."""
        return self._ask(lambda: self._loop.machine.play(self.clip, self._robot.read()))

    def brake(self) -> str:
        """A stop from the present motion, then standing. Returns why not."""
        return self._ask(lambda: self._loop.machine.brake(self._robot.read()))

    def estop(self) -> None:
        """Damping at once, latched until the next reset."""
        self._loop.machine.estop("button")

    def push(self, speed: float, heading: float) -> None:
        """Adds `speed` m/s to the pelvis in the direction `heading` (rad, world frame)."""
        self._robot.push(speed * np.array([np.cos(heading), np.sin(heading), 0.0]), np.zeros(3))

    @property
    def mode(self) -> Mode:
        return self._loop.machine.mode

    @property
    def steps(self) -> int:
        """Control steps since the last reset."""
        return self._steps

    def snapshot(self) -> Snapshot:
        """The world now."""
        machine, guard = self._loop.machine, self._loop.guard
        truth = self._robot.ground_truth()
        reference = machine.policy.present_frame if machine.mode.is_tracking else None
        is_running = machine.mode is Mode.RUNNING
        counters = guard.counters
        fault = self._loop.fault
        return Snapshot(
            time_s=truth.time,
            mode=machine.mode,
            truth=truth,
            reference=reference,
            errors=None if reference is None else tracking_errors(truth, reference, self._config.terminations),
            clip_s=max(machine.clip_frame, 0) / self.clip.fps if is_running else 0.0,
            fault="" if fault is None else str(fault),
            tick_ms=1e3 * self._loop.policy_s[-1] if self._loop.policy_s else 0.0,
            clamps=int(counters.effort.sum() + counters.hard_stop.sum()),
        )

    @staticmethod
    def _ask(request) -> str:
        try:
            request()
        except BmError as error:
            return str(error)
        return ""
