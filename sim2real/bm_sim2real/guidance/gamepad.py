"""A gamepad on Linux, read from /dev/input/js*: no library, no root."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

from bm_core.errors import RobotError
from bm_sim2real.guidance.operator_input import Sticks

DEVICE = Path("/dev/input/js0")
_EVENT = struct.Struct("<IhBB")
"""Kernel's js_event: time ms, value, type, number."""
_BUTTON, _AXIS, _INIT = 0x01, 0x02, 0x80
_FULL = 32767.0


@dataclass(frozen=True, kw_only=True)
class GamepadMap:
    """Numbers of axes and of the dead man's switch; the defaults are those of Xbox pads and of the G1's field (L1)."""

    ahead: int = 1
    left: int = 0
    turn: int = 3
    deadman: int = 4


@dataclass
class Gamepad:
    """One device. `poll` never waits."""

    path: Path = DEVICE
    layout: GamepadMap = field(default_factory=GamepadMap)

    def __post_init__(self) -> None:
        """RobotError if the device cannot be opened."""
        try:
            self._file = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise RobotError(
                f"{self.path}: no gamepad ({error.strerror}); connect one, or steer by keyboard"
            ) from error
        self._axes: dict[int, float] = {}
        self._buttons: dict[int, bool] = {}
        self._is_lost = False

    def poll(self) -> Sticks:
        """Sticks by all events so far. A device that has gone holds nothing."""
        while not self._is_lost and (event := self._event()) is not None:
            _, value, kind, number = _EVENT.unpack(event)
            if kind & ~_INIT == _AXIS:
                self._axes[number] = value / _FULL
            elif kind & ~_INIT == _BUTTON:
                self._buttons[number] = bool(value)
        axis = self._axes.get
        return Sticks(
            # The kernel counts down and right as positive.
            ahead=-axis(self.layout.ahead, 0.0),
            left=-axis(self.layout.left, 0.0),
            turn=-axis(self.layout.turn, 0.0),
            is_held=self._buttons.get(self.layout.deadman, False) and not self._is_lost,
        )

    def close(self) -> None:
        os.close(self._file)

    def _event(self) -> bytes | None:
        try:
            event = os.read(self._file, _EVENT.size)
        except BlockingIOError:
            return None
        except OSError:
            event = b""
        if len(event) < _EVENT.size:
            self._is_lost = True
            return None
        return event
