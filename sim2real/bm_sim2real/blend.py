"""Bridges between references: from where the robot is to where a motion begins, and from its end to standing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core import rotations_single as single
from bm_core.errors import ConfigError
from bm_core.g1 import CONTROL_DT, FEET, G1
from bm_core.kinematics import g1_kinematics
from bm_core.motion import MotionClip, clip_from_qpos
from bm_core.reference import MotionReference, Reference, ReferenceFrame, motion_name
from bm_core.rotations import quat_slerp

Array = NDArray[np.float64]

_FEET = [G1.body_index[name] for name in FEET]
_UP = (0.0, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class BlendConfig:
    """How fast a blend may be, and how far apart its ends."""

    shortest_s: float = 0.5
    """s"""
    longest_s: float = 1.5
    """s"""
    joint_speed: float = 1.0
    """rad/s; the joint that has farthest to go sets the time between the two bounds."""
    max_joint: float = 1.5
    """rad between the ends, any joint; farther is refused."""
    max_tilt: float = 0.6
    """rad between the ends, direction of gravity in the torso."""
    max_height: float = 0.15
    """m between the ends, height of the pelvis."""
    max_speed: float = 1.2
    """m/s of the pelvis where the motion begins: nobody jumps from standing onto a running reference."""

    def __post_init__(self) -> None:
        if not 0.0 < self.shortest_s <= self.longest_s:
            raise ConfigError(f"blend: shortest_s = {self.shortest_s}: must be above 0, at most longest_s")


class ChainedReference:
    """`first`, then `second`; the last frame of `first` stands for frame 0 of `second`."""

    def __init__(self, first: Reference, second: Reference) -> None:
        self._first, self._second = first, second
        self.motion = second
        """What follows the blend."""
        self.motion_name = motion_name(second)
        """Already during the blend: the policy is on its way there."""
        self.lead = first.num_frames - 1
        """Frames before `second` begins."""

    @property
    def num_frames(self) -> int:
        return self.lead + self._second.num_frames

    def frame(self, k: int) -> ReferenceFrame:
        return self._first.frame(k) if k < self.lead else self._second.frame(k - self.lead)


def blend(start: ReferenceFrame, end: ReferenceFrame, config: BlendConfig) -> MotionReference:
    """A reference from `start` to `end`, at rest at both. The feet's centre moves straight, the lower sole stays level.

    Interpolating joints alone would lift or sink both feet in between: the pelvis is moved so that it does not.
    """
    return MotionReference(_blend_clip(start, end, blend_seconds(start, end, config)))


def blend_seconds(start: ReferenceFrame, end: ReferenceFrame, config: BlendConfig) -> float:
    """s that a blend between the two frames takes."""
    farthest = float(np.abs(end.joint_pos - start.joint_pos).max())
    return min(max(farthest / config.joint_speed, config.shortest_s), config.longest_s)


def too_far(start: ReferenceFrame, end: ReferenceFrame, config: BlendConfig) -> str:
    """Why `end` cannot be reached from `start` by a blend; empty if it can."""
    apart = np.abs(end.joint_pos - start.joint_pos)
    joint = int(apart.argmax())
    up, up_there = (single.rotate_inverse(frame.anchor_quat_w.tolist(), _UP) for frame in (start, end))
    angle = float(np.arccos(np.clip(np.dot(up, up_there), -1.0, 1.0)))
    height = float(end.body_pos_w[0, 2] - start.body_pos_w[0, 2])
    speed = float(np.linalg.norm(end.body_lin_vel_w[0]))
    if apart[joint] > config.max_joint:
        return f"{G1.joint_names[joint]} is {apart[joint]:.2f} rad away (limit {config.max_joint})"
    if angle > config.max_tilt:
        return f"the torso is tilted {angle:.2f} rad against it (limit {config.max_tilt})"
    if abs(height) > config.max_height:
        return f"the pelvis is {height:+.2f} m away in height (limit {config.max_height})"
    if speed > config.max_speed:
        return f"it begins at {speed:.1f} m/s (limit {config.max_speed})"
    return ""


def still(frame: ReferenceFrame) -> MotionReference:
    """The pose of one frame, held for ever."""
    root_pos, root_quat, joint_pos = (
        np.stack([pose, pose]) for pose in (frame.body_pos_w[0], frame.body_quat_w[0], frame.joint_pos)
    )
    return MotionReference(_clip("still", root_pos, root_quat, joint_pos))


def align_feet(reference: MotionReference, frame: ReferenceFrame) -> None:
    """Moves `reference` so that in its first frame the feet's centre and the torso's heading are those of `frame`."""
    reference.align(frame.anchor_pos_w, frame.anchor_quat_w, 0)
    first = reference.frame(0)
    shift = frame.body_pos_w[_FEET].mean(axis=0) - first.body_pos_w[_FEET].mean(axis=0)
    reference.align(first.anchor_pos_w + shift, frame.anchor_quat_w, 0)


def _blend_clip(start: ReferenceFrame, end: ReferenceFrame, seconds: float) -> MotionClip:
    steps = max(2, round(seconds / CONTROL_DT))
    t = np.linspace(0.0, 1.0, steps + 1)
    s = t**3 * (10.0 - 15.0 * t + 6.0 * t * t)  # minimum jerk: at rest at both ends

    def between(a: Array, b: Array) -> Array:
        return a + s[:, None] * (b - a)

    joint_pos = between(start.joint_pos, end.joint_pos)
    first_quat, last_quat = (np.broadcast_to(frame.body_quat_w[0], (steps + 1, 4)) for frame in (start, end))
    root_quat = np.asarray(quat_slerp(first_quat, last_quat, s), dtype=np.float64)
    root_pos = between(start.body_pos_w[0], end.body_pos_w[0])
    body_pos, _ = g1_kinematics().forward(root_pos, root_quat, joint_pos)
    feet, (first, last) = body_pos[:, _FEET], (frame.body_pos_w[_FEET] for frame in (start, end))
    root_pos[:, :2] += between(first.mean(axis=0)[:2], last.mean(axis=0)[:2]) - feet.mean(axis=1)[:, :2]
    root_pos[:, 2] += first[:, 2].min() + s * (last[:, 2].min() - first[:, 2].min()) - feet[:, :, 2].min(axis=1)
    return _clip("blend", root_pos, root_quat, joint_pos)


def _clip(name: str, root_pos: Array, root_quat: Array, joint_pos: Array) -> MotionClip:
    return clip_from_qpos(name, root_pos, root_quat, joint_pos, 1.0 / CONTROL_DT, made_by="runtime")
