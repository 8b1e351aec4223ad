"""A robot, a guard and a stand-in for the policy, in lockstep, with places to break each of them.

The robot hangs on its gantry and is told to hold the default pose, so that whatever moves moved because of a fault.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bm_core.g1 import G1
from bm_core.state import LowCommand, RobotState
from bm_sim2real.faults import Fault
from bm_sim2real.guard import CommandGuard
from bm_sim2real.guard_limits import TICKS_PER_PERIOD
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.unitree.channel import ChannelConfig

Alter = Callable[[RobotState], RobotState]
Forge = Callable[[LowCommand], LowCommand | None]

_ZERO = np.zeros(len(G1.joint_names))


class Rig(Protocol):
    """What a scenario may break. `tick` is 2 ms."""

    transport: str
    forge: Forge | None
    """Changes each command of the policy; None = it says nothing."""
    period: int
    """Ticks between two commands of the policy."""
    written: LowCommand
    """The command of the last tick."""

    def tick(self) -> None: ...
    def alter(self, change: Alter | None) -> None:
        """Changes what the robot's sensors say."""
        ...

    def mute(self, is_mute: bool) -> None:
        """No readings."""
        ...

    def lose(self, fraction: float) -> None:
        """Loses readings (over DDS: commands, too)."""
        ...

    def estop(self) -> None: ...
    @property
    def fault(self) -> Fault | None: ...
    @property
    def joint_speed(self) -> float:
        """Of the real robot, whatever its sensors say: the fastest joint as a fraction of its motor's limit."""
        ...

    def close(self) -> None: ...


class SensorFaults(MujocoRobot):
    """Its sensors say what `change` makes of the truth."""

    def __init__(self) -> None:
        super().__init__()
        self.change: Alter | None = None

    def connect(self) -> None:
        super().connect()
        self.hang()

    def read(self) -> RobotState:
        state = super().read()
        return self.change(state) if self.change else state

    @property
    def joint_speed(self) -> float:
        """The fastest joint as a fraction of its motor's limit."""
        return float(np.abs(super().read().joint_vel / G1.velocity).max())


class _Policy:
    """Counts, and says the same thing again and again."""

    def __init__(self) -> None:
        self.seq = 0

    def command(self, forge: Forge | None) -> LowCommand | None:
        self.seq += 1
        q, kp, kd = G1.default_joint_pos, G1.kp, G1.kd
        low = LowCommand(seq=self.seq, state_seq=0, q=q, dq=_ZERO, tau=_ZERO, kp=kp, kd=kd)
        return forge(low) if forge else low


class InProcessRig:
    """Robot and guard as in `bm run --robot mujoco`; the link is imitated."""

    transport = "in-process"

    def __init__(self, seed: int) -> None:
        self.forge: Forge | None = None
        self.period = TICKS_PER_PERIOD
        self.robot, self.guard, self._policy = SensorFaults(), CommandGuard(), _Policy()
        self.robot.connect()
        self._random = np.random.default_rng(seed)
        self._loss, self._is_mute, self._ticks = 0.0, False, 0
        self._seen = self.robot.read()
        self._newest: PolicyCommand | None = None

    def tick(self) -> None:
        if self._ticks % self.period == 0 and (low := self._policy.command(self.forge)) is not None:
            self._newest = PolicyCommand(low=low, mode=Mode.RUNNING)
        self._ticks += 1
        if not self._is_mute and not self._random.random() < self._loss:
            fresh = self.robot.read()
            # As the link does: an older reading that comes late is dropped.
            if not -1.0 <= fresh.time - self._seen.time < 0.0:
                self._seen = fresh
        self.written = self.guard.tick(self._seen, self._newest)
        self.robot.write(self.written)
        self.robot.step()

    def alter(self, change: Alter | None) -> None:
        self.robot.change = change

    def mute(self, is_mute: bool) -> None:
        self._is_mute = is_mute

    def lose(self, fraction: float) -> None:
        self._loss = fraction

    def estop(self) -> None:
        self.guard.estop("fault injection")

    @property
    def fault(self) -> Fault | None:
        return self.guard.fault

    @property
    def joint_speed(self) -> float:
        return self.robot.joint_speed

    def close(self) -> None:
        self.robot.close()


class DdsRig:
    """The bridge's core and a client of its shared memory; robot behind Unitree's topics on loopback."""

    transport = "dds"

    def __init__(self, seed: int) -> None:
        from bm_sim2real.bridge.client import BridgeClient
        from bm_sim2real.bridge.config import BridgeConfig
        from bm_sim2real.bridge.core import BridgeCore
        from bm_sim2real.bridge.event_log import EventLog
        from bm_sim2real.bridge.shared_memory import BridgeMemory
        from bm_sim2real.robots.unitree.lockstep import LockstepUnitree

        self.forge: Forge | None = None
        self.period = TICKS_PER_PERIOD
        self._seed, self._ticks, self._policy = seed, 0, _Policy()
        self._folder = tempfile.TemporaryDirectory()
        self.body = SensorFaults()
        self.robot = LockstepUnitree(self.body)
        self.robot.connect()
        self.memory = BridgeMemory.create("lo")
        self.log = EventLog(Path(self._folder.name) / "events.jsonl", "writer")
        self.core = BridgeCore(self.robot, self.memory, BridgeConfig(), self.log, is_wall=False)
        self._bare_tick()
        self.client = BridgeClient("lo", idle=self._bare_tick)
        self.client.arm()

    def tick(self) -> None:
        if self._ticks % self.period == 0 and (low := self._policy.command(self.forge)) is not None:
            self.client.put(PolicyCommand(low=low, mode=Mode.RUNNING))
        self._ticks += 1
        self._bare_tick()

    def alter(self, change: Alter | None) -> None:
        self.body.change = change

    def mute(self, is_mute: bool) -> None:
        self.robot.wire.is_mute = is_mute

    def lose(self, fraction: float) -> None:
        wire = self.robot.wire
        wire.uplink.config = wire.downlink.config = ChannelConfig(loss=fraction)

    def estop(self) -> None:
        self.client.estop()

    def events(self) -> list[dict[str, Any]]:
        """The bridge's own record; ends it."""
        from bm_sim2real.bridge.event_log import read_events

        self.log.close()
        return read_events(Path(self._folder.name) / "events.jsonl")

    @property
    def fault(self) -> Fault | None:
        return self.core.guard.fault

    @property
    def joint_speed(self) -> float:
        return self.body.joint_speed

    def close(self) -> None:
        from bm_sim2real.bridge.shared_memory import memory_path

        self.robot.close()
        self.memory.close()
        memory_path("lo").unlink(missing_ok=True)
        self.log.close()
        self._folder.cleanup()

    def _bare_tick(self) -> None:
        self.written = self.core.tick()
        self.robot.step()
