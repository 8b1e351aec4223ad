"""A robot goes on where nobody reads: a terminal that Ctrl-S has stopped, a pipe that its reader leaves full."""

import fcntl
import io
import os
import pty
import subprocess
import sys
import threading

import pytest

from bm_sim2real import unblocked_output as output
from bm_sim2real.unblocked_output import unblocked_output

RUN = """
from bm_sim2real.commands.run import Run
from bm_sim2real.commands.run_hardware import HardwareRun

def reports(run, clip, report):
    for line in range(3000):
        report(0.0, f"line {line} " + "x" * 100)
    return dict(fault=None, timing_ms={}, effort_clamps={}, hard_stop_clamps={}, slewed_ticks=0,
                dropped_commands=0, refused_commands=0, overruns=0)

HardwareRun.__call__ = reports
raise SystemExit(Run(robot="hardware", network_interface="lo")())
"""


def full_pipe():
    """Both ends; nothing more goes in."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ if hasattr(fcntl, "F_SETPIPE_SZ") else 1031, 4096)
    os.write(write, b"." * 4096)
    return read, write


def stopped_terminal():
    """Its user has pressed Ctrl-S."""
    mine, theirs = pty.openpty()
    os.write(mine, b"\x13")
    return mine, theirs


@pytest.mark.parametrize("stopped", [full_pipe, stopped_terminal])
def test_a_hardware_run_ends_though_its_output_stands_still(stopped):
    read, write = stopped()
    try:
        run = subprocess.run([sys.executable, "-c", RUN], stdout=write, stderr=write, timeout=120.0, check=False)
        assert run.returncode == 0
    finally:
        os.close(read)
        os.close(write)


def test_a_reader_that_is_slow_gets_every_line_in_order():
    read, write = full_pipe()
    run = subprocess.Popen([sys.executable, "-c", RUN.replace("3000", "900")], stdout=write)
    os.close(write)
    with os.fdopen(read) as lines:
        found = lines.read().lstrip(".").splitlines()
    assert run.wait(120.0) == 0
    assert [line.split()[3] for line in found[:900]] == [str(number) for number in range(900)]
    assert found[900].startswith("guard ")


@pytest.fixture
def patience(monkeypatch):
    monkeypatch.setattr(output, "PATIENCE_S", 0.2)


def test_what_came_while_nobody_read_is_dropped_and_counted(patience, monkeypatch):
    read, write = full_pipe()
    monkeypatch.setattr(sys, "stdout", os.fdopen(write, "w"))
    taken = []

    def drain():
        while data := os.read(read, 65536):
            taken.append(data)

    reader = threading.Thread(target=drain)
    with unblocked_output():
        for line in range(output.MOST_PIECES + 500):
            sys.stdout.write(f"{line}\n")
        reader.start()
    sys.stdout.close()
    reader.join()
    os.close(read)
    *lines, last = b"".join(taken).decode().lstrip(".").splitlines()
    assert lines[: output.MOST_PIECES] == [str(number) for number in range(output.MOST_PIECES)]
    assert len(lines) in (output.MOST_PIECES, output.MOST_PIECES + 1)  # the thread may hold one in its hands
    assert last == f"({output.MOST_PIECES + 500 - len(lines)} lines were lost here: nobody read them)"


def test_a_block_whose_stdout_fails_ends_with_its_error_and_the_rest_on_stderr(monkeypatch):
    stderr = io.StringIO()
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        monkeypatch.setattr(sys, "stderr", stderr)
        with pytest.raises(OSError, match="No space left"), unblocked_output():
            print("one")
            print("two")
    assert stderr.getvalue() == "one\ntwo\n"


def test_what_is_raised_inside_hides_no_lost_output(monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(KeyError), unblocked_output():
            print("one")
            raise KeyError


def test_streams_that_are_no_files_or_not_there_are_served(monkeypatch):
    stdout = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(sys, "stderr", None)
    with unblocked_output():
        print("Stra\N{LATIN SMALL LETTER SHARP S}e")
    assert stdout.getvalue() == "Stra\N{LATIN SMALL LETTER SHARP S}e\n" and sys.stdout is stdout
