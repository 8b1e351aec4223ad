"""Footsteps, path and ZMP of a command: from standing, or caught from a moving robot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import CONTROL_DT
from bm_core.locomotion.command_path import CommandPath
from bm_core.locomotion.config import COM_HEIGHT, SOLE_HEIGHT, GaitConfig
from bm_core.locomotion.dcm import com_of_zmp
from bm_core.locomotion.footsteps import (
    LEFT,
    RIGHT,
    FootPlace,
    FootPlan,
    Opening,
    foot_offset,
    plan_footsteps,
    standing_places,
    step_frames,
)
from bm_core.locomotion.gait_state import NATURAL_FREQUENCY, StartState
from bm_core.locomotion.planar import ease, place, seen_from
from bm_core.locomotion.zmp import planned_zmp

Array = NDArray[np.floating]

_PREVIEW_FRAMES = 120
"""A plan that ends in mid-walk goes on this long: exp(-2.4 s x 3.8 /s) of its end is felt in the last frame kept."""
_AT_REST_FRAMES = 60
"""One that has stood this long by its last frame needs no more."""

_LARGEST_MOMENT = 0.3
"""What swinging limbs may take from the ZMP, m; more is an artefact of a rough motion's first frames."""

_FARTHEST_STEP = np.array([0.5, 0.42])
"""From the supporting foot to the foothold that catches the robot, m forward and sideways."""
_SOONEST, _LATEST = 3, 17
"""Frames until a foot lands that is in the air at the start."""


@dataclass(frozen=True)
class WalkPlan:
    """A plan of T frames or a little more."""

    steps: FootPlan
    zmp: Array
    """(T, 2) m"""
    path: Array
    """(T, 3) m, m, rad"""
    velocity: Array
    """(T, 3) of the path, in its yaw frame."""


def plan_from_standing(commands: Array, config: GaitConfig) -> WalkPlan:
    """From standing at the origin; commands (T, 3)."""
    opening = Opening(standing_places(np.zeros(3), config))
    return _plan(commands, config, np.zeros(3), np.zeros(3), opening)


