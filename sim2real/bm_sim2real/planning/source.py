"""Where plans come from: a planner that runs in lockstep with a configured latency, or anything else that is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bm_core.diffusion.history import History
from bm_core.diffusion.plan import Plan
from bm_core.diffusion.planner import Planner, Steering


@dataclass(frozen=True, kw_only=True)
class PlanOrder:
    """What a planner is asked for. Picklable if its steering is."""

    history: History
    step: int
    """Control step of the history's present."""
    time: float
    """s on the robot's clock"""
    committed: int
    """Control steps of the last plan that will have run before the answer comes."""
    steering: Steering | None

    def answer(self, planner: Planner) -> Plan:
        """The plan that is asked for."""
        return planner.plan(
            self.history, step=self.step, time_s=self.time, committed=self.committed, steering=self.steering
        )


class PlanSource(Protocol):
    """One order at a time; the answer comes when it comes."""

    latency_steps: int
    """Control steps from order to answer, as expected."""

    @property
    def is_busy(self) -> bool:
        """Whether an order is being worked on."""
        ...

    def reset(self, seed: int) -> None:
        """Forget plans and orders; noise from `seed`."""
        ...

    def order(self, order: PlanOrder) -> None:
        """Ask for a plan; only while not busy."""
        ...

    def poll(self, step: int) -> Plan | None:
        """The answer, once, if it is there by control step `step`."""
        ...

    def close(self) -> None:
        """End it; harmless twice."""
        ...


class LockstepSource:
    """Plans at once and hands the plan over `latency_steps` control steps later: equal on every machine."""

    def __init__(self, planner: Planner, latency_steps: int = 1) -> None:
        self.latency_steps = latency_steps
        self._planner = planner
        self._pending: Plan | None = None
        self.seconds: list[float] = []
        """Wall time of every plan."""

    @property
    def is_busy(self) -> bool:
        return self._pending is not None

    def reset(self, seed: int) -> None:
        self._planner.reset(seed)
        self._pending, self.seconds = None, []

    def order(self, order: PlanOrder) -> None:
        self._pending = order.answer(self._planner)
        self.seconds.append(self._pending.seconds)

    def poll(self, step: int) -> Plan | None:
        plan = self._pending
        if plan is None or step < plan.step + self.latency_steps:
            return None
        self._pending = None
        return plan

    def close(self) -> None:
        self._pending = None
