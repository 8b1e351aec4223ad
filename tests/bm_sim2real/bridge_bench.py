"""A bridge in lockstep over real DDS topics: simulated G1, bridge core and client, each 2 ms a call of `tick`."""

import dataclasses

from unitree_wire import WiredRobot

from bm_core.g1 import G1
from bm_core.state import LowCommand
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.core import BridgeCore
from bm_sim2real.bridge.event_log import EventLog, read_events
from bm_sim2real.bridge.shared_memory import BridgeMemory, memory_path
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode


class Bench:
    """Ten ticks between two commands of the client, as with a policy at 50 Hz."""

    def __init__(self, tmp_path, *, body=None, wire=None, is_hardware=False, **config):
        self.robot = WiredRobot(body, wire)
        self.robot.connect()
        self.memory = BridgeMemory.create("lo")
        self.log = EventLog(tmp_path / "events.jsonl", "writer")
        self.config = BridgeConfig(**config)
        self.core = BridgeCore(self.robot, self.memory, self.config, self.log, is_wall=False)
        self.tick()
        self.client = BridgeClient("lo", idle=self.tick)
        self.seq = 0
        self.q = G1.default_joint_pos

    def tick(self, count=1, **arguments):
        for _ in range(count):
            self.written = self.core.tick(**arguments)
            self.robot.step()

    def put(self, mode=Mode.RUNNING, seq=None, **changes):
        self.seq = self.seq + 1 if seq is None else seq
        zero = 0.0 * G1.kp
        low = LowCommand(seq=self.seq, state_seq=0, q=self.q, dq=zero, tau=zero, kp=G1.kp, kd=G1.kd)
        self.client.put(PolicyCommand(low=dataclasses.replace(low, **changes), mode=mode))

    def run(self, periods=3):
        """Armed and running: a command every ten ticks."""
        for _ in range(periods):
            self.put()
            self.tick(10)

    def start(self):
        self.client.arm()
        self.run()
        return self

    @property
    def is_damping(self):
        return bool((self.written.kp == 0.0).all() and (self.written.kd > 0.0).all())

    @property
    def fault(self):
        return self.core.guard.fault

    def ticks_until_damping(self, limit=200, *, is_commanded=False):
        """Ticks from now on, the damping one included; `is_commanded`: a command before the first and each tenth."""
        for count in range(limit):
            if is_commanded and count % 10 == 0:
                self.put()
            self.tick()
            if self.is_damping:
                return count + 1
        raise AssertionError(f"no damping in {limit} ticks")

    def events(self):
        self.log.close()
        return read_events(self.log._path)

    def close(self):
        self.robot.close()
        self.log.close()
        self.memory.close()
        memory_path("lo").unlink(missing_ok=True)


def assert_damping_for_good(bench):
    """Latched: the client's next commands change nothing, and it has lost its lease."""
    bench.run(3)
    assert bench.is_damping and not bench.client.is_armed
    assert bench.robot.wire.command.kp.max() == 0.0
