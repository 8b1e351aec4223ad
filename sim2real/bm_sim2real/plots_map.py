"""A map: path, plans, goals and obstacles from above, as inline SVG in the page's colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

MARGIN = 0.6
"""m around everything that is shown"""
SMALLEST = 2.0
"""m that a map shows at least"""
MAX_POINTS = 500
"""of a path"""

MAP_STYLE = """
.map { width: 100%; max-height: 420px; display: block; background: var(--card); border-radius: 8px }
.map .cell { stroke: var(--grid); stroke-width: .01; fill: none }
.map .pillar { fill: var(--worst); fill-opacity: .75 }
.map .pillar.moved { fill-opacity: .18 }
.map .goal { fill: var(--good); fill-opacity: .18; stroke: var(--good); stroke-width: .02 }
.map .goal.missed { fill: var(--bad); stroke: var(--bad) }
.map .plan { fill: none; stroke: var(--reference); stroke-width: .025; stroke-linecap: round; opacity: .9 }
.map .path { fill: none; stroke: var(--robot); stroke-width: .035; stroke-linejoin: round; stroke-linecap: round }
.map .heading { stroke: var(--robot); stroke-width: .02 }
.map .start { fill: var(--robot) }
.map .end { fill: var(--card); stroke: var(--robot); stroke-width: .03 }
.map text { fill: var(--ink); font-size: .2px; text-anchor: middle }
.map .scale { fill: var(--soft); font-size: .16px }
"""


@dataclass(frozen=True, kw_only=True)
class MapGoal:
    """A place to reach."""

    place: tuple[float, float]
    """m"""
    radius: float
    """m within which it counts"""
    label: str = ""
    reached: bool = True


@dataclass(frozen=True, kw_only=True)
class MapPicture:
    """What a map shows, metres in the world; x to the right, y up."""

    path: Array
    """(T, 2)"""
    yaw: Array
    """(T,) rad"""
    plans: Sequence[Array] = ()
    """(n, 2) each: where the robot planned to go"""
    goals: Sequence[MapGoal] = ()
    pillars: Sequence[tuple[float, float, float]] = ()
    """x, y, radius, at the end of the path"""
    moved: Sequence[tuple[float, float, float]] = field(default_factory=tuple)
    """Where pillars that move were before"""


def map_svg(picture: MapPicture) -> str:
    """The map; as wide as the page lets it be."""
    low, high = _bounds(picture)
    size = high - low
    # SVG's y grows downwards: everything is drawn with -y.
    view = f"{_n(low[0])} {_n(-high[1])} {_n(size[0])} {_n(size[1])}"
    parts = [
        _grid(low, high),
        *(_circle("pillar moved", x, y, r) for x, y, r in picture.moved),
        *(_circle("pillar", x, y, r) for x, y, r in picture.pillars),
        *(_goal(goal) for goal in picture.goals),
        *(f'<path class="plan" d="{_path(plan)}"/>' for plan in picture.plans if len(plan) > 1),
        *_robot(picture),
        f'<text class="scale" x="{_n(low[0] + 0.35)}" y="{_n(-low[1] - 0.12)}">grid 1 m</text>',
    ]
    return f'<svg class="map" viewBox="{view}" role="img" aria-label="map">{"".join(parts)}</svg>'


def _bounds(picture: MapPicture) -> tuple[Array, Array]:
    circles = [*picture.pillars, *picture.moved, *((*goal.place, goal.radius) for goal in picture.goals)]
    lows = [np.nanmin(picture.path, axis=0), *(np.array([x - r, y - r]) for x, y, r in circles)]
    highs = [np.nanmax(picture.path, axis=0), *(np.array([x + r, y + r]) for x, y, r in circles)]
    low, high = np.min(lows, axis=0) - MARGIN, np.max(highs, axis=0) + MARGIN
    short = np.maximum(SMALLEST - (high - low), 0.0) / 2.0
    return low - short, high + short


def _grid(low: Array, high: Array) -> str:
    xs, ys = (range(int(np.ceil(low[axis])), int(np.floor(high[axis])) + 1) for axis in (0, 1))
    lines = [f"M{x} {_n(-high[1])}V{_n(-low[1])}" for x in xs] + [f"M{_n(low[0])} {-y}H{_n(high[0])}" for y in ys]
    return f'<path class="cell" d="{"".join(lines)}"/>'


def _goal(goal: MapGoal) -> str:
    x, y = goal.place
    style = "goal" if goal.reached else "goal missed"
    label = f'<text x="{_n(x)}" y="{_n(-y + 0.07)}">{escape(goal.label)}</text>' if goal.label else ""
    return _circle(style, x, y, goal.radius) + label


def _robot(picture: MapPicture) -> list[str]:
    path, yaw = np.asarray(picture.path), np.asarray(picture.yaw)
    step = max(1, -(-len(path) // MAX_POINTS))
    ticks = range(0, len(path), 50)  # one a second
    ends = [path[i] + 0.12 * np.array([np.cos(yaw[i]), np.sin(yaw[i])]) for i in ticks]
    headings = "".join(_path(np.stack([path[i], end])) for i, end in zip(ticks, ends, strict=True))
    return [
        f'<path class="path" d="{_path(path[::step])}"/>',
        f'<path class="heading" d="{headings}"/>',
        _circle("start", path[0, 0], path[0, 1], 0.06),
        _circle("end", path[-1, 0], path[-1, 1], 0.06),
    ]


def _circle(style: str, x: float, y: float, radius: float) -> str:
    return f'<circle class="{style}" cx="{_n(x)}" cy="{_n(-y)}" r="{_n(radius)}"/>'


def _path(points: Array) -> str:
    return "M" + "L".join(f"{_n(x)} {_n(-y)}" for x, y in points)


def _n(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
