"""Reads messages out of an MCAP file, the bag format of ROS 2, without ROS: https://mcap.dev/spec.

Only what rosbag2 writes by default: uncompressed, in chunks or not. A file that ends in the middle of a record, because
its recorder was killed, is read up to there.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bm_core.errors import ConfigError

MAGIC = b"\x89MCAP0\r\n"
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F


@dataclass(frozen=True)
class BagMessage:
    """One message as it was sent."""

    topic: str
    type: str
    """Such as bm_msgs/msg/PolicyVector."""
    log_time: int
    """ns"""
    data: bytes
    """CDR, with its 4 bytes of header."""


def read_messages(path: Path, topics: Collection[str]) -> Iterator[BagMessage]:
    """Messages of these topics in file order. ConfigError for a file that is no MCAP, or a compressed one."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ConfigError(f"{path}: no MCAP file; record with `ros2 bag record --storage mcap`")
        schemas: dict[int, str] = {}
        channels: dict[int, tuple[str, str]] = {}
        for opcode, body in _records(file, str(path)):
            if opcode == _SCHEMA:
                (number,) = struct.unpack_from("<H", body)
                schemas[number] = _text(body, 2)[0]
            elif opcode == _CHANNEL:
                number, schema = struct.unpack_from("<HH", body)
                channels[number] = (_text(body, 4)[0], schemas.get(schema, ""))
            elif opcode == _MESSAGE:
                number, _, log_time, _ = struct.unpack_from("<HIQQ", body)
                topic, kind = channels.get(number, ("", ""))
                if topic in topics:
                    yield BagMessage(topic, kind, log_time, bytes(body[22:]))


def bag_files(path: Path) -> list[Path]:
    """The .mcap files of a bag's folder in their order, or the file itself. ConfigError if there is none."""
    if path.is_file():
        return [path]
    found = sorted(path.glob("*.mcap"), key=lambda file: (len(file.name), file.name))
    if not found:
        raise ConfigError(f"{path}: no .mcap file; a bag's folder or an .mcap file expected")
    return found


def _records(file: BinaryIO, where: str) -> Iterator[tuple[int, memoryview]]:
    """(opcode, body) of every record up to the end of the data, those inside chunks included."""
    while len(head := file.read(9)) == 9:
        opcode, length = struct.unpack("<BQ", head)
        if opcode == _DATA_END:
            return
        body = memoryview(file.read(length))
        if len(body) < length:
            return
        if opcode != _CHUNK:
            yield opcode, body
            continue
        compression, offset = _text(body, 28)
        if compression:
            raise ConfigError(
                f"{where}: compressed with {compression}; write it anew with `ros2 bag convert`, without a preset"
            )
        (size,) = struct.unpack_from("<Q", body, offset)
        yield from _inside(body[offset + 8 : offset + 8 + size])


def _inside(chunk: memoryview) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at + 9 <= len(chunk):
        opcode, length = struct.unpack_from("<BQ", chunk, at)
        yield opcode, chunk[at + 9 : at + 9 + length]
        at += 9 + length


def _text(body: memoryview, at: int) -> tuple[str, int]:
    """A string with its length in front, and where it ends."""
    (length,) = struct.unpack_from("<I", body, at)
    return str(body[at + 4 : at + 4 + length], "utf-8"), at + 4 + length
