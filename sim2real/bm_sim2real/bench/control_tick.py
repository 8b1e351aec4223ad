"""The control tick by stage: what the loop of the deployed runtime costs, step by step."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bm_core.g1 import CONTROL_DT
from bm_core.motion import MotionClip
from bm_core.reference import MotionReference
from bm_sim2real.evaluation import put_on_frame
from bm_sim2real.guard import CommandGuard
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.loop import ControlLoop
from bm_sim2real.modes import Mode
from bm_sim2real.policies.tracker import TrackerPolicy, base_state_needed
from bm_sim2real.process_signals import children_ignore_sigint
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.simulation_config import SimulationConfig
from bm_sim2real.standing import standing_frame
from bm_sim2real.state_machine import StateMachine

_WARM_UP = 50
"""Control steps that are not counted: allocations, caches, the network's first runs."""
_BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: sum(range(100000))"
"""Ends by itself if the bench was killed."""


@dataclass(kw_only=True)
class TickTimes:
    """s of each control step after the warm-up; guard and physics are of each writer tick, ten a step."""

    observation: list[float] = field(default_factory=list)
    inference: list[float] = field(default_factory=list)
    machine: list[float] = field(default_factory=list)
    """The whole control step: state in, command out, inference included."""
    guard: list[float] = field(default_factory=list)
    physics: list[float] = field(default_factory=list)

    @property
    def without_inference(self) -> list[float]:
        """State in, command out, less the network."""
        return [total - network for total, network in zip(self.machine, self.inference, strict=True)]

    @property
    def rest(self) -> list[float]:
        """State machine, task guard and what belongs to no other stage of the control step."""
        return [less - seen for less, seen in zip(self.without_inference, self.observation, strict=True)]


def time_ticks(policy: Path, clip: MotionClip, steps: int) -> TickTimes:
    """`steps` control steps of tracking in MuJoCo, in lockstep, through state machine and guard."""
    loop = _tracking_loop(policy, clip)
    times, machine = TickTimes(), loop.machine
    tracker: Any = machine.policy
    for _ in range(_WARM_UP):
        loop.step()
    _time(tracker._builder, "compute", times.observation)
    tracker._network = _timed(tracker._network, times.inference)
    _time(machine, "step", times.machine)
    _time(loop.guard, "tick", times.guard)
    _time(loop.robot, "step", times.physics)
    for _ in range(steps):
        if tracker.is_finished:
            _restart(loop, clip)
        loop.step()
    return times


def policy_loop_factor(policy: Path, clip: MotionClip, steps: int) -> float:
    """Simulated time by wall time of physics, guard and policy together: multiples of real time."""
    loop = _tracking_loop(policy, clip)
    for _ in range(_WARM_UP):
        loop.step()
    begun = time.perf_counter()
    for _ in range(steps):
        if loop.machine.policy.is_finished:
            _restart(loop, clip)
        loop.step()
    return steps * CONTROL_DT / (time.perf_counter() - begun)


@contextlib.contextmanager
def load(processes: int) -> Iterator[None]:
    """So many processes that only count, at normal priority, while the block runs."""
    busy: list[subprocess.Popen[bytes]] = []
    try:
        with children_ignore_sigint():
            for _ in range(processes):
                busy.append(subprocess.Popen([sys.executable, "-c", _BUSY]))
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _tracking_loop(policy: Path, clip: MotionClip) -> ControlLoop:
    tracker = TrackerPolicy.load(policy)
    robot = MujocoRobot(SimulationConfig(base_state=base_state_needed(tracker.contract)))
    robot.connect()
    machine = StateMachine(tracker, standing_frame(), robot.features)
    loop = ControlLoop(robot, machine, CommandGuard(GuardLimits(), start_mode=Mode.RUNNING))
    _restart(loop, clip)
    return loop


def _restart(loop: ControlLoop, clip: MotionClip) -> None:
    reference, robot = MotionReference(clip), loop.robot
    assert isinstance(robot, MujocoRobot)
    put_on_frame(robot, reference.frame(0))
    loop.machine.start_running(reference)
    loop.guard = CommandGuard(GuardLimits(), start_mode=Mode.RUNNING) if loop.guard.fault else loop.guard


def _time(owner: Any, name: str, into: list[float]) -> None:
    setattr(owner, name, _timed(getattr(owner, name), into))


def _timed(call: Callable[..., Any], into: list[float]) -> Callable[..., Any]:
    clock = time.perf_counter

    def timed(*arguments: Any, **options: Any) -> Any:
        begun = clock()
        result = call(*arguments, **options)
        into.append(clock() - begun)
        return result

    return timed
