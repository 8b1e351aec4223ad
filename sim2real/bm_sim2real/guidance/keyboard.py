"""Steering by keys in the terminal: each press nudges the velocity, space stops."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from bm_sim2real.guidance.operator_input import Sticks

HELP = "w/s ahead/back   a/d left/right   q/e turn left/right   space stop"
_STEP = 0.25
_NUDGES = {
    "w": (_STEP, 0.0, 0.0),
    "s": (-_STEP, 0.0, 0.0),
    "a": (0.0, _STEP, 0.0),
    "d": (0.0, -_STEP, 0.0),
    "q": (0.0, 0.0, _STEP),
    "e": (0.0, 0.0, -_STEP),
}


@dataclass
class Keyboard:
    """Virtual sticks that keys move and that stay where they are."""

    ahead: float = 0.0
    left: float = 0.0
    turn: float = 0.0

    def press(self, key: str) -> None:
        """One character; others than those in HELP do nothing."""
        if key == " ":
            self.ahead = self.left = self.turn = 0.0
        elif key.lower() in _NUDGES:
            moved = zip((self.ahead, self.left, self.turn), _NUDGES[key.lower()], strict=True)
            self.ahead, self.left, self.turn = (min(1.0, max(-1.0, value + nudge)) for value, nudge in moved)

    def poll(self) -> Sticks:
        """Sticks by all keys pressed so far in this terminal; needs `raw_terminal`."""
        for key in _pressed():
            self.press(key)
        return Sticks(ahead=self.ahead, left=self.left, turn=self.turn)


@contextlib.contextmanager
def raw_terminal() -> Iterator[bool]:
    """Keys arrive one by one and are not shown; the terminal is put back at the end. False where stdin is none."""
    if not sys.stdin.isatty():
        yield False
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield True
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _pressed() -> str:
    import select

    if not sys.stdin.isatty() or not select.select([sys.stdin], [], [], 0.0)[0]:
        return ""
    return os.read(sys.stdin.fileno(), 64).decode(errors="ignore")
