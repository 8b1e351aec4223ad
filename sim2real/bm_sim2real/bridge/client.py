"""A client of the bridge: reads the robot's state, arms, and puts commands into the mailbox."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import RobotError
from bm_core.state import RobotState
from bm_sim2real.bridge.heartbeats import new_lease, next_beat
from bm_sim2real.bridge.records import pack_command, unpack_covariance, unpack_remote, unpack_state, unpack_temperature
from bm_sim2real.bridge.shared_memory import BridgeMemory, Word
from bm_sim2real.faults import Fault, Reaction
from bm_sim2real.guard_limits import TICKS_PER_PERIOD
from bm_sim2real.holds import Hold
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.robots.simulation_config import TICK_DT
from bm_sim2real.robots.unitree.remote import Remote, read_remote

MOST_STILL_S = 1.0
"""s for which the writer may make no tick before a client gives up; it has long been replaced by its guardian then."""
_POLL_S = 0.0005
_LOOK_AGAIN_S = 0.1


class BridgeClient:
    """One client at a time holds the lease; any number may look."""

    def __init__(self, interface: str, *, ready_s: float = 15.0, idle: Callable[[], object] | None = None) -> None:
        """Waits until the robot has answered. RobotError if there is no bridge or its robot stays silent.

        `idle` is what to do while waiting, by default a short sleep. Given, it lets 2 ms of simulated time pass, and
        all waiting is counted in it: in lockstep the wall clock says nothing.
        """
        self.interface = interface
        self._idle = idle or (lambda: time.sleep(_POLL_S))
        self._now: Callable[[], float] = time.monotonic
        self.most_still_s = MOST_STILL_S
        if idle is not None:
            self._idle, self._now = _counted(idle)
        self._memory = BridgeMemory.attach(interface)
        self._words = self._memory.words
        self.is_operator_relayed = False
        """Whether, once armed, the operator may speak through other clients: their heartbeats then count as well."""
        self._lease = 0
        self._heartbeat = 0
        self._wait(lambda: bool(self._words[Word.IS_READY]), ready_s, "the bridge's robot did not answer")

    @classmethod
    def find(cls, interface: str, timeout_s: float, is_stopped: Callable[[], bool] = lambda: False) -> BridgeClient:
        """Also waits for a bridge that is only being started. RobotError after `timeout_s`, or when told to stop."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                return cls(interface, ready_s=max(1.0, end - time.monotonic()))
            except RobotError:
                if is_stopped() or time.monotonic() > end:
                    raise
                time.sleep(_LOOK_AGAIN_S)

    def read(self) -> RobotState:
        """The newest reading."""
        data = self._memory.state.read()
        if data is None:
            raise RobotError(f"{self.interface}: the bridge's state cannot be read; has it died?")
        return unpack_state(data)

    def covariance(self) -> NDArray[np.float64]:
        """(6, 6) of the newest reading's estimated position (m) and velocity (m/s), world frame; zeros without one."""
        data = self._memory.state.read()
        return np.zeros((6, 6)) if data is None else unpack_covariance(data)

    def motor_temperature(self) -> NDArray[np.float32]:
        """(29,) degC of the newest reading, the hotter of each motor's two sensors."""
        data = self._memory.state.read()
        return np.zeros(0, dtype=np.float32) if data is None else unpack_temperature(data)

    def remote(self) -> Remote:
        """Buttons and sticks of the robot's own remote, from the newest reading."""
        data = self._memory.state.read()
        return Remote() if data is None else read_remote(unpack_remote(data))

    def reset_estimate(self) -> None:
        """The robot stands now: its estimate begins anew at x = y = 0."""
        self._words[Word.ESTIMATE_RESETS] += 1

    def heartbeat(self) -> None:
        """The operator is there. Counts for this client, and for an armed one that lets its operator be relayed.

        To be called at 5 Hz or more. Its loss for 0.5 s brakes an armed robot to standing.
        """
        words = self._words
        words[Word.OPERATOR_BEATS] = next_beat(int(words[Word.OPERATOR_BEATS]), self._lease)

    def own_heartbeat(self) -> None:
        """As `heartbeat`, of an operator who looks after this client alone: not a word while another one is armed."""
        if not self.is_taken:
            self.heartbeat()

    @property
    def holds(self) -> Hold:
        """Why an armed robot has to brake, stand and stay; cleared by `reset` once the cause is gone."""
        return Hold(int(self._words[Word.HOLDS]))

    def put(self, command: PolicyCommand) -> None:
        """Makes this the command; the bridge takes it only with the lease that `arm` got."""
        self._memory.command.write(pack_command(self._lease, command))

    def wait_period(self, timeout_s: float | None = None) -> None:
        """Until the writer has made ten ticks since the last call. RobotError if it has stopped, for `most_still_s`."""
        now = self._heartbeat_now
        if now - self._heartbeat > 2 * TICKS_PER_PERIOD:  # late, or the first time: from here on
            self._heartbeat = now
        self._heartbeat += TICKS_PER_PERIOD
        self._wait(
            lambda: self._heartbeat_now >= self._heartbeat,
            timeout_s or self.most_still_s,
            "the bridge's writer stands still",
        )

    def arm(self, timeout_s: float = 2.0) -> None:
        """Takes the lease. RobotError with the bridge's reason if it refuses."""
        lease = new_lease(is_operator_relayed=self.is_operator_relayed)
        self._words[Word.ARM_REQUEST] = lease
        self._wait(lambda: int(self._words[Word.ARM_ANSWER]) == lease, timeout_s, "arm: no answer")
        if int(self._words[Word.LEASE]) != lease:
            raise RobotError(f"arm: refused: {self.status().get('arm_refusal') or 'fault meanwhile'}")
        self._lease = lease

    def release(self) -> None:
        """Gives the lease back: the robot is disarmed and damps."""
        # Forgotten here and now, not when the writer has seen it: what is put from now on might meet the next lease.
        if self._lease:
            self._words[Word.RELEASE_REQUEST] = self._lease
        self._lease = 0

    def estop(self) -> None:
        """Damping, latched, whoever holds the lease."""
        # No count: of two clients that press at once, one would write what the other has just been answered.
        self._words[Word.ESTOP_REQUESTS] = secrets.randbits(63)

    def reset(self, timeout_s: float = 2.0) -> None:
        """Forgets the latched fault and the holds. RobotError if a cause is still there."""
        words = self._words
        words[Word.RESET_REQUESTS] = secrets.randbits(63)  # no count, as for `estop`
        # Whoever asks at the same time may have the last word; the answer to that one is the answer to all before.
        self._wait(lambda: bool(words[Word.RESET_ANSWERS] == words[Word.RESET_REQUESTS]), timeout_s, "reset: no answer")
        refusal = self.status().get("reset_refusal") or self.fault
        if refusal:
            raise RobotError(f"reset: refused, still there: {refusal}")

    def status(self) -> dict[str, Any]:
        """As the bridge published it last, at most 50 ms old."""
        data = self._memory.status.read()
        return {} if data is None else json.loads(data)

    @property
    def fault(self) -> Fault | None:
        """The bridge's latched fault."""
        found = self.status().get("fault")
        if not found:
            return None
        return Fault(found["name"], Reaction.DAMPING, found.get("tick", 0), found["detail"], found["source"])

    @property
    def is_armed(self) -> bool:
        """Whether this client's lease is in force."""
        return bool(self._lease) and int(self._words[Word.LEASE]) == self._lease

    @property
    def lease(self) -> int:
        """The lease that this client has got; 0 before it has armed, and when it has given it back."""
        return self._lease

    @property
    def is_taken(self) -> bool:
        """Whether another client holds the lease."""
        return int(self._words[Word.LEASE]) not in (0, self._lease)

    @property
    def pids(self) -> tuple[int, int]:
        """Of guardian and writer."""
        return int(self._words[Word.GUARDIAN_PID]), int(self._words[Word.WRITER_PID])

    @property
    def has_guardian_taken_over(self) -> bool:
        """The writer is gone for good; only a new bridge helps."""
        return bool(self._words[Word.HAS_TAKEN_OVER])

    @property
    def _heartbeat_now(self) -> int:
        return int(self._words[Word.HEARTBEAT])

    def _wait(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        end = self._now() + timeout_s
        while not condition():
            if self._now() > end:
                raise RobotError(f"{self.interface}: {self._trouble() or what} (waited {timeout_s:g} s)")
            self._idle()

    def _trouble(self) -> str:
        """Why nothing answers any more, if somebody has said so."""
        if self.has_guardian_taken_over:
            return "the writer fell silent and the guardian damps; only a new bridge helps"
        return self.status().get("error") or ""


def _counted(idle: Callable[[], object]) -> tuple[Callable[[], None], Callable[[], float]]:
    """`idle`, and the s that have passed in its calls."""
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1
        idle()

    return count, lambda: calls * TICK_DT
