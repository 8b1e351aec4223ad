"""What is wrong with a motion clip: faults, for which it is refused; what makes it unfit to be tracked; warnings."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.clip_validation import limit_overshoot
from bm_core.errors import ClipError
from bm_core.g1 import FEET, G1
from bm_core.motion import MotionClip, load_clip
from bm_core.rotations import quat_angle, quat_rotate
from bm_training.motions.collision_shapes import CollisionShapes

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class WarningLimits:
    """From where on a measure is worth a warning."""

    penetration: float = 0.02
    """m that a collision shape lies below the floor."""
    floor_gap: float = 0.03
    """m, median height of the lowest point: the whole clip floats or is sunk."""
    joint_speed: float = 1.0
    """Fraction of the motor's no-load speed."""
    limit_overshoot: float = 0.005
    """rad outside the joint's range."""
    foot_slide: float = 0.1
    """m/s, median over the frames in which a sole is on the floor."""
    self_collision: float = 0.02
    """m that two collision shapes overlap."""
    start_distance: float = 1.0
    """rad of the worst joint between the first frame and the default pose: entering the clip is a long way."""


@dataclass(frozen=True, kw_only=True)
class UnfitLimits:
    """Beyond these no robot can track the clip as given. A fixed rule and no option: all leave out the same clips."""

    penetration: float = 0.10
    """m that a collision shape lies below the floor, where the floor keeps the robot from following."""


UNFIT = UnfitLimits()


@dataclass(frozen=True, kw_only=True)
class ClipMeasures:
    """Numbers of one clip. "Frames" are counted at 50 fps."""

    penetration: float
    """Deepest point below the floor, m."""
    penetration_frames: int
    """Frames deeper than the limit."""
    floor_gap: float
    """Median height of the lowest point, m."""
    joint_speed: float
    """Largest fraction of a motor's no-load speed."""
    fastest_joint: str
    limit_overshoot: float
    """rad"""
    overshooting_joint: str
    foot_slide: float
    """Median horizontal speed of the lowest point of the standing foot, m/s."""
    self_collision_frames: int
    """Frames in which two links overlap by more than the limit."""
    self_collision_pair: str
    """The links that overlap most often."""
    jumps: int
    """Steps out of proportion to those around them: a cut, or a wrapped angle."""
    jump_frame: int
    """Where the largest is; -1: none."""
    start_distance: float
    """rad, worst joint of the first frame against the default pose."""


@dataclass(frozen=True, kw_only=True)
class ClipCheck:
    """The verdict on one file."""

    path: Path
    name: str
    seconds: float = 0.0
    fault: str | None = None
    """Why the file is refused; None if it can be used."""
    measures: ClipMeasures | None = None
    unfit: tuple[str, ...] = field(default=())
    """Names of the measures by which no robot can track the clip as given; empty: fit."""
    warnings: tuple[str, ...] = field(default=())
    """Names of the measures beyond their limit."""

    @property
    def is_fit(self) -> bool:
        """Neither refused nor unfit."""
        return self.fault is None and not self.unfit

    def row(self) -> dict[str, Any]:
        """As one flat row of the JSON document."""
        measures = {f.name: None for f in fields(ClipMeasures)} if self.measures is None else asdict(self.measures)
        return {
            "clip": self.name,
            "path": str(self.path),
            "seconds": self.seconds,
            "fault": self.fault,
            "unfit": list(self.unfit),
            "warnings": list(self.warnings),
            **measures,
        }


def check_file(
    path: Path, shapes: CollisionShapes, limits: WarningLimits, *, fps: float | None = None, quat: str | None = None
) -> ClipCheck:
    """Load and measure one motion file; a refusal becomes the fault of the result. Arguments as in load_clip."""
    try:
        clip = load_clip(path, fps=fps, quat=quat)
    except ClipError as error:
        return ClipCheck(path=path, name=path.stem, fault=str(error))
    measures = measure_clip(clip, shapes, limits)
    return ClipCheck(
        path=path,
        name=clip.name,
        seconds=clip.duration,
        measures=measures,
        unfit=unfit_of(measures),
        warnings=warnings_of(measures, limits),
    )


def measure_clip(clip: MotionClip, shapes: CollisionShapes, limits: WarningLimits) -> ClipMeasures:
    """All numbers of one clip."""
    lowest = shapes.lowest_heights(clip.body_pos_w, clip.body_quat_w).min(axis=1)
    speed = np.abs(clip.joint_vel) / G1.velocity
    overshoot = limit_overshoot(clip.joint_pos).max(axis=0)
    touching, pair = shapes.self_collisions(clip.root_pos, clip.root_quat, clip.joint_pos, limits.self_collision)
    jumps = find_jumps(clip)
    return ClipMeasures(
        penetration=max(0.0, -float(lowest.min())),
        penetration_frames=int(np.count_nonzero(lowest < -limits.penetration)),
        floor_gap=float(np.median(lowest)),
        joint_speed=float(speed.max()),
        fastest_joint=G1.joint_names[int(np.argmax(speed.max(axis=0)))],
        limit_overshoot=float(overshoot.max()),
        overshooting_joint=G1.joint_names[int(np.argmax(overshoot))] if overshoot.max() > 0.0 else "",
        foot_slide=foot_slide(clip, shapes),
        self_collision_frames=int(np.count_nonzero(touching)),
        self_collision_pair=pair,
        jumps=len(jumps),
        jump_frame=jumps[0] if jumps else -1,
        start_distance=float(np.abs(clip.joint_pos[0] - G1.default_joint_pos).max()),
    )


