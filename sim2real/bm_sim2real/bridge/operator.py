"""The person beside the robot: asked before each step that only they can judge, and known to be there all the time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.joystick import Joystick
from bm_sim2real.terminal_keys import TerminalKeys

_POLL_S = 0.05
_CONFIRM, _ESTOP = "\n", " "
PAD_ESTOP, PAD_DEADMAN = 1, 4
"""Button numbers of a gamepad under Linux: B (red), LB."""


class Operator(Protocol):
    """Asked and polled, never waited for: the loop must go on meanwhile."""

    def ask(self, text: str) -> None:
        """Shows what to do and to confirm."""
        ...

    def has_answered(self) -> bool:
        """Whether the last question was confirmed."""
        ...


class Spoken:
    """Words for a person. Never raises: nobody reads, and the robot still stands.

    Terminals hang up, disks fill, and Ctrl-C ends `| tee` together with the run that is to end in good order.
    """

    def __init__(self, say: Callable[..., object]) -> None:
        self._say, self._is_lost = say, False

    def __call__(self, *words: Any) -> None:
        """Not tried again where it has failed. KeyboardInterrupt goes through."""
        if self._is_lost:
            return
        try:
            self._say(*words)
        except (OSError, SystemExit):  # rich makes a SystemExit of a closed pipe
            self._is_lost = True
        except Exception:  # a closed file, a letter that the terminal does not know
            return


class OperatorConsole:
    """A terminal and, if there is one, a gamepad, looked at on a thread of its own.

    Enter confirms; space or the pad's red button (B) is the emergency stop. Heartbeat: with a gamepad as long as its
    LB is held. Without one as long as the terminal is there, if `terminal_counts`: it proves a connection, not a hand,
    and would keep a robot going whose operator has let the remote's L1 go.
    """

    def __init__(
        self, client: BridgeClient, keys: TerminalKeys, pad: Joystick | None = None, *, terminal_counts: bool = True
    ) -> None:
        """`keys` is open; it is closed by whoever opened it."""
        self._client, self._keys, self._pad = client, keys, pad
        self._terminal_counts = terminal_counts
        self._say = Spoken(_write)
        self._answered, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="operator", daemon=True)
        self._thread.start()

    def ask(self, text: str) -> None:
        """Without a terminal nothing is ever confirmed. Never raises."""
        self._say(f"{text} [Enter; space = EMERGENCY STOP]\n")
        self._answered.clear()

    def has_answered(self) -> bool:
        """Whether Enter was pressed since the last question."""
        return self._answered.is_set()

    def close(self) -> None:
        """No more heartbeats."""
        self._ended.set()
        self._thread.join()

    def poll(self) -> None:
        """One look at keys and pad."""
        pressed = self._keys.take()
        is_there = self._terminal_counts and self._keys.is_open
        if self._pad is not None:
            self._pad.poll()
            is_there = PAD_DEADMAN in self._pad.buttons
            if PAD_ESTOP in self._pad.buttons | self._pad.pressed:  # a tap may be over before anyone looks
                pressed += _ESTOP
        if _ESTOP in pressed:
            self._client.estop()
        if _CONFIRM in pressed:
            self._answered.set()
        if is_there:
            self._client.own_heartbeat()

    def _run(self) -> None:
        while not self._ended.wait(_POLL_S):
            self.poll()


class PatientOperator:
    """For the simulated robot: confirms everything after some seconds, as long as its gantry needs; always there."""

    def __init__(self, client: BridgeClient, seconds: float) -> None:
        self._client, self._seconds = client, seconds
        self._due = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="operator", daemon=True)
        self._thread.start()

    def ask(self, text: str) -> None:
        """Needs no text."""
        self._due = time.monotonic() + self._seconds

    def has_answered(self) -> bool:
        """Whether the seconds are over."""
        return time.monotonic() >= self._due

    def close(self) -> None:
        """No more heartbeats."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(_POLL_S):
            self._client.own_heartbeat()


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
