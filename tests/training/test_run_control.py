"""Signals that a training run gets: the first one asks it to save and end, and what was there before is put back."""

import io
import os
import signal
import sys

import pytest

from bm_core.errors import ConfigError
from bm_training.run_control import deadline_of, report, stopped_by_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_only_asks(number, capfd):
    asked = []
    before = signal.getsignal(number)
    with stopped_by_signals(lambda: asked.append(True)):
        os.kill(os.getpid(), number)
        signal.sigtimedwait([], 0)  # lets the handler run
    assert asked == [True]
    assert signal.getsignal(number) is before
    assert capfd.readouterr().err == f"{number.name}: saving after this iteration\n"


def test_the_second_ctrl_c_interrupts_at_once():
    with pytest.raises(KeyboardInterrupt), stopped_by_signals(lambda: None):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait([], 0)


class Terminal(io.RawIOBase):
    """Ctrl-C is pressed while the first line is being written on it."""

    def __init__(self):
        self.lines = []

    def writable(self):
        return True

    def write(self, data):
        if not self.lines:
            signal.raise_signal(signal.SIGINT)
        self.lines.append(bytes(data))
        return len(data)


def test_a_signal_that_comes_upon_a_line_of_progress_only_asks(monkeypatch, capfd):
    """Python refuses to print while it prints."""
    terminal, asked = Terminal(), []
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BufferedWriter(terminal)))
    with stopped_by_signals(lambda: asked.append(True)):
        report("iteration 1")
    assert asked == [True] and terminal.lines == [b"iteration 1\n"]
    monkeypatch.undo()
    assert capfd.readouterr().err == "SIGINT: saving after this iteration\n"


def test_minutes_count_from_the_start_and_none_is_no_limit():
    assert deadline_of(100.0, 1.5) == 190.0
    assert deadline_of(100.0, None) is None
    with pytest.raises(ConfigError, match="--max-minutes nan: a number expected"):
        deadline_of(100.0, float("nan"))
