"""The simulated robot's wireless remote, in somebody's hands: keys of a terminal, or a gamepad."""

from __future__ import annotations

import time
from collections.abc import Callable

from bm_sim2real.joystick import Joystick
from bm_sim2real.robots.unitree.remote import Button, Remote
from bm_sim2real.terminal_keys import TerminalKeys

_HELD_S = 0.6
"""A terminal tells no release: a key counts as held for so long, which bridges the wait before it repeats."""
KEYS = {
    "1": Button.L1,
    "2": Button.R1,
    "3": Button.L2,
    "4": Button.R2,
    "a": Button.A,
    "b": Button.B,
    " ": Button.B,
    "x": Button.X,
    "y": Button.Y,
    "\n": Button.START,
    "\t": Button.SELECT,
}
STICKS = {
    "i": ("left_y", 1.0),
    "k": ("left_y", -1.0),
    "j": ("left_x", -1.0),
    "l": ("left_x", 1.0),
    "u": ("right_x", -1.0),
    "o": ("right_x", 1.0),
}
HELP = "1 L1 (deadman)  2 R1  3 L2  4 R2  a b x y  space = B (e-stop)  Enter START  i/k/j/l left stick  u/o right stick"

# Gamepads under Linux (xpad): buttons A B X Y LB RB back start; sticks on axes 0, 1 and 3, 4, triggers on 2 and 5.
_PAD = (Button.A, Button.B, Button.X, Button.Y, Button.L1, Button.R1, Button.SELECT, Button.START)
_TRIGGERS = ((2, Button.L2), (5, Button.R2))


class KeyboardRemote:
    """Keys as buttons and sticks."""

    def __init__(self, keys: TerminalKeys, now: Callable[[], float] = time.monotonic) -> None:
        self._keys, self._now = keys, now
        self._pressed: dict[str, float] = {}

    def read(self) -> Remote:
        """What is held now."""
        now = self._now()
        for key in self._keys.take():
            self._pressed[key] = now
        held = [key for key, at in self._pressed.items() if now - at < _HELD_S]
        buttons = Button.NONE
        for key in held:
            buttons |= KEYS.get(key, Button.NONE)
        return Remote(buttons=buttons, **dict(STICKS[key] for key in held if key in STICKS))


class GamepadRemote:
    """A gamepad as the robot's own."""

    def __init__(self, pad: Joystick) -> None:
        self._pad = pad

    def read(self) -> Remote:
        """What is held now or was tapped since the last call; nothing once it has been pulled out."""
        pad = self._pad
        pad.poll()
        buttons, down = Button.NONE, pad.buttons | pad.pressed
        for number, button in enumerate(_PAD):
            if number in down:
                buttons |= button
        for axis, button in _TRIGGERS:
            if pad.axis(axis) > 0.5:
                buttons |= button
        # Up is negative on a gamepad, positive on Unitree's remote.
        return Remote(
            buttons=buttons,
            left_x=pad.axis(0),
            left_y=-pad.axis(1),
            right_x=pad.axis(3),
            right_y=-pad.axis(4),
        )
