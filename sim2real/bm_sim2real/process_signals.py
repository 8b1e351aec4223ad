"""SIGINT and SIGTERM: as a flag for whoever moves a robot, as an exception for every other command.

A robot's loop ends at a place of its own choosing; what computes or writes ends where it is and cleans up behind it.
"""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
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
def signals_raise() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt and SIGTERM Terminated in the main thread while the block runs.

    Without it SIGTERM would leave files and children. Compiled code that is interrupted may make an error of its own of
    it (MuJoCo: a TypeError); behind a signal every error leaves the block as what the signal had raised. A Stop that is
    made inside takes both over. Elsewhere than in the main thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    raised: list[KeyboardInterrupt] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        raised.append(Terminated() if number == signal.SIGTERM else KeyboardInterrupt())
        raise raised[-1]

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell has it ignored
        numbers.append(signal.SIGINT)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    except Exception as error:
        if raised:
            raise raised[0] from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
    try:
        with ExitStack() as restored:  # each, though a signal come between one and the other
            for number in (signal.SIGINT, signal.SIGTERM):
                if callable(handler := signal.getsignal(number)):
                    restored.callback(signal.signal, number, handler)
                    signal.signal(number, lambda number, _: come.append(number))
            yield
    finally:
        for number in come:
            signal.raise_signal(number)


def close_undisturbed(ends: ExitStack) -> None:
    """What SIGINT and SIGTERM do here, they do when all of `ends` are closed."""
    with ends, signals_put_off():  # one that comes before they are put off leaves the closing to `ends`
        ends.close()


@contextmanager
def temporary_folder(*, prefix: str | None = None, beside: Path | None = None) -> Iterator[Path]:
    """Empty, and gone with all that is in it at the end. A signal does not leave it half made or half removed.

    `beside`: the folder to make it in; default: where temporary files go.
    """
    ends = ExitStack()
    try:
        with signals_put_off():
            folder = ends.enter_context(tempfile.TemporaryDirectory(prefix=prefix, dir=beside))
        yield Path(folder)
    finally:
        close_undisturbed(ends)
