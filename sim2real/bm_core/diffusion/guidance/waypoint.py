"""Waypoint: walk to a place while it is far, stop while it is near.

Source: BeyondMimic eq. 8, G = sum (1 - e^(-2 d_i)) |P_xy,i - g|^2 + e^(-2 d_i) |V_xy,i|^2 with the distance d of each
step (v4), a constant to the gradient (v3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bm_core.diffusion.guidance.arrays import as_like, detached, library
from bm_core.diffusion.guidance.plan_view import PlanView

_NO_DISTANCE = 1e-9
"""m; keeps 0 / 0 away."""


@dataclass(frozen=True, kw_only=True)
class Waypoint:
    """Pulls the root to a place, and its speed to 0 on arrival."""

    goal: Any
    """(2,) or (B, 2) m, in the present yaw frame."""
    decay: float = 2.0
    """1/m; the paper's 2."""
    cap: float | None = None
    """m beyond which the pull of the distance grows no more (Huber); None: the paper's square at any distance."""

    def evaluate(self, plan: PlanView) -> tuple[Any, PlanView]:
        xp, gradient = library(plan.states), plan.zeros()
        offset = plan.root_pos[..., :2] - as_like(self.goal, plan.states)[..., None, :]
        squared = (offset * offset).sum(-1)
        distance = (squared + _NO_DISTANCE**2) ** 0.5
        near = xp.exp(-self.decay * detached(distance))
        velocity = plan.root_lin_vel[..., :2]
        cost, factor = squared, 1.0
        if self.cap is not None:
            cost = xp.where(distance <= self.cap, squared, self.cap * (2.0 * distance - self.cap))
            factor = (self.cap / distance).clip(None, 1.0)[..., None]
        gradient.root_pos[..., :2] = 2.0 * (1.0 - near)[..., None] * offset * factor
        gradient.root_lin_vel[..., :2] = 2.0 * near[..., None] * velocity
        return (1.0 - near) * cost + near * (velocity * velocity).sum(-1), gradient
