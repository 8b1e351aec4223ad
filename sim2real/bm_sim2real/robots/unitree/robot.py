"""The Unitree G1 behind the Robot protocol, over DDS: real on its network, simulated on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bm_core.errors import RobotError
from bm_core.g1 import G1
from bm_core.state import LowCommand, RobotState
from bm_sim2real.robots.protocol import BaseState, RobotFeatures
from bm_sim2real.robots.simulation_config import TICK_DT
from bm_sim2real.robots.unitree.battery import BMS_TOPIC, read_bms
from bm_sim2real.robots.unitree.dds import (
    LOOPBACK,
    LOW_COMMAND_TOPIC,
    LOW_STATE_TOPIC,
    USER_COMMAND_TOPIC,
    DdsLink,
)
from bm_sim2real.robots.unitree.link import Link, Writer
from bm_sim2real.robots.unitree.low_command import MODE_PR, NUM_JOINTS, LowCommandPacker
from bm_sim2real.robots.unitree.low_state import LowState, is_intact, read_low_state
from bm_sim2real.robots.unitree.motion_switcher import SERVICE, release_motion_service
from bm_sim2real.robots.unitree.rpc import RpcClient
from bm_sim2real.robots.unitree.sdk import load_sdk
from bm_sim2real.robots.unitree.torso_imu import TORSO_IMU_TOPIC, TorsoImu, read_torso_imu
from bm_sim2real.robots.unitree.user_control import LOCO_SERVICE, enter_user_control, leave_user_control

_TORSO_SILENT = 25
"""Reads (50 ms) without a torso IMU's message after which there is none."""
_BMS_EVERY = 50
"""Reads between two looks at the battery."""
_BMS_SILENT = 100
"""Looks (10 s) without a message after which the battery's own word is too old to count."""
_REORDERED_MS = 1000
"""A robot clock up to this much behind the newest is an old message, more is a robot that has restarted."""


@dataclass(frozen=True, kw_only=True)
class UnitreeConfig:
    """How to reach the robot."""

    interface: str = LOOPBACK
    """Network interface; lo is the simulated robot (DDS domain 1), any other a real one (domain 0)."""
    first_state_s: float = 10.0
    """s to wait for the first reading."""
    releases_motion_service: bool = True
    """Make the vendor's controller let go on connect."""
    user_control: bool = False
    """Command through rt/user_lowcmd and give the robot back to the vendor's controller at the end."""
    read_depth: int = 4
    """Readings that DDS keeps between two reads; only the newest is used, all are counted."""

    @property
    def command_topic(self) -> str:
        """Where the motors listen."""
        return USER_COMMAND_TOPIC if self.user_control else LOW_COMMAND_TOPIC


@dataclass
class LinkCounters:
    """What the link did not hand on."""

    received: int = 0
    corrupt: int = 0
    """Readings with a wrong CRC or length."""
    reordered: int = 0
    """Readings older than one already seen."""
    unsent: int = 0
    """Commands that the middleware did not take."""


