"""Ctrl-C and SIGTERM while processes are started or things are removed: put off, not lost."""

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time

import pytest

from bm_sim2real import process_signals
from bm_sim2real.process_signals import (
    Stop,
    Terminated,
    children_ignore_sigint,
    close_undisturbed,
    signals_heard,
    signals_put_off,
    signals_raise,
    temporary_folder,
    until_signal,
)

SIGNALS = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]


def handlers():
    return [signal.getsignal(number) for number, _ in SIGNALS]


@pytest.fixture
def thread():
    """A second thread, which takes the signals that the first one masks."""
    end = threading.Event()
    other = threading.Thread(target=end.wait)
    other.start()
    yield
    end.set()
    other.join()


@pytest.fixture
def taken():
    """Waits until a thread, any, has taken a signal."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer)
    yield lambda: os.read(reader, 1)
    signal.set_wakeup_fd(before)
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize(("number", "what"), SIGNALS)
def test_a_signal_comes_when_the_processes_have_begun(number, what, thread, taken):
    steps = []
    with signals_raise(), pytest.raises(what):
        with children_ignore_sigint():
            os.kill(os.getpid(), number)
            taken()
            steps.append("begun")
        steps.append("went on")
    assert steps == ["begun"]


def test_handlers_and_mask_are_as_they_were():
    def look():
        return handlers(), signal.pthread_sigmask(signal.SIG_BLOCK, [])

    before = look()
    with children_ignore_sigint():
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert look() == before


@pytest.mark.parametrize(("number", "what"), SIGNALS)
@pytest.mark.parametrize("name", ["mkdir", "unlink", "rmdir"])
def test_a_signal_while_a_temporary_folder_is_made_or_removed_leaves_nothing_of_it(
    name, number, what, monkeypatch, tmp_path
):
    call, calls = getattr(os, name), []

    def interrupted(*arguments, **options):
        calls.append(arguments)
        if name != "mkdir":
            signal.raise_signal(number)
        call(*arguments, **options)
        if name == "mkdir":
            signal.raise_signal(number)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, name, interrupted)
    with signals_raise(), pytest.raises(what), temporary_folder() as folder:
        (folder / "file").touch()
    monkeypatch.undo()
    assert calls and list(tmp_path.iterdir()) == []


def test_a_temporary_folder_is_there_until_its_end(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_folder() as folder:
        assert list(tmp_path.iterdir()) == [folder] and list(folder.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "what"), SIGNALS)
@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_signal_on_the_way_into_the_closing_or_out_of_it_leaves_nothing_open(call, number, what, monkeypatch):
    """Two handlers are set before it, and the same two after it."""
    set_handler, left, closed = signal.signal, [call], []

    def interrupted(*arguments):
        before = set_handler(*arguments)
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(number)
        return before

    ends = contextlib.ExitStack()
    for name in ("first", "second"):
        ends.callback(closed.append, name)
    with signals_raise():
        before = handlers()
        with pytest.raises(what), monkeypatch.context() as patch:
            patch.setattr(signal, "signal", interrupted)
            close_undisturbed(ends)
        assert (closed, handlers()) == (["second", "first"], before)


@pytest.mark.parametrize(("number", "what"), SIGNALS)
def test_an_error_that_compiled_code_made_of_a_signal_is_the_signals(number, what):
    with pytest.raises(what) as caught, signals_raise():
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            raise TypeError("an array was expected") from None
    assert type(caught.value) is what and isinstance(caught.value.__cause__, TypeError)


def test_an_error_without_a_signal_stays_what_it_is():
    with pytest.raises(TypeError, match="an array"), signals_raise():
        raise TypeError("an array was expected")


def test_a_signal_that_is_ignored_stays_so():
    """A shell's background job: Ctrl-C is meant for others."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals_raise():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


AGAIN_S = 0.01


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(process_signals, "_AGAIN_S", AGAIN_S)


