"""Waypoints: is each one reached and stopped at in time?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bm_sim2real.diffusion_tasks.track import Track
from bm_sim2real.guidance.arrival import Arrival, ArrivalRule

Place = tuple[float, float]

GOALS = 4
RADIUS_M = 4.0
TIMEOUT_S = 20.0
"""For each goal."""


@dataclass(frozen=True, kw_only=True)
class WaypointResult:
    """One goal."""

    place: Place
    reached: bool
    seconds: float
    """From the moment it became the goal to the end of standing there; NaN if it was not reached."""
    path_m: float
    """Path of the pelvis meanwhile."""
    straight_m: float
    """From where the robot was when it became the goal."""
    nearest_m: float
    """Smallest distance to it."""


def judge_waypoint(track: Track, place: Place, start: float, end: float, rule: ArrivalRule) -> WaypointResult:
    """Whether `place` is reached between `start` and `end` (s on the track's clock)."""
    inside = np.flatnonzero((track.times >= start - 1e-9) & (track.times <= end + 1e-9))
    distance = np.linalg.norm(track.pos_xy - place, axis=1)
    arrival, reached_at = Arrival(rule), float("nan")
    for i in inside:
        if arrival.step(track.times[i], distance[i], track.speed[i]):
            reached_at = float(track.times[i])
            break
    reached = bool(np.isfinite(reached_at))
    return WaypointResult(
        place=place,
        reached=reached,
        seconds=reached_at - start,
        path_m=track.path_length(start, reached_at if reached else end),
        straight_m=float(distance[inside[0]]) if len(inside) else float("nan"),
        nearest_m=float(distance[inside].min()) if len(inside) else float("nan"),
    )


def judge_waypoints(
    track: Track, places: Sequence[Place], starts: Sequence[float], end: float, rule: ArrivalRule | None = None
) -> list[WaypointResult]:
    """Every place; `starts` (s) are the moments at which they became the goal, fewer if the run ended before."""
    edges = [*starts, end]
    results = [
        judge_waypoint(track, place, first, last, rule or ArrivalRule())
        for place, first, last in zip(places, edges[:-1], edges[1:], strict=False)
    ]
    missing = [judge_waypoint(track, place, np.inf, np.inf, ArrivalRule()) for place in places[len(results) :]]
    return [*results, *missing]


def random_places(seed: int, count: int = GOALS, radius: float = RADIUS_M, spacing: float = 1.0) -> list[Place]:
    """Goals within `radius` m of the start, each at least `spacing` m from the one before; fixed by the seed."""
    rng = np.random.default_rng(seed)
    places: list[Place] = []
    last = np.zeros(2)
    while len(places) < count:
        angle, distance = rng.uniform(-np.pi, np.pi), radius * np.sqrt(rng.random())
        place = distance * np.array([np.cos(angle), np.sin(angle)])
        if np.linalg.norm(place - last) >= spacing:
            places.append((float(round(place[0], 3)), float(round(place[1], 3))))
            last = place
    return places
