"""Height, posture and heading of the robot along the plan, and the smoothness of its path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bm_core.diffusion.guidance.arrays import as_like, library
from bm_core.diffusion.guidance.plan_view import PlanView


@dataclass(frozen=True, kw_only=True)
class Height:
    """Pulls the root's height: 1/2 (z - height)^2."""

    height: Any
    """() or (B,) m above the floor"""

    def evaluate(self, plan: PlanView) -> tuple[Any, PlanView]:
        gradient = plan.zeros()
        error = plan.root_pos[..., 2] - as_like(self.height, plan.states)[..., None]
        gradient.root_pos[..., 2] = error
        return 0.5 * error * error, gradient


@dataclass(frozen=True, kw_only=True)
class Heading:
    """Pulls the root's yaw: 1 - cos(yaw - heading), so the shorter way round and no more pull from behind."""

    heading: Any
    """() or (B,) rad, relative to the present yaw"""

    def evaluate(self, plan: PlanView) -> tuple[Any, PlanView]:
        xp, gradient = library(plan.states), plan.zeros()
        goal = as_like(self.heading, plan.states)[..., None]
        cos, sin = plan.heading()
        ahead, aside = xp.cos(goal), xp.sin(goal)
        plan.pull_heading(gradient, sin * ahead - cos * aside)
        return 1.0 - (cos * ahead + sin * aside), gradient


@dataclass(frozen=True, kw_only=True)
class Posture:
    """Pulls bodies to places about the root: 1/2 sum_b w_b |p_b - p_b*|^2."""

    body_pos: Any
    """(14, 3) m less the root's, in the robot's yaw frame."""
    weights: Any
    """(14,); 0 leaves a body alone"""

    def evaluate(self, plan: PlanView) -> tuple[Any, PlanView]:
        gradient = plan.zeros()
        weights = as_like(self.weights, plan.states)[:, None]
        error = plan.body_pos - as_like(self.body_pos, plan.states)
        gradient.body_pos[...] = weights * error
        return 0.5 * (weights * error * error).sum(-1).sum(-1), gradient


@dataclass(frozen=True, kw_only=True)
class Smoothness:
    """Damps changes of the root's velocity and yaw rate: 1/2 |(x_i+1 - x_i) / dt|^2, the present included."""

    def evaluate(self, plan: PlanView) -> tuple[Any, PlanView]:
        xp, gradient = library(plan.states), plan.zeros()
        value, dt = 0.0, plan.token_dt
        for rates, pulled in (
            (plan.root_lin_vel, gradient.root_lin_vel),
            (plan.root_ang_vel[..., 2:], gradient.root_ang_vel[..., 2:]),
        ):
            change = (rates[:, 1:] - rates[:, :-1]) / dt
            pulled[:, 1:] += change / dt
            pulled[:, :-1] -= change / dt
            value = value + 0.5 * (change * change).sum(-1)
        return xp.concatenate([xp.zeros_like(value[:, :1]), value], -1), gradient
