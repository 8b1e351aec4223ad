"""Relaxed logarithmic barrier: grows like -ln x, but stays finite and smooth through 0 and below.

Source: BeyondMimic eq. 10, B(x, d) = -ln x for x >= d, else -ln d + 1/2 (((x - 2 d) / d)^2 - 1).
"""

from __future__ import annotations

from typing import Any

from bm_core.diffusion.guidance.arrays import library


def relaxed_barrier(x: Any, delta: float) -> tuple[Any, Any]:
    """Value and slope, of any shape; x and delta in m. Value, slope and curvature agree at delta."""
    xp = library(x)
    safe = x.clip(delta, None)
    bend = (x - 2.0 * delta) / delta
    outside = x >= delta
    value = xp.where(outside, -xp.log(safe), 0.5 * (bend * bend - 1.0) - _log(delta, x))
    return value, xp.where(outside, -1.0 / safe, bend / delta)


def finite_barrier(x: Any, delta: float, reach: float) -> tuple[Any, Any]:
    """The relaxed barrier less its tangent at `reach` (m, > delta): 0 from there on, without a kink."""
    xp = library(x)
    value, slope = relaxed_barrier(x, delta)
    value = value + _log(reach, x) + (x - reach) / reach
    inside = x < reach
    zero = xp.zeros_like(x)
    return xp.where(inside, value, zero), xp.where(inside, slope + 1.0 / reach, zero)


def _log(number: float, like: Any) -> Any:
    xp = library(like)
    return xp.log(xp.full_like(like, number))
