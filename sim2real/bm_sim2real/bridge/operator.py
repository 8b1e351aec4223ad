"""The person beside the robot: asked before each step that only they can judge."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Operator(Protocol):
    """Asked and polled, never waited for: the loop must go on meanwhile."""

    def ask(self, text: str) -> None:
        """Shows what to do and to confirm."""
        ...

    def has_answered(self) -> bool:
        """Whether the last question was confirmed."""
        ...


class TerminalOperator:
    """Confirms with Enter. Without a terminal (end of input) nothing is ever confirmed."""

    def __init__(self) -> None:
        self._answered = threading.Event()

    def ask(self, text: str) -> None:
        """Waits for the Enter key on a thread of its own."""
        self._answered = answered = threading.Event()

        def wait() -> None:
            try:
                input(f"{text} [Enter] ")
            except EOFError:
                return
            answered.set()

        threading.Thread(target=wait, name="operator", daemon=True).start()

    def has_answered(self) -> bool:
        """Whether Enter was pressed since the last question."""
        return self._answered.is_set()


class PatientOperator:
    """For the simulated robot: confirms everything after some seconds, as long as its gantry needs."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due = 0.0

    def ask(self, text: str) -> None:
        """Needs no text."""
        self._due = time.monotonic() + self._seconds

    def has_answered(self) -> bool:
        """Whether the seconds are over."""
        return time.monotonic() >= self._due
