"""A simulated G1 on the wire: any simulated robot of ours behind the real topics, for any program that speaks them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, runtime_checkable

import numpy as np

from bm_core.errors import ConfigError
from bm_core.state import LowCommand, RobotState
from bm_sim2real.robots.protocol import SteppedRobot
from bm_sim2real.robots.unitree.battery import BMS_TOPIC, pack_bms
from bm_sim2real.robots.unitree.channel import Channel, ChannelConfig
from bm_sim2real.robots.unitree.dds import (
    LOOPBACK,
    LOW_COMMAND_TOPIC,
    LOW_STATE_TOPIC,
    USER_COMMAND_TOPIC,
    DdsLink,
)
from bm_sim2real.robots.unitree.link import Link
from bm_sim2real.robots.unitree.low_command import NUM_JOINTS, read_low_command
from bm_sim2real.robots.unitree.low_state import LowState, pack_low_state
from bm_sim2real.robots.unitree.motion_switcher import SERVICE, SimulatedMotionSwitcher
from bm_sim2real.robots.unitree.remote import Remote, pack_remote
from bm_sim2real.robots.unitree.rpc import RpcServer
from bm_sim2real.robots.unitree.sdk import load_sdk
from bm_sim2real.robots.unitree.torso_imu import TORSO_IMU_TOPIC, TorsoImu, pack_torso_imu
from bm_sim2real.robots.unitree.user_control import LOCO_SERVICE, SimulatedLoco

_POLL_TICKS = 25
"""The motion switcher is asked every 50 ms."""
_BMS_TICKS = 250
"""The battery speaks twice a second."""
_MOST_MODE_MACHINE = 255
"""One byte on the wire."""
_ZERO = np.zeros(NUM_JOINTS)


@runtime_checkable
class HasTorsoImu(Protocol):
    """A simulated robot with a second IMU."""

    def torso_imu(self) -> TorsoImu:
        """What it says now."""
        ...


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
    channel: ChannelConfig = field(default_factory=ChannelConfig)
    """What happens to messages, each way."""
    charge: float = 80.0
    """% that the battery reports."""
    seed: int = 0
    """Of lost and late messages."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.charge <= 100.0:
            raise ConfigError(f"battery charge = {self.charge:g}: must be 0..100 %")
        if not 0 <= self.mode_machine <= _MOST_MODE_MACHINE:
            raise ConfigError(f"mode_machine = {self.mode_machine}: must be 0..{_MOST_MODE_MACHINE}; a G1 has 5")


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

    def __init__(
        self,
        robot: SteppedRobot,
        config: WireConfig | None = None,
        *,
        interface: str = LOOPBACK,
        link: Link | None = None,
    ) -> None:
        """`robot` is connected already. Without a `link`: DDS on that interface."""
        self.robot, self.config = robot, config or WireConfig()
        self.counters = WireCounters()
        self.remote = Remote()
        self.switcher, self.loco = SimulatedMotionSwitcher(), SimulatedLoco()
        self.motor_temperature = np.full(NUM_JOINTS, 35.0)
        self.motor_error = np.zeros(NUM_JOINTS, dtype=np.uint32)
        self.motor_voltage = 52.0
        """V"""
        self.charge: float | None = self.config.charge
        """% of the battery; None: its computer says nothing."""
        self.is_mute = False
        """No readings go out."""
        self.is_deaf = False
        """No commands come in."""
        self.has_torso_imu = True
        self.overrides: dict[str, object] = {}
        """Fields of LowState that replace the true ones, to make it fail."""
        self.command: LowCommand | None = None
        """The newest accepted."""
        self._tick = 0
        self.downlink, self.uplink = Channel(self.config.seed), Channel(self.config.seed + 1)
        """Commands to the robot, readings from it."""
        self.downlink.config = self.uplink.config = self.config.channel
        sdk = load_sdk()
        self._link = link or DdsLink(interface)
        self._readers = [self._link.reader(t, sdk.LowCmd, depth=8) for t in (LOW_COMMAND_TOPIC, USER_COMMAND_TOPIC)]
        self._writer = self._link.writer(LOW_STATE_TOPIC, sdk.LowState)
        self._torso_writer = self._link.writer(TORSO_IMU_TOPIC, sdk.ImuState)
        self._bms_writer = self._link.writer(BMS_TOPIC, sdk.BmsState)
        self._servers = [
            RpcServer(self._link, SERVICE, self.switcher.handle),
            RpcServer(self._link, LOCO_SERVICE, self.loco.handle),
        ]

    def tick(self) -> None:
        """2 ms: take the newest command, let the robot move, tell its state."""
        self._listen()
        self.robot.step()
        self._tick += 1
        self.publish()
        self.downlink.tick()
        self.uplink.tick()
        if self._tick % _POLL_TICKS == 0:
            self.poll()

    def publish(self) -> None:
        """Sends the present reading; also before the first tick, so that someone can connect."""
        if not self.is_mute:
            self.uplink.send(self.message())
        for message in self.uplink.arrived():
            self._writer.write(message)
        if self.has_torso_imu and not self.is_mute and isinstance(self.robot, HasTorsoImu):
            self._torso_writer.write(pack_torso_imu(self.robot.torso_imu()))
        if self.charge is not None and self._tick % _BMS_TICKS == 0:
            self._bms_writer.write(pack_bms(self.charge))

    def message(self) -> bytes:
        """The present reading as it goes out."""
        return pack_low_state(self._reading(self.robot.read()))

    def poll(self) -> None:
        """Answers the motion switcher's requests; `tick` does so, too."""
        for server in self._servers:
            server.poll()

    def close(self) -> None:
        """Leaves the network. The robot stays connected."""
        self._link.close()

    def _listen(self) -> None:
        counters, config = self.counters, self.config
        counters.silent_ticks += 1
        for data in self._readers[1 if self.loco.has_user_control else 0].take():
            if not self.is_deaf:
                self.downlink.send(data)
        for data in self.downlink.arrived():
            message = read_low_command(data)
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

    def _reading(self, state: RobotState) -> LowState:
        reading = LowState(
            tick=round(1e3 * state.time),
            mode_pr=0,
            mode_machine=self.config.mode_machine,
            joint_pos=state.joint_pos,
            joint_vel=state.joint_vel,
            joint_torque=state.joint_torque,
            imu_quat=state.pelvis_quat_w,
            imu_gyro=state.pelvis_gyro_b,
            imu_acc=state.pelvis_acc_b,
            motor_temperature=self.motor_temperature,
            motor_voltage=np.full(NUM_JOINTS, self.motor_voltage),
            motor_error=self.motor_error,
            remote=pack_remote(self.remote),
        )
        return dataclasses.replace(reading, **self.overrides) if self.overrides else reading  # type: ignore[arg-type]
