"""A robot that is held stands on where nobody can read any more: closed pipe, full disk, hung-up terminal."""

import contextlib
import io
import os
import pty
import sys

import pytest
import unitree_wire  # noqa: F401  the DDS extra, and a tag of our own
from test_bridge_session import Obliging, Steps, stage, still_clip  # noqa: F401

from bm_sim2real.bridge.operator import OperatorConsole, Spoken
from bm_sim2real.bridge.session import BridgedSession
from bm_sim2real.commands.progress import wide_console
from bm_sim2real.session import SessionConfig
from bm_sim2real.terminal_keys import TerminalKeys
from bm_sim2real.unblocked_output import unblocked_output


def closed_pipe():
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "w")


def full_disk():
    return open("/dev/full", "w")


def hung_up_terminal():
    mine, theirs = pty.openpty()
    os.close(mine)
    return os.fdopen(theirs, "w")


@pytest.fixture(params=[closed_pipe, full_disk, hung_up_terminal])
def lost(request, monkeypatch):
    """A stream that takes nothing."""
    stream = request.param()
    yield stream
    monkeypatch.undo()
    with contextlib.suppress(OSError):
        stream.close()


class Quiet:
    """A client of which nothing is asked."""

    def own_heartbeat(self): ...

    def estop(self): ...


@pytest.fixture
def console():
    with open(os.devnull) as nowhere, TerminalKeys(nowhere.fileno()) as keys:
        console = OperatorConsole(Quiet(), keys)
        console.close()
        yield console


def test_a_question_that_stdout_does_not_take_goes_to_stderr(lost, console, monkeypatch):
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stdout", lost)
    monkeypatch.setattr(sys, "stderr", stderr)
    console._answered.set()
    with pytest.raises(OSError), unblocked_output():
        console.ask("Arm?")
    assert stderr.getvalue() == "Arm? [Enter; space = EMERGENCY STOP]\n" and not console.has_answered()


def test_a_question_that_nobody_can_read_is_still_asked(lost, console, monkeypatch):
    monkeypatch.setattr(sys, "stdout", lost)
    monkeypatch.setattr(sys, "stderr", lost)
    for _ in range(2):
        console._answered.set()
        console.ask("Arm?")
        assert not console.has_answered()


def test_a_run_whose_output_is_lost_ends_in_good_order(stage, balancer, lost, console, monkeypatch):  # noqa: F811
    """Lost from the first line on; what the robot does is what it does with a reader."""
    monkeypatch.setattr(sys, "stdout", lost)
    printer = wide_console()

    class Asking(Obliging):
        def ask(self, text):
            console.ask(text)
            super().ask(text)

    def report(time, text):
        printer.print(f"{time:7.2f} s  {text}", markup=False)

    steps, operator = Steps(stage), Asking(150)
    config = SessionConfig(stand_s=1.0, exit_damping_s=0.2)
    BridgedSession(stage.loop, operator, config, report).run(still_clip(balancer.stand))
    assert stage.loop.fault is None and operator.asked[-1].startswith("Pull the rope")
    assert steps.standing_at_the_end() > 150 and stage.robot.body.pelvis_height() > 0.6


def test_a_way_that_is_lost_is_not_tried_again():
    tried = []

    def broken(text):
        tried.append(text)
        raise SystemExit(1)

    say = Spoken(broken)
    say("one")
    say("two")
    assert tried == ["one"]


def test_one_line_that_cannot_be_written_does_not_silence_the_next():
    heard = []

    def ascii_only(text):
        text.encode("ascii")
        heard.append(text)

    say = Spoken(ascii_only)
    say("\N{BALLET SHOES}")
    say("ballet")
    assert heard == ["ballet"]


def test_ctrl_c_is_no_lost_output():
    def interrupted(text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Spoken(interrupted)("text")
