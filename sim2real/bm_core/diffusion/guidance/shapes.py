"""Signed distance of points to obstacles, m, with its gradient. Negative inside.

Shapes stand in the world (or any fixed frame). Upright ones (Pillar, Wall) look at x and y only. Numbers may also be
arrays that broadcast against the points, one obstacle a plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from bm_core.diffusion.guidance.arrays import as_like, library, turned

_NO_LENGTH = 1e-9
"""m; keeps 0 / 0 away."""


class Shape(Protocol):
    """What can be in the way."""

    def distance(self, points: Any) -> tuple[Any, Any]:
        """Points (..., 3) m -> distances (...) and their gradients (..., 3)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Sphere:
    """A ball."""

    center: Any
    """(3,) m"""
    radius: Any
    """m"""

    def distance(self, points: Any) -> tuple[Any, Any]:
        return _from_point(points - as_like(self.center, points), as_like(self.radius, points))


@dataclass(frozen=True, kw_only=True)
class Pillar:
    """An upright cylinder without ends."""

    center: Any
    """(2,) m"""
    radius: Any
    """m"""

    def distance(self, points: Any) -> tuple[Any, Any]:
        offset = points[..., :2] - as_like(self.center, points)
        distance, gradient = _from_point(offset, as_like(self.radius, points))
        return distance, _flat(gradient)


@dataclass(frozen=True, kw_only=True)
class Capsule:
    """Everything within a radius of a line from `start` to `end`."""

    start: Any
    """(3,) m"""
    end: Any
    """(3,) m"""
    radius: Any
    """m"""

    def distance(self, points: Any) -> tuple[Any, Any]:
        start = as_like(self.start, points)
        axis = as_like(self.end, points) - start
        along = ((points - start) * axis).sum(-1) / (axis * axis).sum(-1).clip(_NO_LENGTH**2, None)
        nearest = start + along.clip(0.0, 1.0)[..., None] * axis
        # The foot of the perpendicular moves along the axis only, at right angles to the distance: no term of its own.
        return _from_point(points - nearest, as_like(self.radius, points))


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box that stands upright, turned about z."""

    center: Any
    """(3,) m"""
    half_size: Any
    """(3,) m"""
    yaw: Any = 0.0
    """rad"""

    def distance(self, points: Any) -> tuple[Any, Any]:
        xp = library(points)
        yaw = as_like(self.yaw, points)
        cos, sin = xp.cos(yaw), xp.sin(yaw)
        offset = points - as_like(self.center, points)
        local = turned(offset, cos, -sin)
        beyond = xp.abs(local) - as_like(self.half_size, points)
        outside = beyond.clip(0.0, None)
        length = ((outside * outside).sum(-1) + _NO_LENGTH**2) ** 0.5
        deepest = xp.amax(beyond, -1)
        is_outside = deepest > 0.0
        distance = xp.where(is_outside, length, deepest)
        inner = as_like(beyond == deepest[..., None], points)
        gradient = xp.sign(local) * xp.where(is_outside[..., None], outside / length[..., None], inner)
        return distance, turned(gradient, cos, sin)


@dataclass(frozen=True, kw_only=True)
class Wall:
    """Everything behind a vertical plane."""

    point: Any
    """(2,) m, anywhere on it"""
    normal: Any
    """(2,) towards the free side; any length"""

    def distance(self, points: Any) -> tuple[Any, Any]:
        normal = as_like(self.normal, points)
        normal = normal / (normal * normal).sum(-1)[..., None] ** 0.5
        distance = ((points[..., :2] - as_like(self.point, points)) * normal).sum(-1)
        return distance, _flat(normal + 0.0 * points[..., :2])


def _from_point(offset: Any, radius: Any) -> tuple[Any, Any]:
    length = ((offset * offset).sum(-1) + _NO_LENGTH**2) ** 0.5
    return length - radius, offset / length[..., None]


def _flat(gradient: Any) -> Any:
    """(..., 2) -> (..., 3), nothing along z."""
    xp = library(gradient)
    return xp.concatenate([gradient, xp.zeros_like(gradient[..., :1])], -1)
