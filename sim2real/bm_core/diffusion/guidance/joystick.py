"""Joystick: planar velocity and yaw rate; and a speed limit.

Source: BeyondMimic v3 eq. 7, G = 1/2 sum |V_xy - g_v|^2; the papers command turns but print no yaw term, ours is
1/2 (w_z - g_w)^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bm_core.diffusion.guidance.arrays import as_like, library, turned
from bm_core.diffusion.guidance.plan_view import PlanView

_NO_SPEED = 1e-9
"""m/s; keeps 0 / 0 away."""


@dataclass(frozen=True, kw_only=True)
class Velocity:
    """Pulls the root's planar velocity to a command that turns along with the commanded yaw rate."""

    velocity: Any
    """(2,) or (B, 2) m/s, forward and left, in the robot's yaw frame."""
    yaw_rate: Any = 0.0
    """() or (B,) rad/s at which the command's frame turns away from the present's."""
    sway: float = 1.0
    """Weight of each token's deviation from the plan's mean error; 1 is the paper's cost, 0 leaves the gait's sway."""

    def evaluate(self, plan: PlanView) -> tuple[Any, PlanView]:
        gradient = plan.zeros()
        error = plan.root_lin_vel[..., :2] - _turned(self.velocity, self.yaw_rate, plan)
        value, pull = swayed(error, self.sway)
        gradient.root_lin_vel[..., :2] = pull
        return value.sum(-1), gradient


@dataclass(frozen=True, kw_only=True)
class YawRate:
    """Pulls the root's yaw rate to a command."""

    yaw_rate: Any
    """() or (B,) rad/s"""
    sway: float = 1.0
    """As in Velocity."""

    def evaluate(self, plan: PlanView) -> tuple[Any, PlanView]:
        gradient = plan.zeros()
        goal = as_like(self.yaw_rate, plan.states)[..., None, None]
        value, pull = swayed(plan.root_ang_vel[..., 2:] - goal, self.sway)
        gradient.root_ang_vel[..., 2:] = pull
        return value.sum(-1), gradient


@dataclass(frozen=True, kw_only=True)
class SpeedLimit:
    """Pulls back what is faster over ground than a limit: 1/2 max(|V_xy| - limit, 0)^2."""

    limit: float
    """m/s"""

    def evaluate(self, plan: PlanView) -> tuple[Any, PlanView]:
        gradient = plan.zeros()
        velocity = plan.root_lin_vel[..., :2]
        speed = ((velocity * velocity).sum(-1) + _NO_SPEED**2) ** 0.5
        excess = (speed - self.limit).clip(0.0, None)
        gradient.root_lin_vel[..., :2] = (excess / speed)[..., None] * velocity
        return 0.5 * excess * excess, gradient


def _turned(velocity: Any, yaw_rate: Any, plan: PlanView) -> Any:
    """The command at each token, (..., H, 2): the robot's frame there, as commanded, seen from the present."""
    xp = library(plan.states)
    goal = as_like(velocity, plan.states)
    angle = as_like(yaw_rate, plan.states)[..., None] * plan.times
    cos, sin = xp.cos(angle), xp.sin(angle)
    return turned(goal[..., None, :], cos, sin)


def swayed(error: Any, sway: float) -> tuple[Any, Any]:
    """Half the square of errors (B, H, n), the deviation from their mean over H weighted; value and gradient."""
    mean = error.mean(-2)[..., None, :]
    rest = error - mean
    return 0.5 * (mean * mean + sway * rest * rest), mean + sway * rest
