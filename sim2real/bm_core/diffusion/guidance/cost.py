"""What a cost is, and sums of them as the sampler wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bm_core.diffusion.guidance.arrays import library
from bm_core.diffusion.guidance.plan_view import PlanView
from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.state import StateRepresentation


class Cost(Protocol):
    """A new cost is one class with this method; weights, limits and sums are `WeightedCosts`' business."""

    def evaluate(self, plan: PlanView) -> tuple[Any, PlanView]:
        """Value of each token, (B, H), and its sum's gradient, filled into `plan.zeros()`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Weighted:
    """One cost in a sum."""

    cost: Cost
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class WeightedCosts:
    """The sum of costs on a model's states."""

    costs: Sequence[Weighted]
    layout: TokenLayout
    representation: StateRepresentation = StateRepresentation.BODY_POS
    coupling: float = 0.0
    """How much a pull on the root's place is also one on the velocities that lead there; 1: as the chain rule says.

    A model keeps places and velocities apart: pulled places alone are places that no velocity reaches.
    """

    def value(self, states: Any) -> Any:
        """(B,) of plans (B, N, D) in SI units."""
        plan = self._view(states)
        return sum(item.weight * item.cost.evaluate(plan)[0].sum(-1) for item in self.costs)

    def gradient(self, states: Any) -> Any:
        """(B, N, D), zero for the history; for `sampler.Guidance`."""
        answer = library(states).zeros_like(states)
        future = answer[:, self.layout.present :]
        plan = self._view(states)
        for item in self.costs:
            future += item.weight * item.cost.evaluate(plan)[1].states
        if self.coupling != 0.0:
            self._couple(self._view(answer))
        return answer

    def _couple(self, gradient: PlanView) -> None:
        """Place i is the sum of the velocities before it times dt: a velocity feels the pulls on all later places."""
        pulls = gradient.root_pos[..., :2]
        later = pulls.sum(1)[:, None] - library(pulls).cumsum(pulls, 1)
        gradient.root_lin_vel[..., :2] += self.coupling * gradient.token_dt * later

    def _view(self, states: Any) -> PlanView:
        return PlanView(states[:, self.layout.present :], self.representation, self.layout.token_dt)
