"""Signals that a training run gets: the first one asks it to save and end, and what was there before is put back."""

import os
import signal

import pytest

from bm_training.run_control import stopped_by_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_only_asks(number, capsys):
    asked = []
    before = signal.getsignal(number)
    with stopped_by_signals(lambda: asked.append(True)):
        os.kill(os.getpid(), number)
        signal.sigtimedwait([], 0)  # lets the handler run
    assert asked == [True]
    assert signal.getsignal(number) is before
    assert f"{number.name}: saving" in capsys.readouterr().err


def test_the_second_ctrl_c_interrupts_at_once():
    with pytest.raises(KeyboardInterrupt), stopped_by_signals(lambda: None):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait([], 0)