class UnitreeRobot:
    """Keeps the newest LowState, sends LowCmd. The caller owns ages and limits: a silent robot repeats its reading."""

    def __init__(self, config: UnitreeConfig | None = None) -> None:
        self.config = config or UnitreeConfig()
        self.features = RobotFeatures(
            model=G1.name,
            joint_names=G1.joint_names,
            tick_dt=TICK_DT,
            base_state=BaseState.NONE,
            is_simulated=self.config.interface == LOOPBACK,
        )
        self.counters = LinkCounters()
        self.released: list[str] = []
        """Vendor services that let go on connect."""
        self.torso_imu: TorsoImu | None = None
        """The newest reading of the IMU in the torso; None without one, or if it has fallen silent."""
        self.charge: float | None = None
        """% as the battery said last; None if it never did, or has fallen silent."""
        self._link: Link | None = None

    def connect(self, *, listens_only: bool = False, gives_up: Callable[[], bool] = lambda: False) -> None:
        """Waits for the first reading and takes mode_machine over. RobotError without one, or for another robot.

        `listens_only`: for looking; the vendor's controller keeps the robot, and `write` is refused. `gives_up`: asked
        while waiting; once it says so, nobody waits any longer.
        """
        sdk = load_sdk()
        self._link = link = self._open_link()
        try:
            self._reader = link.reader(LOW_STATE_TOPIC, sdk.LowState, depth=self.config.read_depth)
            self._torso_reader = link.reader(TORSO_IMU_TOPIC, sdk.ImuState)
            self._bms_reader = link.reader(BMS_TOPIC, sdk.BmsState)
            self._seq, self._torso_age, self._bms_age, self._reads = -1, 0, 0, 0
            self._newest: LowState | None = None
            self._writer: Writer | None = None
            self._wait_for_state(gives_up)
            self._packer = LowCommandPacker(self.low_state.mode_machine)
            if listens_only:
                return
            if self.config.releases_motion_service and not self.config.user_control:
                self.released = release_motion_service(RpcClient(link, SERVICE).call)
            self._writer = link.writer(self.config.command_topic, sdk.LowCmd)
            if self.config.releases_motion_service and self.config.user_control:
                self._take_user_control(link)
        except BaseException:
            self.close()
            raise

    def read(self) -> RobotState:
        """The newest reading that was intact."""
        self._require_link()
        self._take()
        self._take_extras()
        assert self._state is not None
        return self._state

    def write(self, command: LowCommand) -> None:
        """Publishes at once. RobotError for a wrong number of joints."""
        self._require_link()
        if any(len(a) != NUM_JOINTS for a in (command.q, command.dq, command.tau, command.kp, command.kd)):
            raise RobotError(f"command {command.seq}: not {NUM_JOINTS} joints; check the mapping by name")
        if self._writer is None:
            raise RobotError("UnitreeRobot: connected for listening only")
        if not self._writer.write(self._packer.pack(command)):
            self.counters.unsent += 1

    def hand_back(self) -> None:
        """Gives the robot back to the vendor's controller, where it was taken over for user control; it then damps.

        RobotError if the service refuses: the robot then stays without a controller, damped by nobody.
        """
        if self.config.user_control and self.released:
            leave_user_control(RpcClient(self._require_link(), LOCO_SERVICE).call)

    def close(self) -> None:
        """Leaves the network; harmless if there is no link."""
        if self._link is not None:
            self._link.close()
        self._link = None

    @property
    def low_state(self) -> LowState:
        """All that the newest reading holds: temperatures, motor errors, remote."""
        self._require_link()
        assert self._newest is not None
        return self._newest

    @property
    def guid(self) -> str:
        """Of our own writer."""
        self._require_link()
        return "" if self._writer is None else self._writer.guid

    def publishers(self) -> frozenset[str]:
        """GUIDs of every writer on the command topic."""
        return self._require_link().publishers(self.config.command_topic)

    def _open_link(self) -> Link:
        return DdsLink(self.config.interface)

    def _take_user_control(self, link: Link) -> None:
        """The first command must lie ready when the service switches over: nothing, so that nothing jumps."""
        zero = np.zeros(NUM_JOINTS)
        self.write(LowCommand(seq=0, state_seq=0, q=zero, dq=zero, tau=zero, kp=zero, kd=zero))
        enter_user_control(RpcClient(link, LOCO_SERVICE).call)
        self.released = [LOCO_SERVICE]

    def _take_extras(self) -> None:
        """Torso IMU and battery: useful, not needed."""
        self._torso_age += 1
        for message in self._torso_reader.take():
            self.torso_imu = read_torso_imu(message)
            self._torso_age = 0
        if self._torso_age > _TORSO_SILENT:
            self.torso_imu = None
        self._reads += 1
        if self._reads % _BMS_EVERY == 0:
            self._bms_age += 1
            for message in self._bms_reader.take():
                self.charge, self._bms_age = read_bms(message), 0
            if self._bms_age > _BMS_SILENT:
                self.charge = None

    def _take(self) -> None:
        for message in self._reader.take():
            if not is_intact(message):
                self.counters.corrupt += 1
                continue
            reading = read_low_state(message)
            if self._newest is not None and 0 < _behind(reading.tick, self._newest.tick) <= _REORDERED_MS:
                self.counters.reordered += 1
                continue
            self.counters.received += 1
            self._seq += 1
            self._newest = reading
            self._state = reading.robot_state(self._seq)

    def _wait_for_state(self, gives_up: Callable[[], bool]) -> None:
        end = time.monotonic() + self.config.first_state_s
        while self._newest is None:
            if gives_up():
                raise RobotError(f"{self.config.interface}: told to end before a reading on {LOW_STATE_TOPIC} came")
            if time.monotonic() > end:
                corrupt = f"; {self.counters.corrupt} came with a wrong checksum" if self.counters.corrupt else ""
                raise RobotError(
                    f"{self.config.interface}: no reading on {LOW_STATE_TOPIC} in {self.config.first_state_s:g} s"
                    f"{corrupt}; is the robot on and its cable in this interface?"
                    + (" (start `bm sim-robot`)" if self.features.is_simulated else "")
                )
            self._take()
            time.sleep(TICK_DT)
        if self._newest.mode_pr != MODE_PR:
            raise RobotError(
                f"robot is in mode_pr {self._newest.mode_pr}; only {MODE_PR} (pitch and roll) is supported"
            )

    def _require_link(self) -> Link:
        if self._link is None:
            raise RobotError("UnitreeRobot: not connected; call connect() first")
        return self._link


def _behind(tick: int, newest: int) -> int:
    """ms by which `tick` is older; negative if newer. The robot's 32-bit clock may wrap."""
    return (newest - tick + 0x80000000) % 0x100000000 - 0x80000000
