"""Unitree's checksum of LowCmd and LowState."""

from __future__ import annotations

import zlib

import numpy as np

_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def crc32_words(data: bytes | bytearray | memoryview) -> int:
    """CRC-32 of little-endian 32-bit words, most significant bit first; `data`'s length must be a multiple of 4.

    Polynomial 0x04c11db7, initial 0xffffffff, no reflection, no final xor: CRC-32/MPEG-2 of the byte-swapped words.
    zlib computes the reflected CRC of the same polynomial, so it gets bytes with their bits reversed [2 us for 1 kB].
    """
    swapped = np.frombuffer(data, dtype="<u4").byteswap().tobytes().translate(_REVERSED_BITS)
    reflected = zlib.crc32(swapped) ^ 0xFFFFFFFF
    return int.from_bytes(reflected.to_bytes(4, "little").translate(_REVERSED_BITS), "big")
