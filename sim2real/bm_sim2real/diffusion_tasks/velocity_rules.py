"""Joystick: does the robot follow velocities?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bm_core.errors import ConfigError
from bm_sim2real.diffusion_tasks.track import Track
from bm_sim2real.guidance.sources import Velocity

SEGMENT_S = 3.0
JOYSTICK = (
    ("forward", (0.6, 0.0, 0.0)),
    ("backward", (-0.4, 0.0, 0.0)),
    ("turn left", (0.0, 0.0, 0.6)),
    ("turn right", (0.0, 0.0, -0.6)),
)
"""Name, (m/s, m/s, rad/s)."""
BOX = np.array([[-0.6, 1.2], [-0.4, 0.4], [-1.0, 1.0]])
"""Range of the training commands: vx, vy m/s, wz rad/s; random points lie in its ellipsoid."""


@dataclass(frozen=True, kw_only=True)
class FollowRule:
    """Mean velocity of the end of a segment near the command, on every axis."""

    window_s: float = 2.0
    """s at the end of the segment that count"""
    share: float = 0.3
    """of the command"""
    floor: tuple[float, float, float] = (0.15, 0.15, 0.2)
    """m/s, m/s, rad/s that are allowed whatever the command"""


@dataclass(frozen=True, kw_only=True)
class FollowResult:
    """One segment."""

    command: Velocity
    mean: tuple[float, float, float]
    """Velocity reached, like the command; NaN if the robot did not get there."""
    follows: bool

    @property
    def velocity_error(self) -> float:
        """|planar velocity - command| as a fraction of the command; NaN for commands that do not move."""
        speed = float(np.hypot(*self.command[:2]))
        missed = float(np.hypot(self.mean[0] - self.command[0], self.mean[1] - self.command[1]))
        return missed / speed if speed > 0.0 else float("nan")


def judge_segment(track: Track, command: Velocity, start: float, end: float, rule: FollowRule) -> FollowResult:
    """Whether the robot follows `command` from `start` to `end` (s on the track's clock)."""
    mean = track.mean_velocity(end - rule.window_s, end)
    is_whole = len(track.times) > 0 and track.times[-1] >= end - 0.05
    allowed = np.maximum(rule.share * np.abs(command), rule.floor)
    follows = bool(is_whole and (np.abs(mean - command) <= allowed).all())
    if not is_whole:
        mean = np.full(3, np.nan)
    return FollowResult(command=command, mean=(float(mean[0]), float(mean[1]), float(mean[2])), follows=follows)


def judge_segments(
    track: Track, segments: Sequence[tuple[float, Velocity]], begun: float, rule: FollowRule | None = None
) -> list[FollowResult]:
    """Every segment (s, command), the first one from `begun` on."""
    ends = begun + np.cumsum([seconds for seconds, _ in segments])
    return [
        judge_segment(track, command, end - seconds, end, rule or FollowRule())
        for (seconds, command), end in zip(segments, ends.tolist(), strict=True)
    ]


def random_commands(count: int, seed: int) -> list[Velocity]:
    """Points spread evenly over the ellipsoid inside BOX. ConfigError for none."""
    if count < 1:
        raise ConfigError(f"{count} commands: at least one is needed")
    rng = np.random.default_rng(seed)
    middle, half = BOX.mean(axis=1), 0.5 * (BOX[:, 1] - BOX[:, 0])
    points = rng.normal(size=(count, 3))
    points *= rng.random(count)[:, None] ** (1 / 3) / np.linalg.norm(points, axis=1, keepdims=True)
    return [(float(x), float(y), float(w)) for x, y, w in np.round(middle + half * points, 3)]
