"""Processes in groups of their own: kept hold of from their first moment on, and ended with all that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Sequence
from typing import IO

from bm_sim2real.process_signals import signals_put_off

Stream = int | IO[bytes] | None
"""As subprocess.Popen takes them."""


def start_group(
    command: Sequence[str],
    keep: Callable[[subprocess.Popen[bytes]], object],
    *,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
) -> subprocess.Popen[bytes]:
    """Ctrl-C in the terminal does not reach it. `keep` notes it down before a signal can end this process instead."""
    with signals_put_off():
        process = subprocess.Popen(command, start_new_session=True, stdin=stdin, stdout=stdout, stderr=stderr)
        keep(process)
    return process


def kill_groups(processes: Iterable[subprocess.Popen[bytes]], *pids: int) -> None:
    """With SIGKILL: the groups of `processes`, which are waited for, and other processes by number (0: none)."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pid in filter(None, pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
