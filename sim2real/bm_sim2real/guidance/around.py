"""A velocity that leads around what is in the way: told velocities are what plans follow best.

Pulled aside at walking speed a plan glides and the legs do not follow; turned, they do. So the command itself is
changed, to the nearest one whose way keeps clear: a search over turns and slower speeds, each held for a while and
then straight.
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

_SLOWEST = 0.05
"""m/s; slower commands, and those to the back, are left alone."""


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
    clear_weight: float = 10.0
    """Of the share of the margin that a way lacks, squared; that of the turn is 1"""
    slow_weight: float = 2.0
    """Of the share of the speed given up, squared; much less and it creeps up to things before it turns"""
    height: float = 0.8
    """m above the floor at which the disc is"""


def around(told: Velocity, state: PlanarState, obstacles: Sequence[Obstacle], config: AroundConfig) -> Velocity:
    """The velocity nearest to `told` that keeps clear; `told` itself where nothing is near its way."""
    if not obstacles or told[0] < _SLOWEST:
        return told
    if _lack(told, state, obstacles, config, np.array([told[2]]), np.ones(1))[0] <= 0.0:
        return told
    turns = np.unique(np.append(config.turns, told[2]))
    turn, share = (grid.ravel() for grid in np.meshgrid(turns, config.shares))
    lack = _lack(told, state, obstacles, config, turn, share)
    cost = config.clear_weight * lack**2 + (turn - told[2]) ** 2 + config.slow_weight * (1.0 - share) ** 2
    best = int(np.argmin(cost))
    return share[best] * told[0], share[best] * told[1], float(turn[best])


def _lack(
    told: Velocity, state: PlanarState, obstacles: Sequence[Obstacle], config: AroundConfig, turn: Array, share: Array
) -> Array:
    """(n,) of margins that ways with these yaw rates and shares of the speed lack; 0: clear."""
    times = np.linspace(0.0, config.seconds, config.samples)
    dt = times[1]
    yaw = state.yaw + turn[:, None] * np.minimum(times, config.turn_s)
    middle = 0.5 * (yaw[:, 1:] + yaw[:, :-1])
    ahead, left = share[:, None] * told[0], share[:, None] * told[1]
    step = dt * np.stack(
        [ahead * np.cos(middle) - left * np.sin(middle), ahead * np.sin(middle) + left * np.cos(middle)], -1
    )
    place = state.pos_xy + np.cumsum(step, axis=1)
    points = np.concatenate([place, np.full((*place.shape[:2], 1), config.height)], -1)
    distance, _ = nearest(obstacles, points, np.broadcast_to(times[1:], points.shape[:2]))
    return np.clip((config.radius + config.margin - distance.min(1)) / config.margin, 0.0, None)
