"""The wireless remote: 40 bytes inside every LowState, so its age is the LowState's age."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag

SIZE = 40


class Button(IntFlag):
    """Bits of the 16-bit word at byte 2."""

    NONE = 0
    R1 = 1 << 0
    L1 = 1 << 1
    START = 1 << 2
    SELECT = 1 << 3
    R2 = 1 << 4
    L2 = 1 << 5
    F1 = 1 << 6
    F3 = 1 << 7
    A = 1 << 8
    B = 1 << 9
    X = 1 << 10
    Y = 1 << 11
    UP = 1 << 12
    RIGHT = 1 << 13
    DOWN = 1 << 14
    LEFT = 1 << 15


ESTOP = Button.B
"""As in the field: the red one damps."""
DEADMAN = Button.L1
"""Held: the operator is there. A remote that is off or out of reach holds nothing."""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """Buttons held and sticks, -1..1, right and up positive."""

    buttons: Button = Button.NONE
    left_x: float = 0.0
    left_y: float = 0.0
    right_x: float = 0.0
    right_y: float = 0.0


def read_remote(data: bytes) -> Remote:
    """Sticks that are not numbers count as centred: the remote must not be able to steer by noise."""
    (word,) = struct.unpack_from("<H", data, 2)
    left_x, right_x, right_y, _, left_y = (
        value if -1.5 <= value <= 1.5 else 0.0 for value in struct.unpack_from("<5f", data, 4)
    )
    return Remote(buttons=Button(word), left_x=left_x, left_y=left_y, right_x=right_x, right_y=right_y)


def pack_remote(remote: Remote) -> bytes:
    """The 40 bytes that a robot would send."""
    data = bytearray(SIZE)
    struct.pack_into("<H", data, 2, remote.buttons)
    struct.pack_into("<5f", data, 4, remote.left_x, remote.right_x, remote.right_y, 0.0, remote.left_y)
    return bytes(data)


class RemoteEdges:
    """Which buttons went down or up since the last look."""

    def __init__(self) -> None:
        self._before: Button | None = None

    def update(self, buttons: Button) -> tuple[Button, Button]:
        """(pressed, released). What is already held at the first look is no press: nobody meant us by it."""
        before = buttons if self._before is None else self._before
        self._before = buttons
        return buttons & ~before, before & ~buttons
