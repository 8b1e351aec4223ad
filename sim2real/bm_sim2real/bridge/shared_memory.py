"""Shared memory between policy and bridge: one file, mapped by everyone, owned by the bridge.

Words are single 64-bit stores with one writer each. Boxes hold larger values in two slots: the writer fills the slot
that nobody reads and then moves the index, so that whoever dies in the middle of a write leaves the value before.
Python's own SharedMemory is not used: before 3.13 the death of any client deletes it for all.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import time
import zlib
from enum import IntEnum
from pathlib import Path

import numpy as np

from bm_core.errors import RobotError
from bm_sim2real.robots.unitree.dds import TAG_VARIABLE

MAGIC = 0x424D4252_49444745
SCHEMA = 5
FOLDER = Path("/dev/shm")
_WORDS = 32
_HEADER = 8 * _WORDS
_RETRIES = 3


class Word(IntEnum):
    """Which 64-bit word; in parentheses who writes it."""

    MAGIC = 0
    SCHEMA = 1
    GUARDIAN_PID = 2
    """(guardian)"""
    WRITER_PID = 3
    """(guardian)"""
    HEARTBEAT = 4
    """Frames sent to the robot (writer)."""
    IS_READY = 5
    """The robot has answered (writer)."""
    MODE_MACHINE = 6
    """Of the robot, plus 1 (writer)."""
    HAS_TAKEN_OVER = 7
    """The writer is gone, the guardian damps (guardian)."""
    LEASE = 8
    """Of the client that may move the robot, 0 = disarmed (writer)."""
    ARM_REQUEST = 9
    """The lease that a client asks for (client)."""
    ARM_ANSWER = 10
    """The request that was answered last; LEASE or the status say how (writer)."""
    ESTOP_REQUESTS = 11
    """Another number at each press (client)."""
    RESET_REQUESTS = 12
    """Another number at each request (client)."""
    RESET_ANSWERS = 13
    """RESET_REQUESTS as seen by the writer (writer)."""
    RELEASE_REQUEST = 14
    """The lease that its client gives back (client)."""
    SHUTDOWN = 15
    """Damp and end (guardian)."""
    HAS_ENDED = 16
    """The writer has damped and sends no more (writer)."""
    OPERATOR_BEATS = 17
    """Another number at each beat; a person is there, and whose (client)."""
    HOLDS = 18
    """Bits of Hold: why the armed client has to brake and stand (writer)."""
    GUARDIAN_BEATS = 20
    """Counts; the guardian watches (guardian)."""
    ESTIMATE_RESETS = 19
    """Counts requests to begin the estimate anew, standing at x = y = 0 (client)."""


class Box:
    """One value of varying length, one writer at a time, any number of readers."""

    def __init__(self, memory: memoryview, capacity: int) -> None:
        self._capacity = capacity
        self._index = np.frombuffer(memory, "<u8", 1)
        size = slot_size(capacity)
        self._slots = [memory[8 + i * size : 8 + (i + 1) * size] for i in range(2)]
        self._heads = [np.frombuffer(slot, "<u8", 3) for slot in self._slots]
        self.torn = 0
        """Reads that found no whole value."""

    @property
    def index(self) -> int:
        """Counts the values written; 0 = none yet."""
        return int(self._index[0])

    def write(self, payload: bytes) -> None:
        """Makes this the newest. ValueError if it is longer than the box."""
        if len(payload) > self._capacity:
            raise ValueError(f"{len(payload)} bytes into a box of {self._capacity}")
        index = self.index + 1
        slot, head = self._slots[index % 2], self._heads[index % 2]
        head[0] = 0  # whoever still reads this slot must see that it changes
        slot[24 : 24 + len(payload)] = payload
        head[1], head[2] = len(payload), zlib.crc32(payload)
        head[0] = index
        self._index[0] = index

    def read(self) -> bytes | None:
        """The newest value; None if there is none or, after some tries, none that is whole."""
        for _ in range(_RETRIES):
            index = self.index
            if index == 0:
                return None
            slot, head = self._slots[index % 2], self._heads[index % 2]
            length = int(head[1])
            if int(head[0]) == index and length <= self._capacity:
                payload = bytes(slot[24 : 24 + length])
                if zlib.crc32(payload) == int(head[2]) and int(head[0]) == index:
                    return payload
        self.torn += 1
        return None


def slot_size(capacity: int) -> int:
    """Bytes of a slot: index, length, checksum, payload, rounded up to words."""
    return 24 + (capacity + 7) // 8 * 8


class BridgeMemory:
    """The mapped file. `words` is indexed by Word; `command`, `state` and `status` are boxes."""

    COMMAND_BYTES = 1400
    STATE_BYTES = 1600
    STATUS_BYTES = 8000

    def __init__(self, fd: int) -> None:
        """Maps an open file of the right size; takes `fd` over."""
        self.fd = fd
        self._map = mmap.mmap(fd, self.size())
        view = memoryview(self._map)
        self.words = np.frombuffer(view, "<u8", _WORDS)
        boxes, offset = [], _HEADER
        for capacity in (self.COMMAND_BYTES, self.STATE_BYTES, self.STATUS_BYTES):
            end = offset + 8 + 2 * slot_size(capacity)
            boxes.append(Box(view[offset:end], capacity))
            offset = end
        self.command, self.state, self.status = boxes
        self._view = view

    @classmethod
    def size(cls) -> int:
        """Bytes of the file."""
        return _HEADER + sum(8 + 2 * slot_size(c) for c in (cls.COMMAND_BYTES, cls.STATE_BYTES, cls.STATUS_BYTES))

    @classmethod
    def create(cls, interface: str) -> BridgeMemory:
        """For the bridge: empty, and locked until the last process that inherits the file is gone.

        RobotError if another bridge has it.
        """
        path = memory_path(interface)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _lock(fd):
            owner = _owner(fd)
            os.close(fd)
            raise RobotError(f"{interface}: another bridge{owner} has this robot; end it first")
        _give_size(fd, cls.size())
        memory = cls(fd)
        memory._view[:] = bytes(cls.size())
        memory.words[Word.SCHEMA] = SCHEMA
        memory.words[Word.GUARDIAN_PID] = os.getpid()
        memory.words[Word.MAGIC] = MAGIC
        return memory

    @classmethod
    def attach(cls, interface: str) -> BridgeMemory:
        """For a client. RobotError if there is no bridge, or one of another version."""
        path = memory_path(interface)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            raise RobotError(
                f"{interface}: no bridge is running; start `bm bridge --network-interface {interface}`"
            ) from None
        if not _is_locked(fd) or os.fstat(fd).st_size != cls.size():
            os.close(fd)
            raise RobotError(f"{interface}: no bridge is running any more; start `bm bridge` again")
        memory = cls(fd)
        if (int(memory.words[Word.MAGIC]), int(memory.words[Word.SCHEMA])) != (MAGIC, SCHEMA):
            raise RobotError(f"{interface}: the running bridge is of another version; end it and start this one's")
        return memory

    def close(self) -> None:
        """For the owner: gives the interface back. Closing alone would not, as the mapping keeps the file open."""
        fcntl.flock(self.fd, fcntl.LOCK_UN)
        os.close(self.fd)


def _give_size(fd: int, size: int) -> None:
    """Never 0 first: clients of an older bridge may still look at this file. RobotError without room.

    The room is taken here: from a file with a hole the kernel would kill whoever first writes into it.
    """
    try:
        os.ftruncate(fd, size)
        os.posix_fallocate(fd, 0, size)
    except OSError as error:
        os.close(fd)
        raise RobotError(f"{FOLDER}: no shared memory for the bridge ({error.strerror}); make room there") from error


def memory_path(interface: str) -> Path:
    """One file for each interface (and DDS tag, so that tests do not meet)."""
    name = "-".join(part for part in ("bm-bridge", interface, os.environ.get(TAG_VARIABLE, "")) if part)
    return FOLDER / re.sub(r"[^\w.-]", "_", name)


def _lock(fd: int) -> bool:
    """Tries for a moment: a client that looks whether there is a bridge holds the lock for an instant."""
    for _ in range(5):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            time.sleep(0.02)
    return False


def _is_locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False


def _owner(fd: int) -> str:
    words = np.frombuffer(os.pread(fd, _HEADER, 0).ljust(_HEADER, b"\0"), "<u8")
    return f" (processes {words[Word.GUARDIAN_PID]} and {words[Word.WRITER_PID]})"
