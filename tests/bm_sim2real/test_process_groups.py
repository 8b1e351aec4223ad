"""No process is lost to a signal, and none that it started outlives it."""

import os
import signal
import subprocess
import time

import pytest
from processes import is_alive

from bm_sim2real.process_groups import kill_groups, start_group
from bm_sim2real.process_signals import Terminated, signals_raise

SLEEP = ["sh", "-c", "sleep 60 & echo $!; wait"]


def test_a_group_ends_with_all_that_it_has_started():
    kept = []
    process = start_group(SLEEP, kept.append, stdout=subprocess.PIPE)
    child = int(process.stdout.readline())
    assert kept == [process] and is_alive(child) and os.getpgid(child) == process.pid != os.getpgid(0)
    kill_groups(kept)
    assert process.returncode == -signal.SIGKILL
    end = time.monotonic() + 30.0
    while is_alive(child) and time.monotonic() < end:
        time.sleep(0.01)
    assert not is_alive(child)
    kill_groups(kept)  # what has ended long ago is no error
    process.stdout.close()


def test_a_process_that_a_signal_comes_upon_is_kept_hold_of(monkeypatch):
    begin, kept = subprocess.Popen, []

    def interrupted(*arguments, **options):
        process = begin(*arguments, **options)
        signal.raise_signal(signal.SIGTERM)
        return process

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with pytest.raises(Terminated), signals_raise():
        start_group(["sleep", "60"], kept.append)
    assert len(kept) == 1 and kept[0].poll() is None
    kill_groups(kept)
    assert kept[0].returncode == -signal.SIGKILL


def test_other_processes_are_ended_by_number():
    process = subprocess.Popen(["sleep", "60"])
    kill_groups([], 0, process.pid)
    assert process.wait() == -signal.SIGKILL
    kill_groups([], process.pid)
