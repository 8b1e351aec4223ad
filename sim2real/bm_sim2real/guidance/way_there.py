"""The way to a place among obstacles, as a velocity: plans follow told velocities around things better than a pull.

Near the place, where nothing is in between, the planner approaches it by itself: it stops more exactly, and may walk
aside or back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from bm_core.diffusion.guidance.obstacle import Obstacle, nearest
from bm_core.diffusion.guidance.settings import GuidanceSpec
from bm_sim2real.guidance.around import AroundConfig, around
from bm_sim2real.guidance.planar_state import PlanarState
from bm_sim2real.guidance.sources import TURNS_BEYOND, Velocity, VelocityTowards

NEAR = 0.8
"""m from the place within which the planner approaches it, if the straight way is clear"""
_LEAST_MARGIN = 0.05
"""m; also to places that are too near to something to be reached"""


def way_there(
    place: tuple[float, float],
    state: PlanarState,
    obstacles: Sequence[Obstacle],
    settings: GuidanceSpec,
    config: AroundConfig,
) -> Velocity | None:
    """The velocity that leads to `place` (m, world) around `obstacles`; None: the planner may approach it straight."""
    offset = np.array(place) - state.pos_xy
    distance = float(np.hypot(*offset))
    if not obstacles or distance < TURNS_BEYOND:  # the last step is always the planner's
        return None
    speed = min(settings.approach_forward, distance)
    # What stands behind the place is not in the way, and nobody keeps farther from things than the place itself is.
    seconds = min(config.seconds, distance / speed)
    config = dataclasses.replace(config, seconds=seconds, margin=_margin(place, obstacles, seconds, config))
    if distance < NEAR:
        facing = dataclasses.replace(state, yaw=float(np.arctan2(offset[1], offset[0])))
        straight = (speed, 0.0, 0.0)
        if around(straight, facing, obstacles, config) == straight:
            return None
    towards = VelocityTowards(
        place, speed=settings.approach_forward, turn_gain=settings.turn_gain, turn_limit=settings.turn_limit
    )
    return around(towards.velocity(state), state, obstacles, config)


def _margin(place: tuple[float, float], obstacles: Sequence[Obstacle], seconds: float, config: AroundConfig) -> float:
    """m that the place leaves around the robot, at most the usual margin."""
    distance, _ = nearest(obstacles, np.array([[*place, config.height]]), np.array([seconds]))
    return float(np.clip(distance[0] - config.radius, _LEAST_MARGIN, config.margin))
