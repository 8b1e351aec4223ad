"""The planner as a process of its own: a plan that takes too long, or a planner that dies, never stops the policy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from bm_core.diffusion.plan import Plan
from bm_core.diffusion.planner import Planner
from bm_core.errors import BmError, RobotError
from bm_sim2real.planning.source import PlanOrder
from bm_sim2real.process_signals import children_ignore_sigint

_READY, _FAILED, _PLAN, _ORDER, _RESET, _STOP = "ready", "failed", "plan", "order", "reset", "stop"

MakePlanner = Callable[[], Planner]
"""Called in the new process; picklable, such as a functools.partial of a function."""


class ProcessSource:
    """PlanSource whose planner is another process. Plans come when they are done; `poll` never waits."""

    def __init__(self, make: MakePlanner, latency_steps: int, *, ready_s: float = 60.0) -> None:
        """Starts the process and waits until it has made its planner. RobotError with the reason if that fails."""
        self.latency_steps = latency_steps
        self.seconds: list[float] = []
        """Wall time of every plan."""
        self.reason = ""
        """Why no plan will come any more; empty while the planner lives."""
        self._is_busy, self._epoch = False, 0
        context = get_context("spawn")  # fork would copy the locks and threads of onnxruntime
        self._link, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make), name="planner", daemon=True)
        # Ctrl-C is the policy's to answer: the robot still has to brake.
        with children_ignore_sigint(by_multiprocessing=True):
            self._process.start()
        theirs.close()
        kind, value = self._receive(ready_s) or (_FAILED, self.reason or f"not ready within {ready_s} s")
        if kind != _READY:
            self.close()
            raise RobotError(f"planner process: {value}")

    @property
    def pid(self) -> int:
        """Of the planner process."""
        return self._process.pid or 0

    @property
    def is_busy(self) -> bool:
        return self._is_busy

    def reset(self, seed: int) -> None:
        self.seconds, self._is_busy = [], False
        self._epoch += 1  # a plan that is on its way belongs to the time before
        self._send((_RESET, seed))

    def order(self, order: PlanOrder) -> None:
        self._is_busy = self._send((_ORDER, (self._epoch, order)))

    def poll(self, step: int) -> Plan | None:
        message = self._receive(0.0)
        if message is None:
            return None
        kind, value = message
        if kind == _FAILED:
            self._lose(value)
            return None
        epoch, plan = value
        if epoch != self._epoch:
            return None
        self._is_busy = False
        self.seconds.append(plan.seconds)
        return plan

    def close(self) -> None:
        self._send((_STOP, None))
        self._process.join(timeout=1.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._lose("closed")
        self._link.close()

    def _send(self, message: tuple[str, Any]) -> bool:
        """Never blocks: one order of some kilobytes is on its way at most."""
        if self.reason:
            return False
        try:
            self._link.send(message)
        except OSError as error:
            self._lose(f"gone ({type(error).__name__})")
        return not self.reason

    def _receive(self, seconds: float) -> tuple[str, Any] | None:
        if self.reason:
            return None
        try:
            return self._link.recv() if self._link.poll(seconds) else None
        except (OSError, EOFError) as error:
            self._lose(f"gone ({type(error).__name__})")
            return None

    def _lose(self, reason: str) -> None:
        self.reason, self._is_busy = self.reason or reason, False


def _serve(link: Connection, make: MakePlanner) -> None:
    """The planner process: one order after the other until it is told to stop or nobody is there any more."""
    with contextlib.suppress(OSError, EOFError):
        try:
            planner = make()
            link.send((_READY, None))
            while (message := link.recv())[0] != _STOP:
                if message[0] == _RESET:
                    planner.reset(message[1])
                else:
                    epoch, order = message[1]
                    link.send((_PLAN, (epoch, order.answer(planner))))
        except BmError as error:
            link.send((_FAILED, str(error)))
