"""`bm run`: one robot, one policy, one motion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console

    from bm_sim2real.loop import ControlLoop
    from bm_sim2real.recorder import Recorder
    from bm_sim2real.robots.mujoco import MujocoRobot


@dataclass(frozen=True, kw_only=True)
class Run:
    """Let a simulated G1 down from the gantry, stand, play one motion and stand again. Exit 0, 1 after a fault.

    The same state machine, guard and loop as on the robot, in lockstep or in real time.
    """

    policy: Path | None = None
    """Policy bundle (.onnx); default: the shipped g1_tracker.onnx."""
    motion: Path | None = None
    """Motion file to play; without one the robot only stands."""
    robot: Literal["mujoco"] = "mujoco"
    """Which robot."""
    realtime: bool = False
    """Follow the wall clock instead of running as fast as possible; shows period and command age."""
    seconds: float = 5.0
    """Standing time without a motion, s."""
    delay_ms: int = 0
    """From command to motor, ms; a multiple of 2."""
    friction: float = 1.0
    """Between soles and floor."""
    record: Path | None = None
    """Record every control step to this .h5 or .npz."""
    provider: str = "cpu"
    """Execution provider of the network: cpu, cuda or tensorrt."""
    json: Path | None = None
    """Also write timing, faults and counters as one JSON document."""

    def __call__(self) -> int:
        from bm_core.motion import load_clip
        from bm_sim2real.commands.progress import wide_console
        from bm_sim2real.result_json import write_result
        from bm_sim2real.session import Session, SessionConfig

        console = wide_console()
        clip = None if self.motion is None else load_clip(self.motion)
        robot, loop, recorder = self._build()

        def report(time: float, text: str) -> None:
            console.print(f"{time:7.2f} s  {text}")

        try:
            Session(robot, loop, SessionConfig(stand_s=self.seconds), report).run(clip)
        finally:
            if recorder is not None:
                recorder.close(loop.notes())
            robot.close()
        _print_notes(console, loop)
        if self.json is not None:
            notes = loop.notes()
            write_result(self.json, command="run", rows=[], summary=notes, passed=loop.fault is None)
        return 0 if loop.fault is None else 1

    def _build(self) -> tuple[MujocoRobot, ControlLoop, Recorder | None]:
        """Everything that can refuse does so here, before the robot moves."""
        from bm_core.bundle import Bundle
        from bm_core.data import shipped
        from bm_sim2real.guard import CommandGuard
        from bm_sim2real.loop import ControlLoop
        from bm_sim2real.policies.tracker import TrackerPolicy, base_state_needed
        from bm_sim2real.recorder import Recorder
        from bm_sim2real.robots.mujoco import MujocoRobot
        from bm_sim2real.robots.simulation_config import SimulationConfig
        from bm_sim2real.standing import plan_stop, standing_frame
        from bm_sim2real.state_machine import MachineConfig, StateMachine
        from bm_sim2real.timing import WallClock

        path = self.policy or shipped("policies", "g1_tracker.onnx")
        base_state = base_state_needed(Bundle.read(path).contract)
        simulation = SimulationConfig(delay_ms=self.delay_ms, friction=self.friction, base_state=base_state)
        robot = MujocoRobot(simulation)
        policy = TrackerPolicy.load(path, self.provider, robot.features)
        recorder = Recorder(self.record, policy.contract) if self.record else None
        machine = StateMachine(
            policy,
            standing_frame(),
            robot.features,
            plan_stop=plan_stop,
            config=MachineConfig(plans_in_background=self.realtime),
        )
        clock = WallClock(robot.features.tick_dt) if self.realtime else None
        robot.connect()
        return robot, ControlLoop(robot, machine, CommandGuard(), clock=clock, listener=recorder), recorder


def _print_notes(console: Console, loop: ControlLoop) -> None:
    for name, values in loop.timing_ms().items():
        if values:
            shown = "   ".join(f"{key} {value:.3f}" for key, value in values.items())
            console.print(f"{name.replace('_', ' '):<12} {shown} ms")
    counters = loop.guard.counters
    console.print(
        f"guard        {counters.effort.sum()} joint-ticks at the effort limit, "
        f"{counters.hard_stop.sum()} at a hard stop, {counters.slew} ticks slowed; "
        f"{counters.dropped} commands dropped, {counters.refused} refused; {counters.overruns} ticks late"
    )
