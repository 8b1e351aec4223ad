"""`bm run`: one robot, one policy, one motion."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from bm_core.motion import MotionClip
    from bm_sim2real.loop import ControlLoop
    from bm_sim2real.recorder import Recorder
    from bm_sim2real.robots.mujoco import MujocoRobot
    from bm_sim2real.session import SessionConfig

_HARDWARE = {
    "network_interface",
    "dry_run",
    "mirror",
    "yes",
    "joystick",
    "user_control",
    "no_estimator",
    "ignore_battery",
    "log",
}
_SIMULATION = {"realtime", "delay_ms", "friction"}
"""Options of one robot only."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Let a G1 down from the gantry, stand, play one motion and stand again. Exit 0, 1 after a fault.

    `--robot mujoco`: the same state machine, guard and loop as on the robot, in lockstep or in real time.
    `--robot hardware`: a Unitree G1 through the bridge, which is started if none runs (`bm bridge`). With
    `--network-interface lo` that is the simulated one of `bm sim-robot`.
    """

    policy: Path | None = None
    """Policy bundle (.onnx); default: the shipped g1_tracker.onnx."""
    motion: Path | None = None
    """Motion file to play, or a policy with a motion inside, which then plays it; default: the motion inside --policy.
    Without any the robot only stands."""
    motion_set: str | None = None
    """Simulation: a shipped set's name or a .yaml file; its motions one after the other, standing in between."""
    motion_root: Path | None = None
    """Folder that ${MOTIONS} stands for in a motion set; default: the variable BM_MOTIONS."""
    robot: Literal["mujoco", "hardware"] = "mujoco"
    """Which robot."""
    network_interface: str | None = None
    """Hardware: interface to the robot, such as eth0; lo is the simulated one."""
    dry_run: bool = False
    """Hardware: compute everything, send nothing."""
    mirror: bool = False
    """Hardware: only show the robot in a browser; nothing is sent, no policy is loaded."""
    yes: bool = False
    """Hardware on lo: ask nobody, go on after some seconds."""
    joystick: Path | None = None
    """Hardware: the operator's gamepad (/dev/input/js0): LB is the deadman, B the emergency stop. Without one L1
    on the remote is the deadman (on lo and in a dry run the terminal will do); space stops in any case."""
    user_control: bool = False
    """Hardware: command through rt/user_lowcmd and give the robot back to the vendor's controller at the end."""
    no_estimator: bool = False
    """Hardware: no state estimation in the bridge."""
    ignore_battery: bool = False
    """Hardware: arm even if the battery's charge is unknown."""
    log: Path | None = None
    """Hardware: append the bridge's events with their writer ticks to this file (JSON lines)."""
    realtime: bool = False
    """Follow the wall clock instead of running as fast as possible; shows period and command age."""
    seconds: float = 5.0
    """Standing time without a motion, s."""
    delay_ms: int = 0
    """From command to motor, ms; a multiple of 2."""
    friction: float = 1.0
    """Between soles and floor."""
    record: Path | None = None
    """Record every control step to this .h5 or .npz; .h5 grows as NAME.part.h5, which a crash or a full disk leaves."""
    provider: str = "cpu"
    """Execution provider of the network: auto, cpu, cuda or tensorrt; falls back to the CPU with a warning."""
    json: Path | None = None
    """Also write timing, faults and counters as one JSON document."""

    def __call__(self) -> int:
        from bm_core.errors import ConfigError
        from bm_sim2real.commands.progress import wide_console
        from bm_sim2real.session import Session, SessionConfig

        self._check_robot()
        console = wide_console()
        session = SessionConfig(stand_s=self.seconds)
        clips = self._clips()

        def report(time: float, text: str) -> None:
            console.print(f"{time:7.2f} s  {text}", markup=False)

        if self.robot == "hardware":
            if len(clips) > 1:
                raise ConfigError("--motion-set: one motion a run on hardware; give --motion")
            return self._run_hardware(console, clips[0] if clips else None, session, report)
        robot, loop, recorder = self._build(clips)
        try:
            Session(robot, loop, session, report).run(*clips)
        finally:
            if recorder is not None:
                recorder.close(loop.notes())
            robot.close()
        return self._finish(console, loop.notes())

    def _check_robot(self) -> None:
        """ConfigError for an option of the other robot: who gives --dry-run does not mean a simulation."""
        from bm_core.errors import ConfigError

        other, options = ("mujoco", _SIMULATION) if self.robot == "hardware" else ("hardware", _HARDWARE)
        for field in fields(self):
            if field.name in options and getattr(self, field.name) != field.default:
                name = field.name.replace("_", "-")
                raise ConfigError(f"--{name}: only with --robot {other}; give that, or leave --{name} out")

    def _run_hardware(
        self,
        console: Console,
        clip: MotionClip | None,
        session: SessionConfig,
        report: Callable[[float, str], None],
    ) -> int:
        from bm_core.data import shipped
        from bm_core.errors import ConfigError
        from bm_sim2real.bridge.config import BridgeConfig
        from bm_sim2real.commands.run_hardware import HardwareRun
        from bm_sim2real.unblocked_output import unblocked_output

        if self.network_interface is None:
            raise ConfigError("--robot hardware needs --network-interface, such as eth0; lo is the simulated robot")
        bridge = BridgeConfig(
            interface=self.network_interface,
            is_dry_run=self.dry_run,
            log=self.log,
            estimates_base=not self.no_estimator,
            needs_battery=not self.ignore_battery,
            user_control=self.user_control,
        )
        if self.mirror:
            from bm_sim2real.mirror import show_mirror

            show_mirror(bridge, lambda text: console.print(text, markup=False, soft_wrap=True))
            return 0
        run = HardwareRun(
            policy=self.policy or shipped("policies", "g1_tracker.onnx"),
            bridge=bridge,
            assumes_yes=self.yes,
            joystick=self.joystick,
            session=session,
            record=self.record,
            provider=self.provider,
        )
        with unblocked_output():
            return self._finish(console, run(clip, report))

    def _finish(self, console: Console, notes: dict[str, Any]) -> int:
        from bm_sim2real.result_json import write_result

        passed = notes["fault"] is None
        if self.json is not None:  # first: it has a place of its own where stdout may be gone
            write_result(self.json, command="run", rows=[], summary=notes, passed=passed)
        _print_notes(console, notes)
        return 0 if passed else 1

    def _clips(self) -> list[MotionClip]:
        from bm_core.errors import ConfigError
        from bm_sim2real.clip_files import chosen_clips, has_motion_inside, load_any_clip

        if self.motion_set is not None:
            if self.motion is not None:
                raise ConfigError("give --motion or --motion-set, not both")
            return [file.load() for file in chosen_clips(None, self.motion_set, self.motion_root)]
        if self.motion is not None:
            return [load_any_clip(self.motion)]
        return [load_any_clip(self.policy)] if self.policy is not None and has_motion_inside(self.policy) else []

    def _build(self, clips: Sequence[MotionClip]) -> tuple[MujocoRobot, ControlLoop, Recorder | None]:
        """Everything that can refuse does so here, before the robot moves."""
        from bm_core.data import shipped
        from bm_sim2real.guard import CommandGuard
        from bm_sim2real.loop import ControlLoop
        from bm_sim2real.policies.experts import base_state_for, load_policies
        from bm_sim2real.recorder import Recorder
        from bm_sim2real.robots.mujoco import MujocoRobot
        from bm_sim2real.robots.simulation_config import SimulationConfig
        from bm_sim2real.standing import plan_stop, standing_frame
        from bm_sim2real.state_machine import MachineConfig, StateMachine
        from bm_sim2real.timing import WallClock

        path = self.policy or shipped("policies", "g1_tracker.onnx")
        base_state = base_state_for(path, clips)
        simulation = SimulationConfig(delay_ms=self.delay_ms, friction=self.friction, base_state=base_state)
        robot = MujocoRobot(simulation)
        policy = load_policies(path, clips, self.provider, robot.features)
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


def _print_notes(console: Console, notes: dict[str, Any]) -> None:
    for name, values in notes["timing_ms"].items():
        if values:
            shown = "   ".join(f"{key} {value:.3f}" for key, value in values.items())
            console.print(f"{name.replace('_', ' '):<12} {shown} ms")
    console.print(
        f"guard        {sum(notes['effort_clamps'].values())} joint-ticks at the effort limit, "
        f"{sum(notes['hard_stop_clamps'].values())} at a hard stop, {notes['slewed_ticks']} ticks slowed; "
        f"{notes['dropped_commands']} commands dropped, {notes['refused_commands']} refused; "
        f"{notes['overruns']} ticks late"
    )
