"""Output that nobody waits for: a robot must not stand still because a terminal does.

Ctrl-S stops a terminal, and a reader that stands still fills its pipe: whoever prints then waits until somebody reads.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

MOST_PIECES = 1000
"""Pieces, of a line or so, that wait for a reader; what comes then is dropped and counted."""
PATIENCE_S = 5.0
"""s at the end of the block in which a reader must take something, or the rest is given up."""
_SLICE = 4096
"""Bytes written at once, so that a reader who is slow is told from one who stands still."""
_FULL_S = 0.02
"""s after which a stream that somebody has set to refuse, instead of to wait, is tried again."""


@contextmanager
def unblocked_output() -> Iterator[None]:
    """In the block, writing to sys.stdout or sys.stderr returns at once: a thread for each hands on what is written.

    All arrives, in order, as long as somebody reads. What stdout fails to take goes to stderr, and the block then ends
    with stdout's OSError. At its end it waits for slow readers, and PATIENCE_S for one that stands still.
    """
    stdout, stderr = sys.stdout, sys.stderr
    errors = None if stderr is None else _Outlet(stderr)
    results = None if stdout is None else _Outlet(stdout, instead=errors)
    if results is not None:
        sys.stdout = results.as_text()
    if errors is not None:
        sys.stderr = errors.as_text()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = stdout, stderr
        for outlet in (results, errors):  # in this order: the first may still have something for the second
            if outlet is not None:
                outlet.end()
    if results is not None and results.error is not None:
        raise results.error


class _Outlet(io.RawIOBase):
    """Takes bytes at once; a thread of its own writes them to the stream."""

    def __init__(self, stream: TextIO, instead: _Outlet | None = None) -> None:
        """`instead` gets what the stream fails to take; nobody if there is none."""
        self._stream, self._write_some = stream, _writer(stream)
        self._instead = instead
        self.error: OSError | None = None
        """Why the stream takes no more."""
        self._pieces: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._dropped = self._written = 0
        self._is_ended = False
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    def as_text(self) -> io.TextIOWrapper:
        """In the place of the stream."""
        encoding, errors = self._stream.encoding or "utf-8", self._stream.errors
        return io.TextIOWrapper(self, encoding, errors, write_through=True)  # type: ignore[arg-type]  # raw is enough

    def write(self, data: Any, /) -> int:
        """Never waits."""
        piece = bytes(data)
        with self._changed:
            if not piece:
                return 0  # an empty one is the thread's end
            if len(self._pieces) < MOST_PIECES:
                self._pieces.append(piece)
            else:
                self._dropped += 1
            self._changed.notify()
        return len(piece)

    def end(self) -> None:
        """Waits for the thread as long as it gets something written every PATIENCE_S."""
        with self._changed:
            self._is_ended = True
            self._changed.notify()
        before = -1
        while self._thread.is_alive() and self._written != before:
            before = self._written
            self._thread.join(PATIENCE_S)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def _run(self) -> None:
        while rest := self._next():
            while rest and self.error is None:
                try:
                    count = self._write_some(rest)
                except BlockingIOError:
                    time.sleep(_FULL_S)
                    continue
                except (OSError, ValueError) as error:  # ValueError: a closed file
                    self.error = error if isinstance(error, OSError) else OSError(str(error))
                    break
                self._written += count
                rest = rest[count:]
            if rest and self._instead is not None:
                self._instead.write(rest)

    def _next(self) -> bytes:
        """The next piece, as soon as there is one; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._pieces or self._dropped or self._is_ended)
            if self._pieces:
                return self._pieces.popleft()
            count, self._dropped = self._dropped, 0
            return f"({count} lines were lost here: nobody read them)\n".encode() if count else b""


def _writer(stream: TextIO) -> Callable[[bytes], int]:
    """Writes some of the bytes, at least one, and returns how many.

    Straight to the file where there is one: Python aborts at its end if a thread waits with the stream's lock.
    """
    stream.flush()
    try:
        fd = stream.fileno()
    except (OSError, ValueError):  # a stream that a test or a notebook has put there

        def write_all(data: bytes) -> int:
            stream.write(data.decode(stream.encoding or "utf-8", "replace"))
            stream.flush()
            return len(data)

        return write_all
    return lambda data: os.write(fd, data[:_SLICE])
