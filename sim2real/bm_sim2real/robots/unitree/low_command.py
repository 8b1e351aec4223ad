"""LowCmd_ of unitree_hg as bytes on the wire: packed and read in place, without a Python object per motor.

The wire (CDR, little endian) and Unitree's C struct, over which the CRC runs, hold the same bytes from offset 8 on:
the 4-byte CDR header makes up for the padding that CDR does not have before the first motor.
C struct, 1004 bytes: mode_pr, mode_machine, 2 padding, 35 x {mode, 3 padding, q, dq, tau, kp, kd, reserve},
reserve[4], crc.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import G1
from bm_core.state import LowCommand
from bm_sim2real.robots.unitree.crc import crc32_words

NUM_MOTORS = 35
"""Slots in the message; the first 29 are the joints in canonical order, the rest are not there."""
NUM_JOINTS = len(G1.joint_names)
CDR_LITTLE_ENDIAN = bytes((0, 1, 0, 0))
MODE_PR = 0
"""Ankles and waist are commanded as pitch and roll; 1 would mean their two motors A and B."""
SIZE = 1004

_HEAD = 8
"""Bytes in which wire and C struct differ."""
_STRIDE = 28
_MODE_OF_FIRST = 6
_CRC = SIZE - 4


class LowCommandPacker:
    """Writes commands into one message. Not to be shared between threads."""

    def __init__(self, mode_machine: int) -> None:
        """`mode_machine`: as the robot reports it; a constant breaks other variants of the robot."""
        self._message = bytearray(SIZE)
        self._message[:_MODE_OF_FIRST] = CDR_LITTLE_ENDIAN + bytes((MODE_PR, mode_machine))
        self._message[_MODE_OF_FIRST] = 1
        self._c_head = struct.pack("<BBxxBxxx", MODE_PR, mode_machine, 1)
        values = np.ndarray((NUM_MOTORS, 5), "<f4", self._message, _HEAD, (_STRIDE, 4))
        self._values = values[:NUM_JOINTS]
        modes = np.ndarray((NUM_MOTORS - 1,), "u1", self._message, _HEAD + _STRIDE - 4, (_STRIDE,))
        modes[: NUM_JOINTS - 1] = 1

    def pack(self, command: LowCommand) -> bytes:
        """The serialised message with its CRC."""
        values = self._values
        values[:, 0], values[:, 1], values[:, 2] = command.q, command.dq, command.tau
        values[:, 3], values[:, 4] = command.kp, command.kd
        crc = crc32_words(self._c_head + self._message[_HEAD:_CRC])
        self._message[_CRC:] = crc.to_bytes(4, "little")
        return bytes(self._message)


@dataclass(frozen=True, kw_only=True)
class LowCommandMessage:
    """A LowCmd as a robot receives it."""

    mode_pr: int
    mode_machine: int
    is_intact: bool
    """Whether the CRC is right."""
    motor_modes: NDArray[np.uint8]
    """(35,) 1 = enabled"""
    values: NDArray[np.float64]
    """(35, 5) q, dq, tau, kp, kd"""

    def command(self, seq: int) -> LowCommand:
        """For the 29 joints; motors that are not enabled get no torque."""
        on = (self.motor_modes[:NUM_JOINTS] == 1).astype(np.float64)
        q, dq, tau, kp, kd = self.values[:NUM_JOINTS].T
        return LowCommand(seq=seq, state_seq=0, q=q.copy(), dq=dq.copy(), tau=tau * on, kp=kp * on, kd=kd * on)


def read_low_command(message: bytes) -> LowCommandMessage | None:
    """None for bytes that are no little-endian LowCmd_ at all."""
    if len(message) != SIZE or message[0] != 0 or not message[1] & 1:
        return None
    mode_pr, mode_machine, first = message[4], message[5], message[_MODE_OF_FIRST]
    head = struct.pack("<BBxxBxxx", mode_pr, mode_machine, first)
    later = np.ndarray((NUM_MOTORS - 1,), "u1", message, _HEAD + _STRIDE - 4, (_STRIDE,))
    with np.errstate(invalid="ignore"):  # as in low_state.py
        values = np.ndarray((NUM_MOTORS, 5), "<f4", message, _HEAD, (_STRIDE, 4)).astype(np.float64)
    return LowCommandMessage(
        mode_pr=mode_pr,
        mode_machine=mode_machine,
        is_intact=crc32_words(head + message[_HEAD:_CRC]) == int.from_bytes(message[_CRC:], "little"),
        motor_modes=np.concatenate(([first], later)).astype(np.uint8),
        values=values,
    )
