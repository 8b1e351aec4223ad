"""A bridge that is reached through the node instead of through shared memory: another computer's, or somebody else's.

The same calls as BridgeClient. Readings come through the channel; commands leave with the published steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bm_core.errors import RobotError
from bm_core.g1 import CONTROL_DT
from bm_core.state import RobotState
from bm_sim2real.faults import Fault, Reaction
from bm_sim2real.holds import Hold
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.operation.messages import Ask, LinkReading, Told, Verb
from bm_sim2real.timing import WallClock

MOST_SILENT_S = 0.25
"""s without a reading before the loop gives up; the bridge has long been damping by then."""
_ANSWER_S = 3.0
"""s that the far end may take to answer."""
_POLL_S = 0.001


class RelayedLink:
    """What the far end is and wants is what the newest LinkReading says."""

    def __init__(
        self,
        send: Callable[[Any], object],
        pump: Callable[[], None],
        stall_s: float = 0.0,
        real_time_factor: float = 1.0,
    ) -> None:
        """`send` puts an Ask into the channel; `pump` takes out what has come and feeds it here.

        `stall_s`: s of silence beyond the usual limit that are forgiven. `real_time_factor`: of a simulated robot.
        """
        self._most_silent_s = MOST_SILENT_S / real_time_factor + stall_s
        self._send, self._pump = send, pump
        self._clock = WallClock(CONTROL_DT / real_time_factor)
        self._reading: LinkReading | None = None
        self._read_at = 0.0
        self._told: dict[Verb, Told] = {}
        self.lease = 0
        """0 before it has armed."""

    def feed(self, message: LinkReading | Told) -> None:
        """A message of the node."""
        if isinstance(message, Told):
            self._told[message.verb] = message
        else:
            self._reading, self._read_at = message, time.monotonic()

    def wait_ready(self, timeout_s: float) -> None:
        """Until the first reading. RobotError without one."""
        self._wait(lambda: self._reading is not None, timeout_s, "no /robot_state; is g1_bridge active?")

    def read(self) -> RobotState:
        """The newest reading. RobotError if it is old."""
        silent = time.monotonic() - self._read_at
        if self._reading is None or silent > self._most_silent_s:
            raise RobotError(f"no /robot_state for {silent:.2f} s (limit {self._most_silent_s:g} s)")
        return self._reading.state

    def put(self, command: PolicyCommand) -> None:
        """Nothing: the command leaves with the step."""

    def wait_period(self) -> None:
        """20 ms of the robot's time on the wall clock; then what has come by now is read."""
        self._clock.wait()
        self._pump()

    def arm(self) -> None:
        """Asks for a lease. RobotError with the reason if it is refused, or if it is not in force within 3 s."""
        self.lease = int(self._ask(Verb.ARM))
        try:  # The answer overtakes readings under way, in which nobody is armed yet.
            self._wait(lambda: self.is_armed, _ANSWER_S, "arm: granted, but no reading says so")
        except RobotError:
            self.release()
            raise

    def release(self) -> None:
        """Gives the lease back; does not wait."""
        self.lease = 0
        self._send(Ask(verb=Verb.DISARM))

    def estop(self) -> None:
        """Does not wait."""
        self._send(Ask(verb=Verb.ESTOP))

    def reset(self) -> None:
        """RobotError if the fault is still there."""
        self._ask(Verb.RESET)

    def reset_estimate(self) -> None:
        """The far end looks after its estimate itself."""

    def status(self) -> dict[str, Any]:
        """The far end publishes its own."""
        return {}

    @property
    def fault(self) -> Fault | None:
        """Of the far end."""
        text = "" if self._reading is None else self._reading.fault
        return Fault("bridge", Reaction.DAMPING, 0, text, source="bridge") if text else None

    @property
    def holds(self) -> Hold:
        """Of the far end."""
        names = () if self._reading is None else self._reading.holds
        return Hold(sum(hold for hold in Hold if hold.name and hold.name.lower() in names))

    @property
    def is_armed(self) -> bool:
        """Whether a lease was given and is in force."""
        return bool(self.lease) and self._reading is not None and self._reading.is_armed

    def _ask(self, verb: Verb) -> str:
        self._told.pop(verb, None)
        self._send(Ask(verb=verb))
        self._wait(lambda: verb in self._told, _ANSWER_S, f"{verb.value}: no answer")
        told = self._told[verb]
        if not told.is_granted:
            raise RobotError(told.text)
        return told.text

    def _wait(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                raise RobotError(f"{what} (waited {timeout_s:g} s)")
            time.sleep(_POLL_S)
            self._pump()
