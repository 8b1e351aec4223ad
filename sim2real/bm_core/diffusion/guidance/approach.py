"""Approach: the waypoint as velocities: straight to the place, no faster than the gait, slowing down to stop on it.

Eq. 8 (waypoint.Waypoint) leaves open how fast to go and how to stop, and pulls hardest where the robot is farthest.
Here every token is pulled to the velocity that a robot at its place should have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bm_core.diffusion.guidance.arrays import as_like, detached, library, turned
from bm_core.diffusion.guidance.joystick import swayed
from bm_core.diffusion.guidance.plan_view import PlanView

_NO_DISTANCE = 1e-6
"""m; keeps 0 / 0 away."""


@dataclass(frozen=True, kw_only=True)
class Approach:
    """1/2 |V_xy - v*|^2 with v*(P_xy), a constant to the gradient."""

    goal: Any
    """(2,) or (B, 2) m, in the present yaw frame."""
    forward: float = 0.6
    """m/s at most, ahead"""
    backward: float = 0.3
    """m/s at most"""
    sideways: float = 0.25
    """m/s at most; in between the three limits are an ellipse"""
    braking: float = 0.4
    """m/s^2 at which it slows down before the place"""
    speeding: float = 1.5
    """m/s^2 at which it may become faster than the robot is"""
    within: float = 0.1
    """m from the place within which it stands"""
    sway: float = 1.0
    """As in joystick.Velocity."""

    def evaluate(self, plan: PlanView) -> tuple[Any, PlanView]:
        gradient = plan.zeros()
        value, pull = swayed(plan.root_lin_vel[..., :2] - detached(self._wanted(plan)), self.sway)
        gradient.root_lin_vel[..., :2] = pull
        return value.sum(-1), gradient

    def _wanted(self, plan: PlanView) -> Any:
        """v* of every token, (B, H, 2) m/s."""
        offset = as_like(self.goal, plan.states)[..., None, :] - plan.root_pos[..., :2]
        distance = ((offset * offset).sum(-1) + _NO_DISTANCE**2) ** 0.5
        direction = offset / distance[..., None]
        braking = (2.0 * self.braking * (distance - self.within).clip(0.0, None)) ** 0.5
        start = (plan.root_lin_vel[:, :1, :2] ** 2).sum(-1) ** 0.5
        speed = library(plan.states).minimum(braking, self._limit(direction, plan))
        speed = library(plan.states).minimum(speed, start + self.speeding * (plan.times + plan.token_dt))
        return speed[..., None] * direction

    def _limit(self, direction: Any, plan: PlanView) -> Any:
        """The fastest that the gait goes in a direction (B, H, 2) of the present frame, (B, H) m/s."""
        xp = library(plan.states)
        cos, sin = plan.heading()
        ahead = turned(direction, cos, -sin)
        length = xp.where(ahead[..., 0] > 0.0, ahead[..., 0] / self.forward, ahead[..., 0] / self.backward)
        return (length**2 + (ahead[..., 1] / self.sideways) ** 2 + _NO_DISTANCE**2) ** -0.5
