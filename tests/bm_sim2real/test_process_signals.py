"""Ctrl-C and SIGTERM while processes are started: put off, not lost."""

import os
import signal
import threading

import pytest

from bm_sim2real.process_signals import Terminated, children_ignore_sigint, sigterm_raises


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


@pytest.mark.parametrize(("number", "what"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_comes_when_the_processes_have_begun(number, what, thread, taken):
    steps = []
    with sigterm_raises(), pytest.raises(what):
        with children_ignore_sigint():
            os.kill(os.getpid(), number)
            taken()
            steps.append("begun")
        steps.append("went on")
    assert steps == ["begun"]


def test_handlers_and_mask_are_as_they_were():
    def look():
        return (
            signal.getsignal(signal.SIGINT),
            signal.getsignal(signal.SIGTERM),
            signal.pthread_sigmask(signal.SIG_BLOCK, []),
        )

    before = look()
    with children_ignore_sigint():
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert look() == before
