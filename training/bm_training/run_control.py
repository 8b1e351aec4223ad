"""What every training command needs around its loop: signals that save first, provenance, a place for progress."""

from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bm_core.errors import ConfigError

_REPOSITORY = Path(__file__).resolve().parents[2]


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and the first Ctrl-C save and end; the second Ctrl-C interrupts at once."""

    def handle(number: int, _frame: Any) -> None:
        stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Not `report`: where the signal comes upon a line that is being printed, Python refuses a second one.
        with suppress(OSError):
            os.write(2, f"{signal.Signals(number).name}: saving after this iteration\n".encode())

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def deadline_of(started: float, max_minutes: float | None) -> float | None:
    """time.monotonic() at which --max-minutes are over; None without a limit. ConfigError for what is no number."""
    if max_minutes is None:
        return None
    if math.isnan(max_minutes):
        raise ConfigError("--max-minutes nan: a number expected")
    return started + 60.0 * max_minutes


def repository_commit() -> str:
    """Of this repository; empty text outside a checkout."""
    try:
        command = ["git", "-C", str(_REPOSITORY), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def report(line: str) -> None:
    """Progress goes to stderr: stdout belongs to results."""
    print(line, file=sys.stderr, flush=True)


def run_as_module(command: type[Any], prog: str) -> int:
    """`python -m` for a command class, a dataclass to call; PYTHONPATH=sim2real:training:export where not installed."""
    import tyro

    from bm_sim2real.cli import guarded
    from bm_sim2real.output_places import check_output_places

    def run() -> int:
        instance = tyro.cli(command, prog=prog)
        check_output_places(instance)
        return instance()

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    return guarded(run)
