"""How good a retarget is: do stance feet stay put, do soles sink in, joints hit limits, links miss their targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import FEET, G1
from bm_core.motion import MotionClip
from bm_core.rotations import quat_rotate
from bm_training.motions.retarget.contacts import SIDES
from bm_training.motions.retarget.pipeline import Retarget
from bm_training.motions.retarget.robot_size import G1_FOOT_POINTS, SOLE_OUTLINE, SOLE_RADIUS

Array = NDArray[np.floating]

MAX_SLIP = 0.03
"""Mean speed of a foot over one contact above which a retarget fails, m/s."""
MAX_PENETRATION = 0.005
"""m"""
MAX_FLOATING = 0.005
"""Height of a standing point above the floor, m."""


@dataclass(frozen=True, kw_only=True)
class RetargetQuality:
    """Numbers of one retargeted clip."""

    seconds: float
    slip: float
    """Mean horizontal speed of standing heels and toes, m/s."""
    worst_slip: float
    """The same, of the worst single frame, m/s."""
    penetration: float
    """Deepest point of a sole below the floor, m."""
    floating: float
    """Highest a standing heel or toe is above the floor, m."""
    joint_speed: float
    """Largest, rad/s."""
    fastest_joint: str
    limit_margin: float
    """Smallest distance of a joint to the end of its range, rad."""
    pelvis_error: float
    """Mean distance to the target, m."""
    knee_error: float
    elbow_error: float
    wrist_error: float

    @property
    def passed(self) -> bool:
        """Feet neither slip, sink nor float more than the limits above, and all joints are inside their ranges."""
        return (
            self.slip <= MAX_SLIP
            and self.penetration <= MAX_PENETRATION
            and self.floating <= MAX_FLOATING
            and self.limit_margin >= 0.0
        )


def measure(result: Retarget) -> RetargetQuality:
    """Measures the finished clip against what the retarget aimed at."""
    clip, targets = result.clip, result.targets
    heels_and_toes = standing_points(clip)
    held = result.contact[1:] & result.contact[:-1]
    speed = np.linalg.norm(np.diff(heels_and_toes[..., :2], axis=0), axis=-1) * clip.fps
    slips = speed[held] if held.any() else np.zeros(1)
    heights = heels_and_toes[..., 2][result.contact] if result.contact.any() else np.zeros(1)
    joint_speed = np.abs(clip.joint_vel).max(0)
    return RetargetQuality(
        seconds=clip.duration,
        slip=float(slips.mean()),
        worst_slip=float(slips.max()),
        penetration=max(0.0, -float(sole_heights(clip).min())),
        floating=max(0.0, float(heights.max())),
        joint_speed=float(joint_speed.max()),
        fastest_joint=clip.joint_names[int(np.argmax(joint_speed))],
        limit_margin=float(np.minimum(clip.joint_pos - G1.lower, G1.upper - clip.joint_pos).min()),
        pelvis_error=_mean_distance(clip.root_pos, targets.pelvis_pos),
        knee_error=_mean_distance(_pair(clip, "knee_link"), targets.knee_pos),
        elbow_error=_mean_distance(_pair(clip, "elbow_link"), targets.elbow_pos),
        wrist_error=_mean_distance(_pair(clip, "wrist_yaw_link"), targets.wrist_pos),
    )


def standing_points(clip: MotionClip) -> Array:
    """Bottoms of heels and toes, (T, 2 sides, 2 points, 3) m; below the centres of the spheres that end the sole."""
    centres = _on_feet(clip, np.stack(list(G1_FOOT_POINTS.values())))
    return centres - np.array([0.0, 0.0, SOLE_RADIUS])


def sole_heights(clip: MotionClip) -> Array:
    """Lowest point of every sole sphere above the floor, (T, 2 sides, N) m."""
    return _on_feet(clip, SOLE_OUTLINE)[..., 2] - SOLE_RADIUS


def _on_feet(clip: MotionClip, points: Array) -> Array:
    """Points (N, 3) of the ankle_roll frame on both feet in the world, (T, 2, N, 3)."""
    feet = [G1.body_index[name] for name in FEET]
    return clip.body_pos_w[:, feet, None] + quat_rotate(clip.body_quat_w[:, feet, None], points)


def _pair(clip: MotionClip, link: str) -> Array:
    return clip.body_pos_w[:, [G1.body_index[f"{side}_{link}"] for side in SIDES]]


def _mean_distance(first: Array, second: Array) -> float:
    return float(np.linalg.norm(first - second, axis=-1).mean())
