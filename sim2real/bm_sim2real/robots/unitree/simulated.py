"""A simulated G1 on the wire: any simulated robot of ours behind the real topics, for any program that speaks them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import Enum

import numpy as np

from bm_core.errors import ConfigError
from bm_core.state import LowCommand, RobotState
from bm_sim2real.robots.protocol import SteppedRobot
from bm_sim2real.robots.unitree.dds import LOOPBACK, LOW_COMMAND_TOPIC, LOW_STATE_TOPIC, DdsLink
from bm_sim2real.robots.unitree.low_command import NUM_JOINTS, read_low_command
from bm_sim2real.robots.unitree.low_state import LowState, pack_low_state
from bm_sim2real.robots.unitree.motion_switcher import SERVICE, RpcServer, SimulatedMotionSwitcher
from bm_sim2real.robots.unitree.remote import Remote, pack_remote
from bm_sim2real.robots.unitree.sdk import load_sdk

_POLL_TICKS = 25
"""The motion switcher is asked every 50 ms."""
_ZERO = np.zeros(NUM_JOINTS)


class Silence(str, Enum):
    """What the motors do when nobody speaks to them. Unitree does not document it: try all three."""

    HOLD = "hold"
    """The last command stays in force."""
    DAMP = "damp"
    ZERO = "zero"
    """No torque at all."""


@dataclass(frozen=True, kw_only=True)
class WireConfig:
    """The ways in which link and sensors are not perfect."""

    mode_machine: int = 5
    on_silence: Silence = Silence.HOLD
    silence_ticks: int = 50
    """Ticks (2 ms) without a command until on_silence acts."""
    loss: float = 0.0
    """Fraction of messages lost, each way."""
    gyro_noise: float = 0.0
    """Standard deviation, rad/s."""
    acc_noise: float = 0.0
    """Standard deviation, m/s^2."""
    gyro_bias: float = 0.0
    """rad/s on every axis."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.loss < 1.0:
            raise ConfigError(f"loss = {self.loss}: a fraction of messages, 0 to below 1")


@dataclass
class WireCounters:
    """What arrived from outside."""

    accepted: int = 0
    corrupt: int = 0
    """Commands with a wrong CRC."""
    wrong_variant: int = 0
    """Commands with another mode_machine or mode_pr."""
    silent_ticks: int = 0
    """Ticks since the last accepted command."""


class SimulatedG1:
    """Owns the connected robot that it shows on the wire; time passes only in `tick`."""

    def __init__(self, robot: SteppedRobot, config: WireConfig | None = None, *, interface: str = LOOPBACK) -> None:
        """`robot` is connected already."""
        self.robot, self.config = robot, config or WireConfig()
        self.counters = WireCounters()
        self.remote = Remote()
        self.switcher = SimulatedMotionSwitcher()
        self.motor_temperature = np.full(NUM_JOINTS, 35.0)
        self.motor_error = np.zeros(NUM_JOINTS, dtype=np.uint32)
        self.is_mute = False
        """No readings go out."""
        self.overrides: dict[str, object] = {}
        """Fields of LowState that replace the true ones, to make it fail."""
        self.command: LowCommand | None = None
        """The newest accepted."""
        self._random = np.random.default_rng(self.config.seed)
        self._tick = 0
        sdk = load_sdk()
        self._link = DdsLink(interface)
        self._reader = self._link.reader(LOW_COMMAND_TOPIC, sdk.LowCmd, depth=8)
        self._writer = self._link.writer(LOW_STATE_TOPIC, sdk.LowState)
        self._server = RpcServer(self._link, SERVICE, self.switcher.handle)

    def tick(self) -> None:
        """2 ms: take the newest command, let the robot move, tell its state."""
        self._listen()
        self.robot.step()
        self._tick += 1
        self.publish()
        if self._tick % _POLL_TICKS == 0:
            self._server.poll()

    def publish(self) -> None:
        """Sends the present reading; also before the first tick, so that someone can connect."""
        if not self.is_mute and not self._is_lost():
            self._writer.write(self.message())

    def message(self) -> bytes:
        """The present reading as it goes out."""
        return pack_low_state(self._reading(self.robot.read()))

    def poll(self) -> None:
        """Answers the motion switcher's requests; `tick` does so, too."""
        self._server.poll()

    def close(self) -> None:
        """Leaves the network. The robot stays connected."""
        self._link.close()

    def _listen(self) -> None:
        counters, config = self.counters, self.config
        counters.silent_ticks += 1
        for data in self._reader.take():
            message = read_low_command(data)
            if self._is_lost():
                continue
            if message is None or not message.is_intact:
                counters.corrupt += 1
            elif (message.mode_pr, message.mode_machine) != (0, config.mode_machine):
                counters.wrong_variant += 1
            else:
                counters.accepted += 1
                counters.silent_ticks = 0
                self.command = message.command(counters.accepted)
                self.robot.write(self.command)
        if counters.silent_ticks == config.silence_ticks and config.on_silence is not Silence.HOLD:
            damping = np.full(NUM_JOINTS, 3.0 if config.on_silence is Silence.DAMP else 0.0)
            self.robot.write(LowCommand(seq=0, state_seq=0, q=_ZERO, dq=_ZERO, tau=_ZERO, kp=_ZERO, kd=damping))

    def _is_lost(self) -> bool:
        return self.config.loss > 0.0 and self._random.random() < self.config.loss

    def _reading(self, state: RobotState) -> LowState:
        config, random = self.config, self._random
        reading = LowState(
            tick=round(1e3 * state.time),
            mode_pr=0,
            mode_machine=config.mode_machine,
            joint_pos=state.joint_pos,
            joint_vel=state.joint_vel,
            joint_torque=state.joint_torque,
            imu_quat=state.pelvis_quat_w,
            imu_gyro=state.pelvis_gyro_b + config.gyro_bias + config.gyro_noise * random.standard_normal(3),
            imu_acc=state.pelvis_acc_b + config.acc_noise * random.standard_normal(3),
            motor_temperature=self.motor_temperature,
            motor_voltage=np.full(NUM_JOINTS, 52.0),
            motor_error=self.motor_error,
            remote=pack_remote(self.remote),
        )
        return dataclasses.replace(reading, **self.overrides) if self.overrides else reading  # type: ignore[arg-type]
