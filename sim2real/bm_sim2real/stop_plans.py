"""Plans of a stop: made at once in lockstep, on a thread in real time, where planning would outlast a period."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from bm_core.reference import Reference


@dataclass
class PlannedStop:
    """A stop that was asked for, perhaps not planned yet."""

    future: Future[Reference]
    attempt: int
    age: int = 0
    """Control steps since it was asked for: the stop begins at that moment."""


def plan_with(plan: Callable[[], Reference], attempt: int, *, in_background: bool) -> PlannedStop:
    """Starts planning; never raises, the future carries whatever went wrong."""
    return PlannedStop(_on_a_thread(plan) if in_background else _at_once(plan), attempt)


def _at_once(plan: Callable[[], Reference]) -> Future[Reference]:
    future: Future[Reference] = Future()
    try:
        future.set_result(plan())
    except Exception as error:  # whatever it is, the future carries it to the one place that handles it
        future.set_exception(error)
    return future


def _on_a_thread(plan: Callable[[], Reference]) -> Future[Reference]:
    future: Future[Reference] = Future()

    def run() -> None:
        done = _at_once(plan)
        error = done.exception()
        if error is None:
            future.set_result(done.result())
        else:
            future.set_exception(error)

    # A daemon: a plan that hangs must not keep the process alive after its loop has damped.
    threading.Thread(target=run, name="stop planner", daemon=True).start()
    return future
