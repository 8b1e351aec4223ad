"""SIGINT and SIGTERM: as a flag for whoever moves a robot, as an exception for every other command.

A robot's loop ends at a place of its own choosing; what computes or writes ends where it is and cleans up behind it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED = 143
"""128 + SIGTERM: exit code of a process that was told to end, as a shell expects it."""


class Stop:
    """Set by the first SIGINT or SIGTERM from its construction on."""

    def __init__(self) -> None:
        self.count = 0
        """How often."""
        self.reason = ""
        """Which signal."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    @property
    def requested(self) -> bool:
        """Whether at all."""
        return self.count > 0

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self.reason = self.reason or signal.Signals(number).name
        self.count += 1


class Terminated(KeyboardInterrupt):
    """SIGTERM has come: what Ctrl-C is in Python, and cleaned up after by the same `finally` and `with`."""


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """SIGTERM raises Terminated in the main thread while the block runs; without it files and children would be left.

    A Stop that is made inside takes the signal over. Elsewhere than in the main thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def children_ignore_sigint(*, by_multiprocessing: bool = False) -> Iterator[None]:
    """Processes that are started in the block leave Ctrl-C, which a terminal sends to all, to this one.

    From their first instruction on: a handler of their own would come after their imports, and each would print a
    traceback until then. For this process Ctrl-C is only put off until the end of the block.
    `by_multiprocessing`: who starts them, instead of subprocess.
    """
    if not hasattr(signal, "pthread_sigmask"):  # not a POSIX system
        yield
        return
    if by_multiprocessing:
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()  # or it would start with the first child, and lift the block on its way
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with signals_put_off():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def signals_put_off() -> Iterator[None]:
    """What SIGINT and SIGTERM do here, they do at the end of the block; for blocks that must not be left half done.

    A child half begun would print a traceback; a lock that an exception leaves taken, others wait for. A mask alone
    does not do that: it holds for one thread, and the signal would go to another.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    come: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, _: come.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in come:
            signal.raise_signal(number)


def _raise_terminated(*_: object) -> None:
    raise Terminated
