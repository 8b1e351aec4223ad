"""A velocity that leads around what is in the way: told velocities are what plans follow best.

Pulled aside at walking speed a plan glides and the legs do not follow; turned, they do. So the command itself is
changed, to the nearest one whose way keeps clear: a search over turns, each held for a while and then straight, and
speeds: shares of the one told, and some of its own, for a robot that is told to turn on the spot must still get out of
the way of what comes along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.guidance.obstacle import Obstacle, nearest
from bm_sim2real.guidance.planar_state import PlanarState
from bm_sim2real.guidance.sources import Velocity

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class AroundConfig:
    """What counts as clear, and what is tried."""

    seconds: float = 3.0
    """How far ahead ways are looked at"""
    turn_s: float = 1.0
    """s that a turn is held; then straight"""
    samples: int = 16
    radius: float = 0.35
    """m of the robot as a disc"""
    margin: float = 0.3
    """m that it keeps beyond that, if it can"""
    turns: tuple[float, ...] = tuple(np.round(np.arange(-0.8, 0.81, 0.1), 1))
    """rad/s"""
    shares: tuple[float, ...] = (1.0, 0.75, 0.5, 0.25)
    """of the speed told"""
    speeds: tuple[float, ...] = (-0.3, 0.2, 0.4, 0.6)
    """m/s forward, whatever is told. Not 0: plans that stand do not set out again"""
    lag_s: float = 0.5
    """s that the body takes to follow a command"""
    clear_weight: float = 10.0
    """Of the share of the margin that a way lacks, squared; that of the turn is 1"""
    slow_weight: float = 2.0
    """Of the share of the speed given up or added, squared; much less and it creeps up to things before it turns"""
    least_speed: float = 0.4
    """m/s of which that is a share, if less is told"""
    height: float = 0.8
    """m above the floor at which the disc is"""


def can_lead(told: Velocity) -> bool:
    """Whether `around` looks after this velocity: not after one that leads back."""
    return told[0] >= 0.0


def around(told: Velocity, state: PlanarState, obstacles: Sequence[Obstacle], config: AroundConfig) -> Velocity:
    """The velocity nearest to `told` that keeps clear; `told` itself where its way is clear or leads back."""
    if not obstacles or not can_lead(told):
        return told
    wanted = np.array(told)
    if _lack(wanted[None], state, obstacles, config)[0] <= 0.0:
        return told
    tried = _tried(wanted, config)
    lack = _lack(tried, state, obstacles, config)
    changed = np.linalg.norm(tried[:, :2] - wanted[:2], axis=1) / max(told[0], config.least_speed)
    turned = tried[:, 2] - wanted[2]
    best = tried[np.argmin(config.clear_weight * lack**2 + turned**2 + config.slow_weight * changed**2)]
    return float(best[0]), float(best[1]), float(best[2])


def _tried(wanted: Array, config: AroundConfig) -> Array:
    """(n, 3) m/s, m/s, rad/s: every speed with every turn."""
    own = np.stack([np.array(config.speeds), np.zeros(len(config.speeds))], axis=-1)
    planar = np.concatenate([np.array(config.shares)[:, None] * wanted[:2], own])
    turns = np.unique(np.append(config.turns, wanted[2]))
    return np.concatenate([np.repeat(planar, len(turns), axis=0), np.tile(turns, len(planar))[:, None]], axis=1)


def _lack(tried: Array, state: PlanarState, obstacles: Sequence[Obstacle], config: AroundConfig) -> Array:
    """(n,) of margins that the ways of velocities (n, 3) lack; 0: clear."""
    times = np.linspace(0.0, config.seconds, config.samples)
    dt = times[1]
    left_over = np.exp(-times / config.lag_s)
    # The speed that the body has goes on for a while. Its yaw rate is the gait's sway more than a turn: taken as 0.
    planar = tried[:, None, :2] + left_over[1:, None] * (state.velocity[:2] - tried[:, None, :2])
    yaw = state.yaw + tried[:, 2:] * _turned(times, config)
    middle = 0.5 * (yaw[:, 1:] + yaw[:, :-1])
    ahead, left = planar[..., 0], planar[..., 1]
    step = dt * np.stack(
        [ahead * np.cos(middle) - left * np.sin(middle), ahead * np.sin(middle) + left * np.cos(middle)], -1
    )
    place = state.pos_xy + np.cumsum(step, axis=1)
    points = np.concatenate([place, np.full((*place.shape[:2], 1), config.height)], -1)
    distance, _ = nearest(obstacles, points, np.broadcast_to(times[1:], points.shape[:2]))
    return np.clip((config.radius + config.margin - distance.min(1)) / config.margin, 0.0, None)


def _turned(times: Array, config: AroundConfig) -> Array:
    """s of turning at the full rate by each of `times`: it begins with the lag, ends with it and goes on a little."""
    held = np.minimum(times, config.turn_s)
    behind = config.lag_s * (np.exp(-(times - held) / config.lag_s) - np.exp(-times / config.lag_s))
    return held - behind
