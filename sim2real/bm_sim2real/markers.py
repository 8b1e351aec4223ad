"""Simple solids beside the robot in pictures and in the viewer: obstacles, goals, plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.guidance.obstacle import Obstacle
from bm_core.diffusion.guidance.shapes import Box, Capsule, Pillar, Sphere, Wall

Array = NDArray[np.floating]
Rgba = tuple[float, float, float, float]

OBSTACLE_RGBA: Rgba = (0.85, 0.51, 0.16, 1.0)
GOAL_RGBA: Rgba = (0.1, 0.6, 0.35, 0.8)
PLAN_RGBA: Rgba = (0.12, 0.44, 0.92, 0.9)
PILLAR_HEIGHT = 1.2
"""m that upright shapes without an end are drawn"""
GOAL_RADIUS = 0.3
"""m"""


class Solid(str, Enum):
    """What is drawn."""

    SPHERE = "sphere"
    CYLINDER = "cylinder"
    BOX = "box"


@dataclass(frozen=True, kw_only=True)
class Marker:
    """One solid that stands upright."""

    solid: Solid
    center: tuple[float, float, float]
    """m, world"""
    size: tuple[float, float, float]
    """m: radius of a sphere; radius and height of a cylinder; edges of a box"""
    yaw: float = 0.0
    """rad"""
    rgba: Rgba = OBSTACLE_RGBA


def goal_markers(goal: GuidanceGoal, plan_xy: Array | None = None, *, with_obstacles: bool = True) -> list[Marker]:
    """A goal's obstacles and waypoint, and where the newest plan goes, (n, 2) m."""
    obstacles = goal.obstacles if with_obstacles else ()
    markers = [marker for obstacle in obstacles for marker in obstacle_markers(obstacle)]
    if goal.waypoint is not None:
        markers.append(_disc(goal.waypoint, GOAL_RADIUS, 0.01, GOAL_RGBA))
    markers += [] if plan_xy is None else plan_markers(plan_xy)
    return markers


def plan_markers(plan_xy: Array) -> list[Marker]:
    """A dotted line on the floor along (n, 2) m."""
    return [_disc((float(x), float(y)), 0.02, 0.012, PLAN_RGBA) for x, y in plan_xy]


def obstacle_markers(obstacle: Obstacle) -> Sequence[Marker]:
    """One obstacle where it is now. Grids are not drawn: they are maps, not solids."""
    shape = obstacle.shape
    if isinstance(shape, Pillar):
        x, y = np.asarray(shape.center, dtype=float)
        height = PILLAR_HEIGHT
        return [
            Marker(
                solid=Solid.CYLINDER, center=(float(x), float(y), height / 2), size=(float(shape.radius), height, 0.0)
            )
        ]
    if isinstance(shape, Sphere):
        return [_sphere(np.asarray(shape.center, dtype=float), float(shape.radius))]
    if isinstance(shape, Capsule):
        start, end = np.asarray(shape.start, dtype=float), np.asarray(shape.end, dtype=float)
        count = 2 + int(np.linalg.norm(end - start) / max(float(shape.radius), 0.02))
        return [_sphere(start + part * (end - start), float(shape.radius)) for part in np.linspace(0.0, 1.0, count)]
    if isinstance(shape, Box):
        x, y, z = (2.0 * np.asarray(shape.half_size, dtype=float)).tolist()
        cx, cy, cz = np.asarray(shape.center, dtype=float).tolist()
        return [Marker(solid=Solid.BOX, center=(cx, cy, cz), size=(x, y, z), yaw=float(shape.yaw))]
    if isinstance(shape, Wall):
        return [_wall(shape)]
    return []


def _wall(wall: Wall) -> Marker:
    normal = np.asarray(wall.normal, dtype=float)
    normal = normal / np.linalg.norm(normal)
    x, y = np.asarray(wall.point, dtype=float) - 0.025 * normal
    yaw = float(np.arctan2(normal[1], normal[0]))
    return Marker(
        solid=Solid.BOX, center=(float(x), float(y), PILLAR_HEIGHT / 2), size=(0.05, 8.0, PILLAR_HEIGHT), yaw=yaw
    )


def _sphere(center: Array, radius: float) -> Marker:
    x, y, z = center.tolist()
    return Marker(solid=Solid.SPHERE, center=(x, y, z), size=(radius, 0.0, 0.0))


def _disc(place: tuple[float, float], radius: float, height: float, rgba: Rgba) -> Marker:
    center = (place[0], place[1], height / 2)
    return Marker(solid=Solid.CYLINDER, center=center, size=(radius, height, 0.0), rgba=rgba)
