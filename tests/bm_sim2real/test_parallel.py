"""Tasks on several processes: a process that is told to end does, whatever its task makes of the signal."""

import os
import signal
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from bm_sim2real.parallel import run_parallel


def swallow(folder):
    """Compiled code that is interrupted may raise an error of its own; the next task must not begin."""
    Path(folder, f"{os.getpid()}-{len(os.listdir(folder))}").touch()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt:
        raise TypeError("an array was expected") from None


def test_a_signal_that_a_task_swallows_still_ends_its_process(tmp_path):
    with pytest.raises(BrokenProcessPool):
        run_parallel(swallow, [tmp_path] * 20, jobs=2)
    pids = [path.name.partition("-")[0] for path in tmp_path.iterdir()]
    assert len(pids) == len(set(pids)) <= 2


def double(number):
    return 2 * number


def test_results_come_in_task_order():
    assert run_parallel(double, range(5), jobs=2, cost=lambda number: number) == [0, 2, 4, 6, 8]
