"""Robot, bridge and client in lockstep, with places to break each of them. The robot hangs or walks.

Both transports run the same code from UnitreeRobot's readings to its commands: over DDS on loopback, or over a network
inside the process that takes its place.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from bm_core.g1 import G1
from bm_core.state import LowCommand, RobotState
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.core import BridgeCore
from bm_sim2real.bridge.event_log import EventLog, read_events
from bm_sim2real.bridge.guardian import SilenceCounter, damping_frame
from bm_sim2real.bridge.shared_memory import BridgeMemory, Word, memory_path
from bm_sim2real.faults import Fault, Reaction
from bm_sim2real.guard import damping_command
from bm_sim2real.guard_limits import TICKS_PER_PERIOD, GuardLimits
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.process_signals import close_undisturbed, temporary_folder
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.simulation_config import SimulationConfig
from bm_sim2real.robots.unitree.channel import ChannelConfig
from bm_sim2real.robots.unitree.dds import LOW_COMMAND_TOPIC, DdsLink
from bm_sim2real.robots.unitree.lockstep import LockstepUnitree
from bm_sim2real.robots.unitree.mock_link import MockNetwork
from bm_sim2real.robots.unitree.sdk import load_sdk
from bm_sim2real.robots.unitree.simulated import WireConfig

Alter = Callable[[RobotState], RobotState]
Forge = Callable[[LowCommand], LowCommand | None]


class FaultyBody(MujocoRobot):
    """A robot with motors as real ones; its sensors say what `change` makes of the truth, dead motors do nothing."""

    def __init__(self) -> None:
        super().__init__(SimulationConfig(has_speed_limit=True))
        self.change: Alter | None = None
        self.dead: list[int] = []

    def read(self) -> RobotState:
        state = super().read()
        return self.change(state) if self.change else state

    def write(self, command: LowCommand) -> None:
        if self.dead:
            kp, kd, tau = command.kp.copy(), command.kd.copy(), command.tau.copy()
            kp[self.dead] = kd[self.dead] = tau[self.dead] = 0.0
            command = dataclasses.replace(command, kp=kp, kd=kd, tau=tau)
        super().write(command)

    @property
    def joint_speed(self) -> float:
        """The fastest joint in truth, as a fraction of its motor's limit."""
        return float(np.abs(self._qvel[6:] / G1.velocity).max())


class StandInGuardian:
    """The guardian's rule and its one message in lockstep, over a writer of its own."""

    def __init__(self, memory: BridgeMemory, network: MockNetwork | None) -> None:
        """Without a `network`: DDS."""
        limits = GuardLimits()
        self._memory, self._limits, self._counter = memory, limits, SilenceCounter(limits.guardian_silent_ticks)
        self._link = DdsLink("lo") if network is None else network.link()
        self._writer = self._link.writer(LOW_COMMAND_TOPIC, load_sdk().LowCmd)
        self.guid = self._writer.guid
        self.fault: Fault | None = None

    def tick(self) -> LowCommand | None:
        """What it sends: damping once the writer is silent, else nothing."""
        words = self._memory.words
        if self.fault is None and self._counter.tick(int(words[Word.HEARTBEAT])):
            detail = f"no frame for {self._counter.silent} guardian ticks"
            self.fault = Fault("writer_silent", Reaction.DAMPING, int(words[Word.HEARTBEAT]), detail, "guardian")
        if self.fault is None:
            return None
        self._writer.write(damping_frame(self._memory, self._limits))
        return damping_command(self._limits)

    def close(self) -> None:
        """Leaves the network."""
        self._link.close()


class Driver(Protocol):
    """Who puts commands into the mailbox."""

    warm_up: int
    """Ticks of healthy running before a fault."""

    def place(self, body: FaultyBody) -> None:
        """Puts the robot where it begins."""
        ...

    def step(self, state: RobotState, rig: Rig) -> PolicyCommand:
        """Once every `Rig.period` ticks."""
        ...


class Rig:
    """One robot behind one bridge. `tick` is 2 ms."""

    def __init__(self, driver: Driver, network: MockNetwork | None, seed: int) -> None:
        """Armed. Without a `network`: DDS."""
        self.driver, self.network = driver, network
        self.forge: Forge | None = None
        """Changes each command of the policy; None = it says nothing."""
        self.period = TICKS_PER_PERIOD
        """Ticks between two commands of the policy."""
        self.overrun_s = 0.0
        """By how much the writer's next ticks are late."""
        self.beats = False
        """Whether an operator is there."""
        self.random = np.random.default_rng(seed)
        self._ticks = 0
        self._ends = contextlib.ExitStack()
        try:
            self._build(seed, self._ends)
        except BaseException:
            self.close()
            raise

    def _build(self, seed: int, ends: contextlib.ExitStack) -> None:
        """Every part leaves word in `ends` of how it goes: who is stopped half-way must leave nothing either."""
        self._log_file = ends.enter_context(temporary_folder()) / "events.jsonl"
        self.body = FaultyBody()
        self.robot = LockstepUnitree(self.body, WireConfig(seed=seed), self.network)
        ends.callback(self.robot.close)
        self.robot.connect()
        self.driver.place(self.body)
        ends.callback(memory_path("lo").unlink, missing_ok=True)
        self.memory = BridgeMemory.create("lo")
        ends.callback(self.memory.close)
        self.log = EventLog(self._log_file, "writer")
        ends.callback(self.log.close)
        self.guardian = StandInGuardian(self.memory, self.network)
        ends.callback(self.guardian.close)
        self.is_writer_alive = True
        """False: killed or stopped; the bridge's core ticks no more."""
        config = BridgeConfig(guardian_guid=self.guardian.guid)
        self.core = BridgeCore(self.robot, self.memory, config, self.log, is_wall=False)
        self._bare_tick()
        self.client = BridgeClient("lo", idle=self._bare_tick)
        self.client.arm()

    def tick(self) -> None:
        """Driver, bridge, robot."""
        if self.beats:
            self.client.heartbeat()
        if self._ticks % self.period == 0:
            command = self.driver.step(self.client.read(), self)
            low = self.forge(command.low) if self.forge else command.low
            if low is not None:
                self.client.put(dataclasses.replace(command, low=low))
        self._ticks += 1
        self._bare_tick()

    def alter(self, change: Alter | None) -> None:
        """Changes what the robot's sensors say."""
        self.body.change = change

    def channel(self, **changes: Any) -> None:
        """Makes both directions of the link worse; fields of ChannelConfig."""
        wire = self.robot.wire
        wire.uplink.config = wire.downlink.config = ChannelConfig(**changes)

    @property
    def fault(self) -> Fault | None:
        """The guardian's or the bridge's."""
        return self.guardian.fault or self.core.guard.fault

    @property
    def holds(self) -> list[str]:
        """Why the robot has to stand, as the bridge says."""
        return self.client.status().get("holds", [])

    def events(self) -> list[dict[str, Any]]:
        """The bridge's own record; ends it."""
        self.log.close()
        return read_events(self._log_file)

    def close(self) -> None:
        """Both ends of the link, guardian, memory and log."""
        close_undisturbed(self._ends)

    def _bare_tick(self) -> None:
        if self.is_writer_alive:
            self.written = self.core.tick(self.overrun_s)
        self.written = self.guardian.tick() or self.written
        self.robot.step()
