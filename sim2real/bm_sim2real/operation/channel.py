"""A pair of ends that exchange objects between two processes: whole or not at all, and never waiting to send.

A control loop must not wait for a reader that is busy, so what does not fit into the socket's buffer is dropped and
counted. The other end's death is seen at once.
"""

from __future__ import annotations

import contextlib
import pickle
import select
import socket
from typing import Any

BUFFER_BYTES = 1 << 20
"""Some hundred control steps, where the system permits it (net.core.wmem_max; 40 steps by default)."""


class ChannelClosed(Exception):
    """The other end is gone. Not an error of a user: whoever holds an end must know what to do then."""


class Channel:
    """One end. Sending and receiving may be done by two threads, each by one."""

    def __init__(self, end: socket.socket) -> None:
        """`end` of socket.socketpair(AF_UNIX, SOCK_SEQPACKET); taken over."""
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        self._socket = end
        self._buffer = bytearray(BUFFER_BYTES)
        self.dropped = 0
        """Messages that the buffer had no room for."""

    @classmethod
    def pair(cls) -> tuple[Channel, socket.socket]:
        """This end, and the other for a child process (pass its fileno, then close it here)."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), theirs

    @classmethod
    def inherited(cls, fd: int) -> Channel:
        """The end that a parent has passed."""
        return cls(socket.socket(fileno=fd))

    def send(self, message: Any) -> bool:
        """Whether it went out; False if the buffer is full. ChannelClosed."""
        try:
            self._socket.send(pickle.dumps(message, pickle.HIGHEST_PROTOCOL), socket.MSG_DONTWAIT)
        except BlockingIOError:
            self.dropped += 1
            return False
        except OSError as error:
            raise ChannelClosed from error
        return True

    def receive(self, timeout_s: float | None = 0.0) -> Any:
        """The next message, None if none comes in time (None: wait for ever). ChannelClosed."""
        try:
            readable, _, _ = select.select([self._socket], [], [], timeout_s)
            if not readable:
                return None
            length = self._socket.recv_into(self._buffer)
        except (OSError, ValueError) as error:  # ValueError: closed here, by another thread
            raise ChannelClosed from error
        if not length:
            raise ChannelClosed
        return pickle.loads(memoryview(self._buffer)[:length])

    def shutdown(self) -> None:
        """Nothing more is sent from here; both ends' readers wake up and see it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """The other end sees it at once."""
        self._socket.close()
