"""Footsteps from a command: each foot is set down where the path will be in the middle of that foot's support.

So the mean velocity is the command's exactly, in steady state, and the feet end parallel wherever the path ends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import CONTROL_DT
from bm_core.locomotion.command_path import STILL, CommandPath
from bm_core.locomotion.config import GaitConfig
from bm_core.locomotion.gait_state import FootState
from bm_core.locomotion.planar import place, seen_from

Array = NDArray[np.floating]

LEFT, RIGHT = 0, 1


@dataclass(frozen=True)
class FootPlace:
    """Where a foot stands: an offset from a pose on the path, so that its swing can follow the path's arc."""

    base: Array
    """(3,) path pose; the foot has its yaw."""
    offset: Array
    """(2,) m, of the ankle in the frame of the base."""

    @property
    def pose(self) -> Array:
        """(3,) ankle x, y and the foot's yaw."""
        return np.append(place(self.base, self.offset), self.base[2])


@dataclass(frozen=True)
class Step:
    """One swing of one foot."""

    side: int
    lift: int
    """Last frame on the ground."""
    land: int
    """First frame on the ground again."""
    start: FootPlace
    end: FootPlace
    velocity: Array
    """(3,) of the path in the middle of the support that follows."""
    airborne: FootState | None = None
    """How the foot moves at frame 0, if the plan starts in the middle of this swing."""


@dataclass(frozen=True)
class Walk:
    """From standing to standing."""

    go: int
    """Frame at which the weight begins to shift."""
    steps: list[Step]
    rest: int | None
    """First frame of centred standing; None if the plan ends in mid-walk."""
    is_rolling: bool = False
    """It begins in mid-walk, at `go` <= 0, with the weight on the foot that lifts first."""


@dataclass(frozen=True)
class FootPlan:
    """What the feet do, over all frames."""

    initial: tuple[FootPlace, FootPlace]
    walks: list[Walk]

    @property
    def steps(self) -> list[Step]:
        """Of all walks, in time."""
        return [step for walk in self.walks for step in walk.steps]


def step_frames(speed: Array, config: GaitConfig) -> tuple[int, int]:
    """Frames of single and double support at a speed (3,)."""
    forward = min(1.0, abs(float(speed[0])) / config.max_speed[0])
    sideways = min(1.0, abs(float(speed[1])) / config.max_speed[1])
    faster = round(config.fast_saving * max(forward, sideways))
    return config.swing_frames - faster - round(config.side_saving * sideways), config.double_support_frames - faster


def foot_offset(side: int, speed: Array, config: GaitConfig) -> Array:
    """Offset (2,) of a foot from the path: narrower at speed, wider in sidesteps, which close to the least width."""
    moving = min(1.0, float(np.hypot(speed[0], speed[1])) / 0.3 + abs(float(speed[2])) / 0.6)
    width = config.stand_width + moving * (config.walk_width - config.stand_width)
    swing, double = step_frames(speed, config)
    travel = abs(float(speed[1])) * (swing + double) * CONTROL_DT
    # Turning on the spot points the toes at each other.
    width = max(width, config.min_width + travel) + 0.02 * abs(float(speed[2]))
    return np.array([0.0, 0.5 * width if side == LEFT else -0.5 * width])


def first_side(command: Array, config: GaitConfig) -> int:
    """The foot that steps first from standing."""
    lateral = command[1] / config.max_speed[1] + command[2] / config.max_speed[2]
    if abs(lateral) > 0.05:
        return LEFT if lateral > 0.0 else RIGHT
    return LEFT if config.first_step == "left" else RIGHT


def standing_places(pose: Array, config: GaitConfig) -> tuple[FootPlace, FootPlace]:
    """Both feet parallel about a pose (3,)."""
    still = np.zeros(3)
    return (
        FootPlace(pose, foot_offset(LEFT, still, config)),
        FootPlace(pose, foot_offset(RIGHT, still, config)),
    )


@dataclass(frozen=True)
class Opening:
    """How a plan begins."""

    places: tuple[FootPlace, FootPlace]
    side: int | None = None
    """Foot that moves at once; None: the robot stands until a command comes."""
    lift: int = 0
    """Frame at which it leaves the ground; 0 or before: it is in the air."""
    land: int | None = None
    """Frame at which the foot in the air lands."""
    airborne: FootState | None = None
    is_rolling: bool = False
    """The robot is in mid-walk; else it shifts its weight before the foot lifts."""