def plan_from_motion(commands: Array, config: GaitConfig, start: StartState, moment: Array | None = None) -> WalkPlan:
    """From a moving robot: the footholds are shifted until the CoM may start where and as fast as it is.

    `moment` (>= T, 2) m is what the swinging limbs take from the ZMP, if a similar plan has shown it.
    """
    opening, pose = _opening(start, config)
    if opening.side is None or start.is_still:
        return _plan(commands, config, pose, np.zeros(3), opening)
    landing = opening.land if opening.land is not None else opening.lift + config.swing_frames
    growth = float(np.exp(NATURAL_FREQUENCY * CONTROL_DT * (landing + config.double_support_frames // 2)))
    shift = np.zeros(2)
    plan = _plan(commands, config, pose, start.velocity, opening)
    turned = np.array([0.0, 0.0, pose[2]])
    first = plan.steps.walks[0].steps[0].end.pose[:2] - start.feet[start.support].pos[:2]
    stride = seen_from(turned, first)
    for _ in range(3):
        # What the next foothold has to make up for has grown by then like the DCM itself.
        missing = _dcm_error(plan, start, moment) * growth
        wanted = stride + seen_from(turned, shift + missing)
        shift = place(turned, np.clip(wanted, -_FARTHEST_STEP, _FARTHEST_STEP) - stride)
        plan = _plan(commands, config, pose + np.append(shift, 0.0), start.velocity, opening)
    return plan


def _plan(commands: Array, config: GaitConfig, pose: Array, velocity: Array, opening: Opening) -> WalkPlan:
    total = len(commands) + _PREVIEW_FRAMES
    path = CommandPath(commands, config, pose, velocity)
    steps = plan_footsteps(path, total, config, opening)
    rest = steps.walks[-1].rest if steps.walks else 0
    if rest is not None and rest + _AT_REST_FRAMES <= len(commands):
        total = len(commands)
    return WalkPlan(steps, planned_zmp(steps, total, config), path.poses(total), path.velocities(total))


def _dcm_error(plan: WalkPlan, start: StartState, moment: Array | None) -> Array:
    """By how much the DCM is ahead of the one that the plan would need at frame 0, (2,) m."""
    zmp = plan.zmp
    if moment is not None:
        frames = min(len(zmp), len(moment))
        zmp = zmp.copy()
        zmp[:frames] -= np.clip(moment[:frames], -_LARGEST_MOMENT, _LARGEST_MOMENT)
    com = com_of_zmp(zmp, np.full(len(zmp), COM_HEIGHT), start.com[:2])
    acceleration = NATURAL_FREQUENCY**2 * (com[0] - zmp[0])
    velocity = (com[1] - com[0]) / CONTROL_DT - 0.5 * CONTROL_DT * acceleration
    return (start.com_vel[:2] - velocity) / NATURAL_FREQUENCY


def _opening(start: StartState, config: GaitConfig) -> tuple[Opening, Array]:
    """How the plan begins and the pose (3,) from which the path goes on."""
    left, right = (_place_of(start, side, config) for side in (LEFT, RIGHT))
    places = (left, right)
    if start.is_still:
        yaw = start.feet[LEFT].yaw + 0.5 * _angle(start.feet[RIGHT].yaw - start.feet[LEFT].yaw)
        middle = 0.5 * (start.feet[LEFT].pos + start.feet[RIGHT].pos)
        pose = np.array([middle[0], middle[1], yaw])
        if _stands_well(start, pose, config):
            return Opening(places), pose
        return Opening(places, side=1 - start.support, lift=config.shift_frames), pose
    pose = np.array([start.root_pos[0], start.root_pos[1], start.heading])
    side = 1 - start.support
    swing, double = step_frames(start.velocity, config)
    if not start.is_airborne:
        return Opening(places, side=side, lift=_frames_to_lift(start, double, config), is_rolling=True), pose
    land = _frames_to_land(start, swing, double, config)
    airborne = start.feet[side]
    return Opening(places, side=side, lift=land - swing, land=land, airborne=airborne, is_rolling=True), pose


def _place_of(start: StartState, side: int, config: GaitConfig) -> FootPlace:
    pose = start.feet[side].pose
    offset = foot_offset(side, start.velocity, config)
    return FootPlace(np.append(place(pose, -offset), pose[2]), offset)


def _stands_well(start: StartState, pose: Array, config: GaitConfig) -> bool:
    """The feet are next to each other, parallel, about as far apart as they should be."""
    stance = seen_from(pose, start.feet[LEFT].pos[:2]) - seen_from(pose, start.feet[RIGHT].pos[:2])
    turn = _angle(start.feet[LEFT].yaw - start.feet[RIGHT].yaw)
    return abs(stance[0]) < 0.04 and abs(stance[1] - config.stand_width) < 0.05 and abs(turn) < 0.15


def _frames_to_lift(start: StartState, double: int, config: GaitConfig) -> int:
    """From when the CoM passes, or passed, the middle between the soles: half-way through the double support."""
    support, other = start.feet[start.support].pos[:2], start.feet[1 - start.support].pos[:2]
    way = (support - other) / max(float(np.linalg.norm(support - other)), 1e-6)
    speed = float(start.com_vel[:2] @ way)
    if speed < 0.1:
        return double
    middle = place(np.array([*(0.5 * (support + other)), start.heading]), np.array([config.zmp_forward, 0.0]))
    elapsed = float((start.com[:2] - middle) @ way) / speed / CONTROL_DT
    return int(np.clip(round(0.5 * double - elapsed), 1, double))


def _frames_to_land(start: StartState, swing: int, double: int, config: GaitConfig) -> int:
    """From how far the foot has swung past the other one, or in a slow walk or sidestep from its height."""
    foot = start.feet[1 - start.support]
    forward = float(start.velocity[0])
    if abs(forward) > 0.2:
        body = np.array([*start.feet[start.support].pos[:2], start.heading])
        progress = 0.5 + 0.5 * float(seen_from(body, foot.pos[:2])[0]) / (forward * (swing + double) * CONTROL_DT)
        grid = np.linspace(0.0, 1.0, 33)
        elapsed = float(np.interp(progress, ease(grid), grid))
    else:
        # The inverse of `bump`.
        height = float(np.clip((foot.pos[2] - SOLE_HEIGHT) / config.swing_clearance, 0.0, 1.0))
        elapsed = 0.5 - 0.5 * float(np.sqrt(1.0 - np.sqrt(height)))
        elapsed = elapsed if foot.vel[2] > 0.0 else 1.0 - elapsed
    return int(np.clip(round(swing * (1.0 - elapsed)), _SOONEST, _LATEST))


def _angle(angle: float) -> float:
    return float(np.angle(np.exp(1j * angle)))