def lose(number):
    """What compiled code does with an exception that comes at a bad moment."""
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(number)


def work(seconds=20 * AGAIN_S):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(AGAIN_S / 10)


@pytest.mark.parametrize(("number", "what"), SIGNALS)
def test_a_signal_that_compiled_code_drops_is_raised_again(number, what, soon):
    alarm = signal.getsignal(signal.SIGALRM)
    with pytest.raises(KeyboardInterrupt) as caught, signals_raise():
        lose(number)
        work(60.0)
    assert type(caught.value) is what
    assert signal.getsignal(signal.SIGALRM) is alarm and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


class Dying:
    def __init__(self, last):
        self.last = last

    def __del__(self):
        self.last()


@pytest.mark.parametrize(("number", "what"), SIGNALS)
def test_of_one_that_comes_where_nobody_can_catch_it_nothing_is_printed(number, what, soon, monkeypatch):
    """In a `__del__` or, as importlib has it, a weakref's callback: Python prints what is raised there, and goes on."""
    printed = []

    def hook(unraisable):
        printed.append(unraisable.exc_type)

    monkeypatch.setattr(sys, "unraisablehook", hook)
    with pytest.raises(KeyboardInterrupt) as caught, signals_raise():
        Dying(lambda: signal.raise_signal(number))
        Dying(lambda: 1 // 0)
        work(60.0)
    assert type(caught.value) is what
    assert printed == [ZeroDivisionError] and sys.unraisablehook is hook


def test_one_that_is_dropped_again_and_again_comes_again_and_again(soon):
    with pytest.raises(Terminated), signals_raise():
        lose(signal.SIGTERM)
        for _ in range(3):
            with contextlib.suppress(Terminated):
                work(60.0)
                pytest.fail("went on")
        work(60.0)


@pytest.mark.parametrize("ending", ["except", "finally", "with", "an error made of it"])
def test_who_cleans_up_behind_a_signal_is_left_alone(ending, soon):
    steps = []

    @contextlib.contextmanager
    def cleaned():
        try:
            yield
        finally:
            work()
            steps.append("cleaned")

    def end():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Terminated:
            if ending == "an error made of it":
                raise TypeError("an array was expected") from None
            if ending == "except":
                work()
                steps.append("cleaned")
            raise
        finally:
            if ending in ("finally", "an error made of it"):
                work()
                steps.append("cleaned")

    with pytest.raises(Terminated), signals_raise(), cleaned() if ending == "with" else contextlib.nullcontext():
        end()
    assert steps == ["cleaned"]


def test_who_ends_in_good_order_says_so_and_is_left_alone(soon):
    with signals_raise():
        lose(signal.SIGTERM)
        assert signals_heard() == [signal.SIGTERM]
        work()


def test_a_block_that_ends_at_a_signal_tells_it_and_goes_on(soon):
    steps = []
    with signals_raise():
        with until_signal(lambda: steps.append("closed")):
            signal.raise_signal(signal.SIGTERM)
            steps.append("went on")
        work()
    assert steps == ["closed"]


def test_one_that_was_raised_again_counts_once(soon):
    with signals_raise():
        lose(signal.SIGTERM)
        for _ in range(2):
            with contextlib.suppress(Terminated):
                work(60.0)
        assert signals_heard() == [signal.SIGTERM]


def test_one_that_was_dropped_is_put_off_as_well(soon):
    steps = []
    with pytest.raises(Terminated), signals_raise():
        lose(signal.SIGTERM)
        with signals_put_off():
            work()
            steps.append("whole")
    assert steps == ["whole"]


def test_a_robots_loop_that_begins_after_a_dropped_signal_ends_in_its_own_way(soon):
    before = handlers()
    with signals_raise():
        lose(signal.SIGTERM)
        stop = Stop()
        work()
        assert (stop.requested, stop.reason) == (True, "SIGTERM")
    assert handlers() == before


def test_without_a_block_nothing_was_heard():
    assert signals_heard() == []
