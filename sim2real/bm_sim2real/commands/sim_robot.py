"""`bm sim-robot`: a simulated G1 on the real DDS topics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bm_sim2real.process_signals import Stop
    from bm_sim2real.robots.mujoco import MujocoRobot
    from bm_sim2real.robots.unitree.simulated import SimulatedG1


@dataclass(frozen=True, kw_only=True)
class SimRobot:
    """A simulated G1 behind Unitree's DDS topics, on loopback (domain 1), at 500 Hz in real time, until Ctrl-C.

    Any program that speaks to a G1 can speak to it: `bm run --robot hardware --network-interface lo` or Unitree's own.
    """

    start: Literal["hang", "stand"] = "hang"
    """On the gantry, or on its feet in the default pose."""
    lower_after: float = 4.0
    """s of stiff motors after which the gantry lets the robot down and unhooks it; 0 = never."""
    delay_ms: int = 0
    """From command to motor, ms; a multiple of 2."""
    friction: float = 1.0
    """Between soles and floor."""
    gyro_noise: float = 0.0
    """Standard deviation, rad/s."""
    acc_noise: float = 0.0
    """Standard deviation, m/s^2."""
    gyro_bias: float = 0.0
    """rad/s on every axis."""
    packet_loss: float = 0.0
    """Fraction of messages lost, each way."""
    on_silence: Literal["hold", "damp", "zero"] = "hold"
    """What the motors do when nobody speaks for 0.1 s."""
    mode_machine: int = 5
    """Variant that the robot reports and demands."""
    service: str = "ai"
    """Vendor's motion service that is active at the start; empty for none."""
    seed: int = 0
    """Of noise and loss."""
    seconds: float | None = None
    """End after this many s; default: never."""

    def __call__(self) -> int:
        from bm_sim2real.bridge.realtime import make_realtime
        from bm_sim2real.commands.progress import wide_console
        from bm_sim2real.process_signals import Stop
        from bm_sim2real.robots.unitree.dds import LOOPBACK, domain_of
        from bm_sim2real.robots.unitree.sdk import load_sdk

        console = wide_console()
        console.print(make_realtime(priority=60))
        robot, wire = self._build()
        console.print(f"SIMULATED G1 on {LOOPBACK}, DDS domain {domain_of(LOOPBACK)}; {load_sdk().found}")
        stop = Stop()
        try:
            timing = self._serve(robot, wire, stop)
        finally:
            wire.close()
            robot.close()
        c = wire.counters
        console.print(
            f"period {timing}; commands: {c.accepted} accepted, {c.corrupt} corrupt, {c.wrong_variant} refused"
        )
        return 0

    def _build(self) -> tuple[MujocoRobot, SimulatedG1]:
        from bm_sim2real.robots.mujoco import MujocoRobot
        from bm_sim2real.robots.simulation_config import SimulationConfig
        from bm_sim2real.robots.unitree.simulated import Silence, SimulatedG1, WireConfig

        robot = MujocoRobot(SimulationConfig(delay_ms=self.delay_ms, friction=self.friction))
        config = WireConfig(
            mode_machine=self.mode_machine,
            on_silence=Silence(self.on_silence),
            loss=self.packet_loss,
            gyro_noise=self.gyro_noise,
            acc_noise=self.acc_noise,
            gyro_bias=self.gyro_bias,
            seed=self.seed,
        )
        robot.connect()
        if self.start == "hang":
            robot.hang()
        wire = SimulatedG1(robot, config)
        wire.switcher.active = self.service
        return robot, wire

    def _serve(self, robot: MujocoRobot, wire: SimulatedG1, stop: Stop) -> str:
        """Ticks in real time until told to stop; the period as text."""
        import time

        from bm_sim2real.robots.gantry import Gantry
        from bm_sim2real.robots.simulation_config import TICK_DT
        from bm_sim2real.timing import WallClock, percentiles

        clock = WallClock(TICK_DT)
        gantry = Gantry(robot, self.lower_after)
        periods: list[float] = []
        begin = before = time.perf_counter()
        while not stop.requested and (self.seconds is None or before - begin < self.seconds):
            clock.wait()
            wire.tick()
            gantry.tick(wire.command)
            now = time.perf_counter()
            periods.append(now - before)
            before = now
        shown = percentiles(periods[-500_000:], 1e3)
        return ", ".join(f"{name} {value:.2f}" for name, value in shown.items()) + " ms"
