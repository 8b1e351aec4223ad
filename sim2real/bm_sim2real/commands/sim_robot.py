"""`bm sim-robot`: a simulated G1 on the real DDS topics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bm_sim2real.process_signals import Stop
    from bm_sim2real.robots.gantry import Gantry
    from bm_sim2real.robots.imu_errors import ImuErrors
    from bm_sim2real.robots.mujoco import MujocoRobot
    from bm_sim2real.robots.unitree.remote_input import GamepadRemote, KeyboardRemote
    from bm_sim2real.robots.unitree.simulated import SimulatedG1
    from bm_sim2real.terminal_keys import TerminalKeys

_REMOTE_EVERY = 10
"""Ticks between two looks at the remote."""
_ROPE_S = 2.0
"""s for which the lowered robot still hangs in a rope that is just taut."""


@dataclass(frozen=True, kw_only=True)
class SimRobot:
    """A simulated G1 behind Unitree's DDS topics, on loopback (domain 1), at 500 Hz of its own time, until Ctrl-C.

    Any program that speaks to a G1 can speak to it: `bm run --robot hardware --network-interface lo` or Unitree's own.
    SIGUSR1 puts it back onto the gantry.
    """

    start: Literal["hang", "stand"] = "hang"
    """On the gantry, or on its feet in the default pose."""
    lower_after: float = 4.0
    """s of stiff motors after which the gantry lets the robot down; it unhooks it once targets move, as somebody's who
    balances. 0 = never."""
    lift_after: float = 0.0
    """s of lying with damped motors after which the gantry picks the robot up again; 0 = never."""
    delay_ms: int = 0
    """From command to motor, ms; a multiple of 2."""
    friction: float = 1.0
    """Between soles and floor."""
    ideal_motors: bool = False
    """Motors without a speed limit, as `bm run --robot mujoco` and training have them."""
    imu: Literal["perfect", "typical"] = "perfect"
    """typical: noise, bias, tilt and drift as in `bm eval estimator`."""
    gyro_noise: float | None = None
    """Standard deviation, rad/s; in the place of --imu's."""
    acc_noise: float | None = None
    """Standard deviation, m/s^2; in the place of --imu's."""
    gyro_bias: float | None = None
    """rad/s on every axis; in the place of --imu's."""
    packet_loss: float = 0.0
    """Fraction of messages lost, each way."""
    latency_ms: int = 0
    """Time that each message takes on the link, each way, ms; a multiple of 2."""
    jitter_ms: int = 0
    """At most so much more, ms; a multiple of 2."""
    duplicated: float = 0.0
    """Fraction of messages that come twice."""
    reordered: float = 0.0
    """Fraction of messages that are overtaken by later ones."""
    battery: float = 80.0
    """% that the battery reports."""
    remote: Literal["none", "keyboard"] | Path = "none"
    """The wireless remote: keys of this terminal, or a gamepad's device such as /dev/input/js0."""
    on_silence: Literal["hold", "damp", "zero"] = "hold"
    """What the motors do when nobody speaks for 0.1 s."""
    mode_machine: int = 5
    """Variant that the robot reports and demands."""
    service: str = "ai"
    """Vendor's motion service that is active at the start; empty for none."""
    seed: int = 0
    """Of noise and loss."""
    truth: Path | None = None
    """Keep the true poses and the commands in force, one row a tick, and write them to this .npz at the end."""
    real_time_factor: float = 1.0
    """Simulated s per s of the wall clock, 0.05..1: less than 1 where this computer cannot keep up with 500 Hz."""
    seconds: float | None = None
    """End after this many s; default: never."""
    ignore_interrupt: bool = False
    """Leave SIGINT to whoever started this, and end with SIGTERM only: after the bridge, which still damps."""

    def __call__(self) -> int:
        import signal

        from bm_sim2real.bridge.realtime import make_realtime
        from bm_sim2real.commands.progress import wide_console
        from bm_sim2real.process_signals import Stop
        from bm_sim2real.real_time_factor import check_real_time_factor
        from bm_sim2real.robots.unitree.dds import LOOPBACK, domain_of
        from bm_sim2real.robots.unitree.remote_input import HELP
        from bm_sim2real.robots.unitree.sdk import load_sdk
        from bm_sim2real.terminal_keys import TerminalKeys

        check_real_time_factor(self.real_time_factor)
        console = wide_console()
        console.print(make_realtime(priority=60))
        robot, wire, gantry = self._build()
        console.print(f"SIMULATED G1 on {LOOPBACK}, DDS domain {domain_of(LOOPBACK)}; {load_sdk().found}")
        stop = Stop()
        if self.ignore_interrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with TerminalKeys() as keys:
                if self.remote == "keyboard":
                    console.print(HELP if keys.is_open else "no terminal: no keyboard remote")
                timing = self._serve(robot, wire, gantry, stop, self._remote(keys))
        finally:
            wire.close()
            robot.close()
        c = wire.counters
        console.print(
            f"period {timing}; commands: {c.accepted} accepted, {c.corrupt} corrupt, {c.wrong_variant} refused"
        )
        return 0

    def _remote(self, keys: TerminalKeys) -> KeyboardRemote | GamepadRemote | None:
        from bm_sim2real.joystick import Joystick
        from bm_sim2real.robots.unitree.remote_input import GamepadRemote, KeyboardRemote

        if self.remote == "none":
            return None
        return KeyboardRemote(keys) if self.remote == "keyboard" else GamepadRemote(Joystick(self.remote))

    def _build(self) -> tuple[MujocoRobot, SimulatedG1, Gantry]:
        from bm_sim2real.robots.mujoco import MujocoRobot
        from bm_sim2real.robots.simulation_config import SimulationConfig
        from bm_sim2real.robots.unitree.channel import ChannelConfig
        from bm_sim2real.robots.unitree.simulated import Silence, SimulatedG1, WireConfig

        robot = MujocoRobot(
            SimulationConfig(
                delay_ms=self.delay_ms,
                friction=self.friction,
                has_speed_limit=not self.ideal_motors,
                imu=self._imu_errors(),
            )
        )
        channel = ChannelConfig(
            loss=self.packet_loss,
            delay_ticks=_ticks("--latency-ms", self.latency_ms),
            jitter_ticks=_ticks("--jitter-ms", self.jitter_ms),
            duplicated=self.duplicated,
            reordered=self.reordered,
        )
        config = WireConfig(
            mode_machine=self.mode_machine,
            on_silence=Silence(self.on_silence),
            channel=channel,
            charge=self.battery,
            seed=self.seed,
        )
        gantry = self._gantry(robot)
        robot.connect()
        if self.start == "hang":
            robot.hang()
        wire = SimulatedG1(robot, config)
        wire.switcher.active = self.service
        return robot, wire, gantry

    def _gantry(self, robot: MujocoRobot) -> Gantry:
        from bm_sim2real.robots.gantry import Gantry

        return Gantry(robot, self.lower_after, _ROPE_S, self.lift_after)

    def _imu_errors(self) -> ImuErrors:
        import dataclasses

        from bm_sim2real.robots.imu_errors import TYPICAL, ImuErrors

        errors = TYPICAL if self.imu == "typical" else ImuErrors()
        given = {"gyro_noise": self.gyro_noise, "acc_noise": self.acc_noise}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if self.gyro_bias is not None:
            changes["gyro_bias"] = (self.gyro_bias,) * 3
        return dataclasses.replace(errors, seed=self.seed, **changes)

    def _serve(
        self,
        robot: MujocoRobot,
        wire: SimulatedG1,
        gantry: Gantry,
        stop: Stop,
        remote: KeyboardRemote | GamepadRemote | None,
    ) -> str:
        """Ticks in real time until told to stop; the period as text."""
        import signal
        import time

        from bm_sim2real.robots.simulation_config import TICK_DT
        from bm_sim2real.robots.truth_log import TruthLog
        from bm_sim2real.timing import WallClock
        from bm_sim2real.timing_window import TimingWindow

        clock = WallClock(TICK_DT / self.real_time_factor)
        picked_up: list[int] = []
        signal.signal(signal.SIGUSR1, lambda number, _: picked_up.append(number))
        periods, ticks, truth = TimingWindow(), 0, TruthLog(self.truth)
        begin = before = time.perf_counter()
        while not stop.requested and (self.seconds is None or before - begin < self.seconds):
            clock.wait()
            if picked_up:
                picked_up.clear()
                robot.pick_up()
                gantry = self._gantry(robot)
            if remote is not None and ticks % _REMOTE_EVERY == 0:
                wire.remote = remote.read()
            wire.tick()
            truth.add(robot, wire.command)
            gantry.tick(wire.command)
            now = time.perf_counter()
            periods.add(now - before)
            before, ticks = now, ticks + 1
        truth.close()
        return ", ".join(f"{name} {value:.2f}" for name, value in periods.percentiles_ms().items()) + " ms"


def _ticks(option: str, milliseconds: int) -> int:
    """ConfigError unless it is a whole number of ticks."""
    from bm_core.errors import ConfigError
    from bm_sim2real.robots.simulation_config import TICK_MS

    if milliseconds < 0 or milliseconds % TICK_MS:
        raise ConfigError(f"{option} {milliseconds}: must be a multiple of {TICK_MS} ms, the robot's tick, and >= 0")
    return milliseconds // TICK_MS
