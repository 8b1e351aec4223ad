"""The half of `bm run` that goes through the bridge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from bm_core.motion import MotionClip

_GANTRY_S = 3.0
"""s in which the simulated gantry (`bm sim-robot`) lets the robot down."""


@dataclass(frozen=True, kw_only=True)
class HardwareRun:
    """A run on a Unitree G1, real or simulated behind its own topics."""

    policy: Path
    interface: str
    is_dry_run: bool
    assumes_yes: bool
    """Nobody is asked; only for the simulated robot."""
    seconds: float
    record: Path | None
    provider: str
    log: Path | None

    def __call__(self, clip: MotionClip | None, report: Callable[[float, str], None]) -> dict[str, Any]:
        """Notes of the run, as ControlLoop.notes(). Everything that can refuse does so before the robot is armed."""
        from bm_core.errors import ConfigError
        from bm_sim2real.bridge.config import BridgeConfig
        from bm_sim2real.bridge.launch import bridge_client
        from bm_sim2real.bridge.loop import BridgedLoop
        from bm_sim2real.bridge.operator import PatientOperator, TerminalOperator
        from bm_sim2real.bridge.realtime import make_realtime
        from bm_sim2real.bridge.session import BridgedSession
        from bm_sim2real.policies.tracker import TrackerPolicy
        from bm_sim2real.process_signals import Stop
        from bm_sim2real.recorder import Recorder
        from bm_sim2real.robots.unitree.robot import UnitreeConfig, UnitreeRobot
        from bm_sim2real.session import SessionConfig
        from bm_sim2real.standing import plan_stop, standing_frame
        from bm_sim2real.state_machine import MachineConfig, StateMachine

        config = BridgeConfig(interface=self.interface, is_dry_run=self.is_dry_run, log=self.log)
        if self.assumes_yes and config.is_hardware:
            raise ConfigError(f"--yes on {self.interface}: only for the simulated robot on lo; a real one is confirmed")
        features = UnitreeRobot(UnitreeConfig(interface=self.interface)).features
        policy = TrackerPolicy.load(self.policy, self.provider, features)
        machine = StateMachine(
            policy, standing_frame(), features, plan_stop=plan_stop, config=MachineConfig(plans_in_background=True)
        )
        operator = PatientOperator(_GANTRY_S) if self.assumes_yes else TerminalOperator()
        recorder = Recorder(self.record, policy.contract) if self.record else None
        with bridge_client(config) as client:
            report(0.0, f"bridge: processes {client.pids[0]} and {client.pids[1]}" + (", DRY RUN" * self.is_dry_run))
            loop, stop = BridgedLoop(client, machine, recorder), Stop()
            session = BridgedSession(
                loop, operator, SessionConfig(stand_s=self.seconds), report, lambda: stop.requested
            )
            report(0.0, f"policy: {make_realtime(priority=50)}")
            try:
                session.run(clip)
            finally:
                notes = loop.notes()
                if recorder is not None:
                    recorder.close(notes)
        return notes