def plan_footsteps(path: CommandPath, num_frames: int, config: GaitConfig, opening: Opening) -> FootPlan:
    """All steps that start before `num_frames`."""
    places = list(opening.places)
    walks: list[Walk] = []
    frame: int | None = 0
    if opening.side is not None:
        first = _next_step(path, opening.side, opening.lift, places, config, opening.land, opening.airborne)
        walk = _walk_on(path, 0, first, places, num_frames, config)
        if opening.is_rolling:
            walk = replace(walk, go=opening.lift - step_frames(path.velocity(0), config)[1], is_rolling=True)
        walks.append(walk)
        frame = walk.rest
    while frame is not None:
        go = path.next_command(frame)
        if go is None or go >= num_frames:
            break
        walk = _walk(path, go, places, num_frames, config)
        walks.append(walk)
        frame = walk.rest
    return FootPlan(initial=opening.places, walks=walks)


def _walk(path: CommandPath, go: int, places: list[FootPlace], num_frames: int, config: GaitConfig) -> Walk:
    """From standing to the next standing; moves `places` along."""
    lift = go + config.shift_frames
    command = path.command(lift)
    # The first support stands still: the path starts in its middle.
    path.hold(lift + step_frames(command, config)[0] // 2)
    first = _next_step(path, first_side(command, config), lift, places, config)
    return _walk_on(path, go, first, places, num_frames, config)


def _walk_on(
    path: CommandPath, go: int, step: Step, places: list[FootPlace], num_frames: int, config: GaitConfig
) -> Walk:
    """The first step and those after it, until the feet are closed or the plan is full."""
    steps = [step]
    places[step.side] = step.end
    while step.land < num_frames:
        if np.abs(step.velocity).max() < 1e-9 and _are_closed(places, config) and _is_still(path, step.land, config):
            return Walk(go=go, steps=steps, rest=step.land + config.settle_frames)
        lift = step.land + step_frames(step.velocity, config)[1]
        step = _next_step(path, 1 - step.side, lift, places, config)
        steps.append(step)
        places[step.side] = step.end
    return Walk(go=go, steps=steps, rest=None)


def _next_step(
    path: CommandPath,
    side: int,
    lift: int,
    places: list[FootPlace],
    config: GaitConfig,
    land: int | None = None,
    airborne: FootState | None = None,
) -> Step:
    path.follow(lift)
    swing, double = step_frames(path.velocity(max(lift, 0)), config)
    land = lift + swing if land is None else land
    middle = land + double + swing // 2
    path.follow(middle)
    speed = path.velocity(middle)
    end = FootPlace(path.pose(middle), foot_offset(side, speed, config))
    return Step(side, lift, land, places[side], _kept_apart(end, side, places[1 - side], config), speed, airborne)


def _kept_apart(foot: FootPlace, side: int, other: FootPlace, config: GaitConfig) -> FootPlace:
    """The place moved outwards if it is too close to the other foot, sideways in the mean heading of the two."""
    mean = np.array([*other.pose[:2], 0.5 * (foot.base[2] + other.base[2])])
    outward = 1.0 if side == LEFT else -1.0
    missing = config.min_width - outward * float(seen_from(mean, foot.pose[:2])[1])
    return foot if missing <= 0.0 else FootPlace(foot.base, foot.offset + np.array([0.0, outward * missing]))


def _are_closed(places: list[FootPlace], config: GaitConfig) -> bool:
    """Both feet stand where they would about the pose of the last step."""
    wanted = standing_places(places[LEFT].base, config)
    return all(np.abs(place.pose - want.pose).max() < 1e-9 for place, want in zip(places, wanted, strict=True))


def _is_still(path: CommandPath, frame: int, config: GaitConfig) -> bool:
    """No new command before the robot would stand: else it goes on stepping on the spot."""
    ahead = [path.command(frame + k) for k in range(0, config.settle_frames, 4)]
    return bool(np.abs(ahead).max() <= STILL)
