"""LowStates, torso IMU and battery messages with broken bytes, through the whole bridge core."""

from __future__ import annotations

import contextlib

import numpy as np

from bm_core.errors import RobotError
from bm_core.g1 import G1
from bm_core.state import LowCommand
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.core import BridgeCore
from bm_sim2real.bridge.event_log import EventLog
from bm_sim2real.bridge.shared_memory import BridgeMemory, memory_path
from bm_sim2real.fuzzing.report import FuzzReport
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode
from bm_sim2real.process_signals import signals_put_off
from bm_sim2real.robots.unitree.battery import BMS_TOPIC, pack_bms
from bm_sim2real.robots.unitree.dds import LOW_STATE_TOPIC
from bm_sim2real.robots.unitree.lockstep import LockstepUnitree
from bm_sim2real.robots.unitree.low_state import SIZE, seal_low_state
from bm_sim2real.robots.unitree.mock_link import MockNetwork
from bm_sim2real.robots.unitree.torso_imu import TORSO_IMU_TOPIC

CHUNK = 5000
_ESTIMATED_CHUNKS = 10
"""Every so many chunks run with the state estimator, which is most of the cost of a tick."""
_WILD = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 3e38, 1e-40, 0.0, -0.0, 1e6], dtype="<f4")
_FIRST_FLOAT, _LAST_FLOAT = 20, 2030


def fuzz_readings(count: int, seed: int = 0) -> FuzzReport:
    """`count` messages; deterministic for a seed."""
    report = FuzzReport(target="readings", seed=seed)
    chunk = 0
    while report.tried < count:
        target = _Target(is_estimated=chunk % _ESTIMATED_CHUNKS == 0)
        try:
            target.feed(np.random.default_rng((seed, chunk)), min(CHUNK, count - report.tried), report)
        finally:
            target.close()
        chunk += 1
    return report


def mutate_low_state(message: bytes, rng: np.random.Generator) -> bytes:
    """Flipped bits, wrong lengths, wild numbers; in two of three cases with a checksum that says all is well."""
    data = bytearray(message)
    kind = rng.integers(6)
    if kind == 0:
        return bytes(data)
    if kind == 1:
        cut, more = int(rng.integers(SIZE)), int(rng.integers(1, 64))
        return bytes(data[:cut]) if rng.random() < 0.5 else bytes(data) + rng.bytes(more)
    for _ in range(int(rng.integers(1, 9))):
        if kind == 2:
            data[rng.integers(SIZE)] ^= 1 << int(rng.integers(8))
        elif kind in (3, 4):
            at = _FIRST_FLOAT + 4 * int(rng.integers((_LAST_FLOAT - _FIRST_FLOAT) // 4))
            data[at : at + 4] = rng.choice(_WILD).tobytes()
        else:
            at = int(rng.integers(SIZE - 64))
            data[at : at + 64] = rng.bytes(64)
    if kind != 2 or rng.random() < 0.5:
        seal_low_state(data)
    return bytes(data)


class _Target:
    """An armed bridge whose robot is a stranger's."""

    def __init__(self, *, is_estimated: bool) -> None:
        self._network = MockNetwork()
        self._robot = LockstepUnitree(network=self._network)
        self._robot.connect()
        self._memory = BridgeMemory.create("lo")
        self._log = EventLog(None, "writer")
        config = BridgeConfig(estimates_base=is_estimated)
        self._core = BridgeCore(self._robot, self._memory, config, self._log, is_wall=False)
        self._tick = self._seq = 0
        link = self._network.link()
        self._readings = link.writer(LOW_STATE_TOPIC, None)
        self._torso, self._bms = link.writer(TORSO_IMU_TOPIC, None), link.writer(BMS_TOPIC, None)
        self._healthy_tick()
        self._client = BridgeClient("lo", idle=self._healthy_tick)
        self._client.arm()

    def feed(self, rng: np.random.Generator, count: int, report: FuzzReport) -> None:
        """So many mutated messages, each followed by one tick of the bridge."""
        for _ in range(count):
            if self._tick % 10 == 0:
                self._command()
            message = mutate_low_state(self._message(), rng)
            if rng.random() < 0.05:
                self._torso.write(rng.bytes(int(rng.integers(80))))
                self._bms.write(rng.bytes(int(rng.integers(200))) if rng.random() < 0.5 else pack_bms(50.0))
            self._readings.write(message)
            self._step(report)
            report.tried += 1

    def close(self) -> None:
        """Gives the memory back."""
        with signals_put_off():
            self._robot.close()
            self._memory.close()
            memory_path("lo").unlink(missing_ok=True)
            self._log.close()

    def _step(self, report: FuzzReport) -> None:
        core = self._core
        try:
            out = core.tick()
            values = np.concatenate([out.q, out.dq, out.tau, out.kp, out.kd])
            if not np.isfinite(values).all():
                report.find(report.tried, "a command that is no number left the bridge")
        except Exception as error:  # whatever it is, it would have ended the writer
            report.find(report.tried, f"the bridge raised {type(error).__name__}: {error}")
        fault = core.guard.fault
        if fault is None:
            report.accepted += 1
            return
        report.answer(fault.name)
        self._recover()

    def _recover(self) -> None:
        """Healthy readings, reset and arming: the next broken one shall meet a robot that moves."""
        for _ in range(3):
            self._healthy_tick()
        with contextlib.suppress(RobotError):  # refused as long as the last nonsense echoes; the next round tries again
            self._client.reset()
            self._client.arm()

    def _healthy_tick(self) -> None:
        self._readings.write(self._message())
        self._core.tick()

    def _command(self) -> None:
        self._seq += 1
        zero = np.zeros(len(G1.joint_names))
        low = LowCommand(seq=self._seq, state_seq=0, q=G1.default_joint_pos, dq=zero, tau=zero, kp=G1.kp, kd=G1.kd)
        self._client.put(PolicyCommand(low=low, mode=Mode.RUNNING))

    def _message(self) -> bytes:
        self._tick += 1
        wire = self._robot.wire
        wire.overrides = {"tick": 2 * self._tick}
        return wire.message()
