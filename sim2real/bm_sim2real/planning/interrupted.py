"""A planner that dies or slows down on time: what the loss of plans is tested with."""

from __future__ import annotations

from bm_core.diffusion.plan import Plan
from bm_sim2real.planning.source import PlanOrder, PlanSource


class InterruptedSource:
    """Another source, until control step `at`: from then on its answers come `late_steps` later, or never."""

    def __init__(self, source: PlanSource, at: int, late_steps: int | None = None) -> None:
        """`at` counts from the first order. `late_steps` None: killed, no answer comes any more."""
        self._source, self._at, self._late = source, at, late_steps
        self._first: int | None = None
        self._held: tuple[int, Plan] | None = None
        self.latency_steps = source.latency_steps

    @property
    def is_busy(self) -> bool:
        return self._source.is_busy or self._held is not None

    def reset(self, seed: int) -> None:
        self._source.reset(seed)
        self._first, self._held = None, None

    def order(self, order: PlanOrder) -> None:
        self._first = order.step if self._first is None else self._first
        self._source.order(order)

    def poll(self, step: int) -> Plan | None:
        if self._held is not None:
            due, plan = self._held
            if step < due:
                return None
            self._held = None
            return plan
        plan = self._source.poll(step)
        if plan is None or self._first is None or step < self._first + self._at:
            return plan
        # A dead planner holds its order for ever, as its client sees it.
        self._held = (step + self._late if self._late is not None else 10**12), plan
        return None

    def close(self) -> None:
        self._source.close()
