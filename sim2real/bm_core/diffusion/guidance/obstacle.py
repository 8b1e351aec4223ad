"""Obstacles: every body of the robot, as a sphere, keeps clear of what is in the way.

Source: BeyondMimic eq. 9, G = sum_i sum_b B(SDF(P_b,i) - r_b, delta).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bm_core.diffusion.guidance.arrays import as_like, detached, library, turned
from bm_core.diffusion.guidance.barrier import finite_barrier, relaxed_barrier
from bm_core.diffusion.guidance.plan_view import PlanView
from bm_core.diffusion.guidance.shapes import Shape
from bm_core.diffusion.trajectory import PresentFrame
from bm_core.g1 import TARGET_BODIES

_RADIUS = {
    "pelvis": 0.12,
    "torso": 0.12,
    "hip": 0.09,
    "knee": 0.08,
    "ankle": 0.13,  # up to the toes
    "shoulder": 0.08,
    "elbow": 0.08,
    "wrist": 0.12,  # most of the hand
}
BODY_RADII = tuple(
    next(radius for part, radius in _RADIUS.items() if part in name.split("_")) for name in TARGET_BODIES
)
"""m, spheres about the 14 target bodies; from the collision shapes of bm_core/assets/g1.xml seen from above."""


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """A shape, still or moving at a constant velocity."""

    shape: Shape
    """Where it is at the present."""
    velocity: tuple[float, float] = (0.0, 0.0)
    """m/s, world frame"""

    def distance(self, points: Any, times: Any) -> tuple[Any, Any]:
        """Points (..., 3) m in the world and times (...) s since the present -> distances (...), gradients (..., 3)."""
        if self.velocity == (0.0, 0.0):
            return self.shape.distance(points)
        shift = times[..., None] * as_like([*self.velocity, 0.0], points)
        return self.shape.distance(points - shift)


def nearest(obstacles: Sequence[Obstacle], points: Any, times: Any) -> tuple[Any, Any]:
    """Distance (...) to the nearest obstacle and its gradient (..., 3); points (..., 3) m in the world, times (...)."""
    xp = library(points)
    distances, gradients = zip(*(obstacle.distance(points, times) for obstacle in obstacles), strict=True)
    stacked = xp.stack(distances)
    least = xp.amin(stacked, 0)
    share = as_like(stacked == least, points)
    share = share / share.sum(0)
    return least, (share[..., None] * xp.stack(gradients)).sum(0)


@dataclass(frozen=True, kw_only=True)
class Obstacles:
    """Pushes bodies away from the nearest obstacle."""

    obstacles: Sequence[Obstacle]
    """In the world; at least one."""
    frame: PresentFrame
    """The present, in the world; one, or one a plan."""
    radii: Sequence[float] = BODY_RADII
    """(14,) m"""
    delta: float = 0.1
    """m of clearance below which the barrier is a parabola."""
    reach: float | None = None
    """m of clearance beyond which nothing is pushed; None: the paper's, without end."""
    whole_body: bool = True
    """Bodies also move and turn about the root; else only the root is pushed."""

    def evaluate(self, plan: PlanView) -> tuple[Any, PlanView]:
        gradient = plan.zeros()
        local, (cos, sin) = plan.body_pos, plan.heading()
        if not self.whole_body:
            local, cos, sin = detached(local), detached(cos), detached(sin)
        arm = turned(local, cos[..., None], sin[..., None])
        value, force = self._push(plan.root_pos[..., None, :] + arm, plan)
        gradient.root_pos[...] = force.sum(-2)
        if self.whole_body:
            gradient.body_pos[...] = turned(force, cos[..., None], -sin[..., None])
            torque = arm[..., 0] * force[..., 1] - arm[..., 1] * force[..., 0]
            plan.pull_heading(gradient, torque.sum(-1))
        return value.sum(-1), gradient

    def _push(self, points: Any, plan: PlanView) -> tuple[Any, Any]:
        """Value (B, H, 14) and gradient (B, H, 14, 3) of points in the present frame."""
        xp = library(points)
        yaw = as_like(self.frame.yaw, points)[..., None, None]
        pos = as_like(self.frame.pos_xy, points)[..., None, None, :]
        cos, sin = xp.cos(yaw), xp.sin(yaw)
        world = turned(points, cos, sin) + xp.concatenate([pos, xp.zeros_like(pos[..., :1])], -1)
        times = as_like(np.zeros(len(self.radii)), points) + plan.times[:, None]
        distance, gradient = nearest(self.obstacles, world, times)
        clearance = distance - as_like(self.radii, points)
        if self.reach is None:
            value, slope = relaxed_barrier(clearance, self.delta)
        else:
            value, slope = finite_barrier(clearance, self.delta, self.reach)
        return value, slope[..., None] * turned(gradient, cos, -sin)
