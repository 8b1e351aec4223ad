"""The two messages of a bag that a replay needs, out of their serialised form (CDR, little endian)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import ConfigError

_LITTLE_ENDIAN = b"\x00\x01"


@dataclass(frozen=True)
class Vector:
    """bm_msgs/PolicyVector."""

    step: int
    frame: int
    data: NDArray[np.float32]


def read_policy_vector(message: bytes) -> Vector:
    """ConfigError for bytes that are none."""
    reader = _Reader(message)
    reader.numbers("<iI", 4)
    reader.text()
    (step,) = reader.numbers("<Q", 8)
    (frame,) = reader.numbers("<q", 8)
    (length,) = reader.numbers("<I", 4)
    return Vector(step, frame, reader.floats(length))


def read_string(message: bytes) -> str:
    """std_msgs/String. ConfigError for bytes that are none."""
    return _Reader(message).text()


class _Reader:
    """Aligned as CDR wants it: from the end of the 4 bytes of header."""

    def __init__(self, message: bytes) -> None:
        if message[:2] != _LITTLE_ENDIAN:
            raise ConfigError("bag: a message is not little-endian CDR; record with a standard RMW")
        self._body = memoryview(message)[4:]
        self._at = 0

    def numbers(self, layout: str, alignment: int) -> tuple:
        self._at = -(-self._at // alignment) * alignment
        try:
            values = struct.unpack_from(layout, self._body, self._at)
        except struct.error as error:
            raise ConfigError(f"bag: a message is too short ({error}); is it from this version?") from None
        self._at += struct.calcsize(layout)
        return values

    def text(self) -> str:
        (length,) = self.numbers("<I", 4)
        begin, self._at = self._at, self._at + length
        return str(self._body[begin : begin + max(0, length - 1)], "utf-8")

    def floats(self, count: int) -> NDArray[np.float32]:
        if len(self._body) - self._at < 4 * count:
            raise ConfigError(f"bag: a message of {count} numbers is too short; is it from this version?")
        return np.frombuffer(self._body, "<f4", count, self._at).copy()
