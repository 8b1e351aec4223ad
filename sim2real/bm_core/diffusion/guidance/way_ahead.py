"""The way beyond the horizon: a plan of 0.64 s sees a pillar too late to walk around it.

The plan's mean velocity is carried on in a straight line, and what the robot, seen as a disc, comes nearest to on it
pushes that velocity. At the point of closest approach that is to the side: around the obstacle, not back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bm_core.diffusion.guidance.arrays import as_like, library, turned
from bm_core.diffusion.guidance.barrier import finite_barrier
from bm_core.diffusion.guidance.obstacle import Obstacle, nearest
from bm_core.diffusion.guidance.plan_view import PlanView
from bm_core.diffusion.trajectory import PresentFrame


@dataclass(frozen=True, kw_only=True)
class WayAhead:
    """Pushes the plan's mean velocity away from what lies on its way."""

    obstacles: Sequence[Obstacle]
    """In the world; at least one."""
    frame: PresentFrame
    """The present, in the world; one, or one a plan."""
    seconds: float = 2.0
    """How far the mean velocity is carried on"""
    samples: int = 16
    """Moments on the way, evenly spread from the present on"""
    radius: float = 0.35
    """m of the robot as a disc"""
    delta: float = 0.1
    """m of clearance below which the barrier is a parabola"""
    reach: float = 0.4
    """m of clearance beyond which nothing is pushed"""
    height: float = 0.8
    """m above the floor at which the disc is"""

    def evaluate(self, plan: PlanView) -> tuple[Any, PlanView]:
        xp, gradient = library(plan.states), plan.zeros()
        count = plan.states.shape[1]
        times = as_like(np.linspace(0.0, self.seconds, self.samples), plan.states)
        mean = plan.root_lin_vel[..., :2].mean(1)
        place = plan.root_pos[:, :1, :2] + times[:, None] * mean[:, None, :]
        value, slope, normal = self._push(xp.concatenate([place, self.height + 0.0 * place[..., :1]], -1), times)
        share = (slope * times)[..., None] * normal[..., :2] / count
        gradient.root_lin_vel[..., :2] = share.sum(1)[:, None, :] + 0.0 * plan.root_lin_vel[..., :2]
        gradient.root_pos[:, 0, :2] = (slope[..., None] * normal[..., :2]).sum(1)
        return (value / count)[..., None] + 0.0 * plan.root_pos[..., 0], gradient

    def _push(self, points: Any, times: Any) -> tuple[Any, Any, Any]:
        """Points (B, S, 3) in the present frame -> barrier (B,), slope (B, S), direction (B, S, 3) in that frame."""
        xp = library(points)
        points = points[..., None, :]  # as if the disc were the only body: shapes of one plan each fit both costs
        yaw = as_like(self.frame.yaw, points)[..., None, None]
        pos = as_like(self.frame.pos_xy, points)[..., None, None, :]
        cos, sin = xp.cos(yaw), xp.sin(yaw)
        world = turned(points, cos, sin) + xp.concatenate([pos, xp.zeros_like(pos[..., :1])], -1)
        distance, normal = nearest(self.obstacles, world, times[:, None])
        distance = distance[..., 0]
        least = xp.amin(distance, -1)
        closest = as_like(distance == least[..., None], points)
        # Still nearing at the end of the way: what lies behind it may be passed on either side, so nothing is pushed.
        closest = closest * as_like(np.arange(self.samples) < self.samples - 1, points)
        value, slope = finite_barrier(least - self.radius, self.delta, self.reach)
        return value * closest.sum(-1), slope[..., None] * closest, turned(normal, cos, -sin)[..., 0, :]
