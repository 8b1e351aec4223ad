"""A gamepad through Linux's joystick interface (/dev/input/js*): no library, no display, no waiting."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from bm_core.errors import ConfigError

_EVENT = struct.Struct("<IhBB")
"""ms, value, type, number"""
_BUTTON, _AXIS, _INITIAL = 1, 2, 0x80
_FULL = 32767.0


class Joystick:
    """Buttons held and axes, -1..1, as of the last `poll`. Numbers are the driver's."""

    def __init__(self, path: str | Path) -> None:
        """ConfigError if it cannot be opened."""
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise ConfigError(f"joystick {path}: {error.strerror}; see /dev/input") from error
        self.buttons: set[int] = set()
        self.pressed: set[int] = set()
        """Buttons that went down between the last two polls, also those that were let go again."""
        self.axes: dict[int, float] = {}
        self.is_there = True
        """False once it has been pulled out."""

    def poll(self) -> None:
        """Takes in what has happened since the last call."""
        self.pressed = set()
        while self.is_there:
            try:
                data = os.read(self._fd, 64 * _EVENT.size)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._lose()
                return
            for _, value, kind, number in _EVENT.iter_unpack(data[: len(data) // _EVENT.size * _EVENT.size]):
                self._take(value, kind & ~_INITIAL, number)

    def axis(self, number: int) -> float:
        """-1..1; 0 for an axis that the device does not have."""
        return self.axes.get(number, 0.0)

    def close(self) -> None:
        """Harmless the second time."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _take(self, value: int, kind: int, number: int) -> None:
        if kind == _AXIS:
            self.axes[number] = max(-1.0, value / _FULL)
        elif kind == _BUTTON and value:
            self.buttons.add(number)
            self.pressed.add(number)
        elif kind == _BUTTON:
            self.buttons.discard(number)

    def _lose(self) -> None:
        """Nothing is held by a device that is gone."""
        self.is_there = False
        self.buttons, self.axes = set(), {}