def unfit_of(measures: ClipMeasures) -> tuple[str, ...]:
    """Names of the measures for which the clip is unfit."""
    return ("penetration",) if measures.penetration > UNFIT.penetration else ()


def warnings_of(measures: ClipMeasures, limits: WarningLimits) -> tuple[str, ...]:
    """Names of the measures that are beyond their limit."""
    beyond = {
        "penetration": measures.penetration > limits.penetration,
        "floor_gap": abs(measures.floor_gap) > limits.floor_gap,
        "joint_speed": measures.joint_speed > limits.joint_speed,
        "limit_overshoot": measures.limit_overshoot > limits.limit_overshoot,
        "foot_slide": measures.foot_slide > limits.foot_slide,
        "self_collision": measures.self_collision_frames > 0,
        "jumps": measures.jumps > 0,
        "start_distance": measures.start_distance > limits.start_distance,
    }
    return tuple(name for name, is_beyond in beyond.items() if is_beyond)


ON_FLOOR = 0.015
"""m; a sole whose lowest point is below this stands."""


def foot_slide(clip: MotionClip, shapes: CollisionShapes) -> float:
    """Median horizontal speed of the lowest point of the lower foot while it stands, m/s; 0 if none ever does.

    The lower foot and the median, because swinging feet of real retargets pass as close to the floor as standing ones.
    """
    heights, speeds = [], []
    for foot in FEET:
        body = G1.body_index[foot]
        arms = quat_rotate(clip.body_quat_w[:, body, None], shapes.end_points(foot))
        height = clip.body_pos_w[:, body, None, 2] + arms[..., 2] - shapes.end_radius(foot)
        lowest = np.argmin(height, axis=1)[:, None]
        arm = np.take_along_axis(arms, lowest[..., None], axis=1)[:, 0]
        velocity = clip.body_lin_vel_w[:, body] + np.cross(clip.body_ang_vel_w[:, body], arm)
        heights.append(np.take_along_axis(height, lowest, axis=1)[:, 0])
        speeds.append(np.linalg.norm(velocity[:, :2], axis=-1))
    lower = np.argmin(heights, axis=0)
    stands = np.min(heights, axis=0) < ON_FLOOR
    speed = np.where(lower == 0, speeds[0], speeds[1])[stands]
    return float(np.median(speed)) if len(speed) else 0.0


# A step counts as a jump from this size on (joint rad, root m, root rad), if it is also JUMP_RATIO times larger than
# every step around it: a kick is fast before and after, a cut is not.
JUMP_STEPS = {"joint": 0.2, "root_pos": 0.05, "root_rot": 0.2}
JUMP_RATIO = 4.0
JUMP_SPREAD = 2
"""Frames over which resampling may smear one step of the source."""


def find_jumps(clip: MotionClip) -> list[int]:
    """Frames behind a discontinuity, the largest first."""
    steps = {
        "joint": np.abs(np.diff(clip.joint_pos, axis=0)).max(axis=1, initial=0.0),
        "root_pos": np.linalg.norm(np.diff(clip.root_pos, axis=0), axis=-1),
        "root_rot": quat_angle(clip.root_quat[:-1], clip.root_quat[1:]),
    }
    found: dict[int, float] = {}
    for name, step in steps.items():
        around = _largest_around(step)
        for index in np.flatnonzero((step > JUMP_STEPS[name]) & (step > JUMP_RATIO * around)):
            found[int(index) + 1] = max(found.get(int(index) + 1, 0.0), float(step[index] / JUMP_STEPS[name]))
    # Neighbouring frames belong to one jump: keep the largest of each run.
    frames = sorted(found, key=lambda frame: -found[frame])
    kept: list[int] = []
    for frame in frames:
        if all(abs(frame - other) > JUMP_SPREAD for other in kept):
            kept.append(frame)
    return kept


def _largest_around(step: Array) -> Array:
    """Largest step within a few frames, but farther away than one jump can be smeared."""
    around = np.zeros_like(step)
    for shift in range(JUMP_SPREAD + 1, JUMP_SPREAD + 4):
        around[shift:] = np.maximum(around[shift:], step[:-shift])
        around[:-shift] = np.maximum(around[:-shift], step[shift:])
    return around
