"""Random lanes of pillars, each fixed by its seed, and the rule that nothing may be touched."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.guidance.obstacle import BODY_RADII, Obstacle, nearest
from bm_core.diffusion.guidance.shapes import Pillar
from bm_sim2real.diffusion_tasks.track import Track

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class LaneConfig:
    """3 pillars in a lane along x that begins at the robot, the goal at its far end."""

    length: float = 5.0
    """m"""
    width: float = 3.0
    """m"""
    pillars: int = 3
    radius: float = 0.2
    """m"""
    gap: float = 1.0
    """m at least between two pillars' surfaces"""
    clear: float = 1.2
    """m without pillars (centres) at both ends"""
    line: float = 0.2
    """m from the straight line within which the centre of at least one pillar lies"""
    speed: float = 0.0
    """m/s at which pillars cross the lane, back and forth; 0: they stand"""


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One layout, in the world."""

    centers: Array
    """(n, 2) m at time 0"""
    config: LaneConfig = field(default_factory=LaneConfig)

    @property
    def goal(self) -> tuple[float, float]:
        """m"""
        return self.config.length, 0.0

    def centers_at(self, time: float) -> tuple[Array, Array]:
        """Centres (n, 2) m and velocities (n, 2) m/s at `time` s: a triangle wave between the lane's borders."""
        if self.config.speed == 0.0:
            return self.centers, np.zeros_like(self.centers)
        half = 0.5 * self.config.width
        way = self.centers[:, 1] + half + self.config.speed * time
        turn, rest = np.divmod(way, 2.0 * half)
        is_back = turn.astype(int) % 2 == 1
        y = np.where(is_back, half - rest, rest - half)
        velocity = np.where(is_back, -self.config.speed, self.config.speed)
        return np.stack([self.centers[:, 0], y], axis=1), np.stack([np.zeros_like(y), velocity], axis=1)

    def obstacles_at(self, time: float) -> tuple[Obstacle, ...]:
        """What is in the way, with its velocity."""
        centers, velocities = self.centers_at(time)
        return tuple(
            Obstacle(
                shape=Pillar(center=(float(center[0]), float(center[1])), radius=self.config.radius),
                velocity=(float(velocity[0]), float(velocity[1])),
            )
            for center, velocity in zip(centers, velocities, strict=True)
        )


def random_lane(seed: int, config: LaneConfig | None = None) -> Lane:
    """A layout that satisfies the config; the same for the same seed."""
    config = config or LaneConfig()
    rng = np.random.default_rng(seed)
    low, high = config.clear, config.length - config.clear
    half = 0.5 * config.width - config.radius
    while True:
        x = rng.uniform(low, high, config.pillars)
        y = rng.uniform(-half, half, config.pillars)
        y[rng.integers(config.pillars)] = rng.uniform(-config.line, config.line)
        centers = np.round(np.stack([x, y], axis=1), 3)
        apart = np.linalg.norm(centers[:, None] - centers[None], axis=-1)[np.triu_indices(config.pillars, 1)]
        if (apart >= config.gap + 2.0 * config.radius).all():
            return Lane(centers=centers, config=config)


@dataclass(frozen=True, kw_only=True)
class ObstacleResult:
    """One run along a lane."""

    reached: bool
    seconds: float
    """To the goal; NaN if it was not reached."""
    touched: bool
    clearance_m: float
    """Smallest distance of a body's sphere to a pillar; negative where it touched."""
    path_m: float
    nearest_m: float
    """Smallest distance to the goal"""

    @property
    def success(self) -> bool:
        return self.reached and not self.touched


def judge_lane(
    track: Track, lane: Lane, *, start: float = 0.0, within: float = 0.5, timeout_s: float = 30.0
) -> ObstacleResult:
    """Reached: pelvis nearer than `within` m to the goal in `timeout_s` from `start`. What follows does not count.

    The lane's time 0 is the track's time `start`.
    """
    inside = (track.times >= start - 1e-9) & (track.times <= start + timeout_s + 1e-9)
    distance = np.linalg.norm(track.pos_xy[inside] - lane.goal, axis=1)
    times = track.times[inside]
    near = np.flatnonzero(distance < within)
    reached = bool(len(near))
    count = int(near[0]) + 1 if reached else len(times)
    gaps = clearances(track, lane, start)[inside][:count]
    least = float(gaps.min()) if len(gaps) else float("nan")
    return ObstacleResult(
        reached=reached,
        seconds=float(times[near[0]] - start) if reached else float("nan"),
        touched=bool(least < 0.0),
        clearance_m=least,
        path_m=track.path_length(start, float(times[count - 1])) if count else 0.0,
        nearest_m=float(distance.min()) if len(distance) else float("nan"),
    )


def clearances(track: Track, lane: Lane, start: float = 0.0) -> Array:
    """(T,) m between the nearest body's sphere and the nearest pillar, at every instant."""
    assert track.body_pos_w is not None
    radii = np.array(BODY_RADII)
    gaps = np.empty(len(track.times))
    for i, bodies in enumerate(track.body_pos_w):
        obstacles = lane.obstacles_at(float(track.times[i]) - start)
        distance, _ = nearest(obstacles, bodies, np.zeros(len(bodies)))
        gaps[i] = (distance - radii).min()
    return gaps
