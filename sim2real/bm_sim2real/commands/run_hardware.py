"""The half of `bm run` that goes through the bridge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from bm_core.motion import MotionClip
    from bm_sim2real.bridge.client import BridgeClient
    from bm_sim2real.bridge.config import BridgeConfig
    from bm_sim2real.bridge.operator import OperatorConsole, PatientOperator
    from bm_sim2real.joystick import Joystick
    from bm_sim2real.process_signals import Stop
    from bm_sim2real.recorder import Recorder
    from bm_sim2real.session import SessionConfig
    from bm_sim2real.state_machine import StateMachine
    from bm_sim2real.terminal_keys import TerminalKeys

_GANTRY_S = 4.0
"""s in which the simulated gantry (`bm sim-robot`) lets the robot down."""


@dataclass(frozen=True, kw_only=True)
class HardwareRun:
    """A run on a Unitree G1, real or simulated behind its own topics."""

    policy: Path
    bridge: BridgeConfig
    assumes_yes: bool
    """Nobody is asked; only for the simulated robot."""
    joystick: Path | None
    """Gamepad of the operator: LB is the deadman, B the emergency stop."""
    session: SessionConfig
    record: Path | None
    provider: str

    def __call__(self, clip: MotionClip | None, report: Callable[[float, str], None]) -> dict[str, Any]:
        """Notes of the run, as ControlLoop.notes(). Everything that can refuse does so before the robot is armed."""
        from bm_core.errors import ConfigError
        from bm_sim2real.bridge.launch import bridge_client, log_elsewhere
        from bm_sim2real.bridge.realtime import make_realtime
        from bm_sim2real.joystick import Joystick
        from bm_sim2real.process_signals import Stop, outlive_terminal
        from bm_sim2real.recorder import Recorder
        from bm_sim2real.terminal_keys import TerminalKeys

        config = self.bridge
        if self.assumes_yes and config.is_hardware:
            raise ConfigError(
                f"--yes on {config.interface}: only for the simulated robot on lo; a real one is confirmed"
            )
        machine = self._machine(clip)
        pad = None if self.joystick is None else Joystick(self.joystick)
        recorder = Recorder(self.record, machine.policy.contract) if self.record else None
        outlive_terminal()  # the robot goes on as long as the deadman is held, else it is braked
        with bridge_client(config) as client, TerminalKeys() as keys:
            status = client.status()
            dry = ", DRY RUN" * bool(status.get("is_dry_run"))
            granted = status.get("realtime", "")
            report(0.0, f"bridge: processes {client.pids[0]} and {client.pids[1]}{dry}; {granted}")
            if warning := log_elsewhere(config, status):
                report(0.0, warning)
            stop = Stop()
            report(0.0, f"policy: {make_realtime(priority=50)}")
            if config.needs_deadman:
                key = "L1 on the remote" if pad is None else "LB on the gamepad"
                report(0.0, f"deadman: hold {key} from arming to the end; letting it go brakes, and the robot stands")
            operator = self._operator(client, keys, pad)
            try:
                return self._drive(client, machine, operator, recorder, stop, clip, report)
            finally:
                operator.close()

    def _machine(self, clip: MotionClip | None) -> StateMachine:
        from bm_sim2real.bridge.features import bridged_features
        from bm_sim2real.policies.experts import load_policies
        from bm_sim2real.standing import plan_stop, standing_frame
        from bm_sim2real.state_machine import MachineConfig, StateMachine

        features = bridged_features(self.bridge)
        policy = load_policies(self.policy, [] if clip is None else [clip], self.provider, features)
        config = MachineConfig(plans_in_background=True)
        return StateMachine(policy, standing_frame(), features, plan_stop=plan_stop, config=config)

    def _operator(
        self, client: BridgeClient, keys: TerminalKeys, pad: Joystick | None
    ) -> OperatorConsole | PatientOperator:
        from bm_sim2real.bridge.operator import OperatorConsole, PatientOperator

        if self.assumes_yes:
            return PatientOperator(client, _GANTRY_S)
        return OperatorConsole(client, keys, pad, terminal_counts=not self.bridge.needs_deadman)

    def _drive(
        self,
        client: BridgeClient,
        machine: StateMachine,
        operator: OperatorConsole | PatientOperator,
        recorder: Recorder | None,
        stop: Stop,
        clip: MotionClip | None,
        report: Callable[[float, str], None],
    ) -> dict[str, Any]:
        from bm_sim2real.bridge.loop import BridgedLoop
        from bm_sim2real.bridge.session import BridgedSession

        loop = BridgedLoop(client, machine, recorder)
        try:
            BridgedSession(loop, operator, self.session, report, lambda: stop.count).run(clip)
        finally:
            notes = loop.notes()
            if recorder is not None:
                recorder.close(notes)
        return notes
