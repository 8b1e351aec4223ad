"""The ZMP that the plan wants: on the supporting sole, handed over in double support, centred when standing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bm_core.locomotion.config import GaitConfig
from bm_core.locomotion.footsteps import LEFT, FootPlace, FootPlan, Step
from bm_core.locomotion.planar import place

Array = NDArray[np.floating]


def planned_zmp(plan: FootPlan, num_frames: int, config: GaitConfig) -> Array:
    """(num_frames, 2) m, world."""
    places = list(plan.initial)
    knots = [(0, _centre(places, config))]
    for walk in plan.walks:
        if walk.is_rolling:
            first = walk.steps[0].side
            knots = [(walk.go, _on_sole(places[first], first, _roll(walk.steps[0], config), config))]
        else:
            knots.append((walk.go, _centre(places, config)))
        for step in walk.steps:
            support = places[1 - step.side]
            roll = _roll(step, config)
            knots.append((step.lift, _on_sole(support, 1 - step.side, -roll, config)))
            knots.append((step.land, _on_sole(support, 1 - step.side, roll, config)))
            places[step.side] = step.end
        if walk.rest is not None:
            knots.append((walk.rest, _centre(places, config)))
    frames = np.array([frame for frame, _ in knots])
    points = np.array([point for _, point in knots])
    query = np.arange(num_frames)
    return np.stack([np.interp(query, frames, points[:, axis]) for axis in (0, 1)], axis=-1)


def _roll(step: Step, config: GaitConfig) -> float:
    return config.zmp_roll * float(np.clip(step.velocity[0], -1.0, 1.0))


def _on_sole(foot: FootPlace, side: int, ahead: float, config: GaitConfig) -> Array:
    inward = -config.zmp_inward if side == LEFT else config.zmp_inward
    return place(foot.pose, np.array([config.zmp_forward + ahead, inward]))


def _centre(places: list[FootPlace], config: GaitConfig) -> Array:
    return np.mean([_on_sole(foot, side, 0.0, config) for side, foot in enumerate(places)], axis=0)
