"""SIGINT and SIGTERM: as a flag for whoever moves a robot, as an exception for every other command.

A robot's loop ends at a place of its own choosing; what computes or writes ends where it is and cleans up behind it.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

TERMINATED = 143
"""128 + SIGTERM: exit code of a process that was told to end, as a shell expects it."""
_ALARM = [signal.SIGALRM] if hasattr(signal, "SIGALRM") else []
"""Not on every system."""
_AGAIN_S = 0.5
"""s after which what a signal has raised is raised again if it got lost."""


class Stop:
    """Set by the first SIGINT or SIGTERM from its construction on, or by one that was raised before and got lost."""

    def __init__(self) -> None:
        self.count = 0
        """How often."""
        self.reason = ""
        """Which signal."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        for number in signals_heard():
            self._on_signal(number, None)

    @property
    def requested(self) -> bool:
        """Whether at all."""
        return self.count > 0

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self.reason = self.reason or signal.Signals(number).name
        self.count += 1


def outlive_terminal(on_hangup: Callable[[], object] | None = None) -> None:
    """For a process that holds a robot: a terminal that hangs up does not end it, and Ctrl-Z does not stop it.

    `on_hangup` is called when the terminal hangs up, unless whoever started the process has made it deaf to that.
    """
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    if on_hangup is None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    elif signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: on_hangup())


class Terminated(KeyboardInterrupt):
    """SIGTERM has come: what Ctrl-C is in Python, and cleaned up after by the same `finally` and `with`."""


class _Interruption:
    """What SIGINT and SIGTERM raise in the main thread, and raise again if it got lost.

    Compiled code may drop what is raised inside it: Cython does at the import of numpy.random, and the command would
    work on as if nobody had told it to end. So does Python in a `__del__` or a weakref's callback, with a traceback.
    """

    def __init__(self) -> None:
        self._raised: list[tuple[int, KeyboardInterrupt]] = []
        self._alarm_before: list[Any] = []
        self._hook_before: list[Any] = []

    @property
    def first(self) -> KeyboardInterrupt | None:
        """What was raised first."""
        return self._raised[0][1] if self._raised else None

    def on_signal(self, number: int, _: FrameType | None) -> None:
        if _ALARM:
            if not self._alarm_before:  # only now: who is not interrupted keeps its own alarm
                self._alarm_before = [signal.signal(signal.SIGALRM, self._on_alarm)]
                self._hook_before, sys.unraisablehook = [sys.unraisablehook], self._on_unraisable
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S, _AGAIN_S)
        self._raised.append((number, Terminated() if number == signal.SIGTERM else KeyboardInterrupt()))
        raise self._raised[-1][1]

    def heard(self) -> list[int]:
        """The signals that have come, each once; from now on they are nobody's business any more."""
        numbers = [number for number, _ in self._raised]
        self._raised.clear()
        return numbers

    def close(self) -> None:
        """The alarm is as it was, and who hears of what nobody can catch."""
        if self._hook_before:
            sys.unraisablehook = self._hook_before.pop()
        if self._alarm_before:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, self._alarm_before.pop())

    def _on_alarm(self, _: int, __: FrameType | None) -> None:
        if self._raised and not self._is_being_handled():
            raise self._raised[-1][1]

    def _on_unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Nothing is said of what will be raised again."""
        if not any(unraisable.exc_value is raised for _, raised in self._raised):
            self._hook_before[0](unraisable)

    def _is_being_handled(self) -> bool:
        """Whether an `except`, `finally` or `with` further up has it, or an error that was made of it."""
        error, ours = sys.exc_info()[1], {id(raised) for _, raised in self._raised}
        while error is not None and id(error) not in ours:
            error = error.__context__
        return error is not None


_interruptions: list[_Interruption] = []
"""Of the `signals_raise` that are open, the innermost last."""


@contextmanager
def signals_raise() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt and SIGTERM Terminated in the main thread while the block runs.

    Without it SIGTERM would leave files and children. What compiled code drops is raised again; who ends at a signal in
    good order does it with `until_signal`. Compiled code may also make an error of its own of it (MuJoCo: a TypeError);
    behind a signal every error leaves the block as what the signal had raised. A Stop that is made inside takes both
    over. Elsewhere than in the main thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interruption = _Interruption()
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell has it ignored
        numbers.append(signal.SIGINT)
    _interruptions.append(interruption)
    before = {number: signal.signal(number, interruption.on_signal) for number in numbers}
    try:
        yield
    except Exception as error:
        if interruption.first is not None:
            raise interruption.first from error
        raise
    finally:
        interruption.close()
        for number, handler in before.items():
            signal.signal(number, handler)
        _interruptions.remove(interruption)


def signals_heard() -> list[int]:
    """For who has caught what a signal raised and ends in good order: it is not raised again. Returns the signals."""
    return _interruptions[-1].heard() if _interruptions else []


@contextmanager
def until_signal(then: Callable[[], object]) -> Iterator[None]:
    """The block ends in good order at SIGINT or SIGTERM: `then` is called, and what follows the block goes on."""
    try:
        yield
    except KeyboardInterrupt:
        signals_heard()
        then()


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
            for number in (signal.SIGINT, signal.SIGTERM, *_ALARM):
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
