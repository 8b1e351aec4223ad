"""From a human capture to what the G1's links shall do: the same directions, the robot's own lengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from bm_core.rotations import quat_from_yaw, quat_rotate, yaw_from_quat
from bm_training.motions.retarget.capture import HumanCapture
from bm_training.motions.retarget.contacts import SIDES
from bm_training.motions.retarget.robot_size import ANKLE_HEIGHT, HumanSize, RobotSize

Array = NDArray[np.floating]

_MAX_LEG_EXTENSION = 0.98
"""Of hip to ankle, as a share of the straight leg: 0.985 keeps the knee bent by some 0.35 rad, off its singularity."""
_DROP_SECONDS = 0.15
"""The pelvis begins to sink this long before a leg would be too short, and rises as slowly, s."""


@dataclass(frozen=True, kw_only=True)
class BodyTargets:
    """World-frame targets of the G1's links, floor at z = 0; sides are left, right."""

    pelvis_pos: Array
    """(T, 3)"""
    pelvis_quat: Array
    """(T, 4)"""
    torso_quat: Array
    """(T, 4)"""
    foot_pos: Array
    """ankle_roll_link (T, 2, 3)"""
    foot_quat: Array
    """(T, 2, 4)"""
    knee_pos: Array
    """(T, 2, 3)"""
    elbow_pos: Array
    """(T, 2, 3)"""
    wrist_pos: Array
    """wrist_yaw_link (T, 2, 3)"""

    @property
    def num_frames(self) -> int:
        return len(self.pelvis_pos)


def body_targets(capture: HumanCapture, human: HumanSize, robot: RobotSize) -> BodyTargets:
    """Scales ground covered, root height and legs by the leg lengths, and each arm segment by its own.

    The capture's floor must be level at zero. Feet are moved apart by the difference of the hip widths, so that legs
    hang as they did; where a foot stands and where it slips is decided in footsteps.py.
    """
    scale = robot.leg / human.leg
    pelvis_quat, torso_quat = capture.quat("pelvis"), capture.quat("torso")
    # The sides' own hips and feet move apart along the heading only: a rolled pelvis must not lift a foot.
    lateral = quat_rotate(quat_from_yaw(yaw_from_quat(pelvis_quat)), np.array([0.0, 1.0, 0.0]))
    widening = robot.half_hip_width - scale * human.half_hip_width
    feet = []
    for sign, side in zip((1.0, -1.0), SIDES, strict=True):
        foot = _to_robot_floor(capture.pos(f"{side}_foot"), scale, human.ankle_height)
        feet.append(foot + sign * widening * lateral)
    foot_pos = np.stack(feet, axis=1)
    human_hip_centre = 0.5 * (capture.pos("left_thigh") + capture.pos("right_thigh"))
    hip_centre = _to_robot_floor(human_hip_centre, scale, human.ankle_height)
    pelvis_pos = hip_centre - quat_rotate(pelvis_quat, robot.hip_centre)
    return BodyTargets(
        pelvis_pos=pelvis_pos,
        pelvis_quat=pelvis_quat,
        torso_quat=torso_quat,
        foot_pos=foot_pos,
        foot_quat=np.stack([capture.quat(f"{side}_foot") for side in SIDES], axis=1),
        **_limb_targets(capture, robot, pelvis_pos, pelvis_quat, torso_quat),
    )


def _to_robot_floor(pos: Array, scale: float, human_ankle_height: float) -> Array:
    # A flat human foot maps to a flat robot foot: ankle heights coincide, only what is above them is scaled.
    return scale * (pos - np.array([0.0, 0.0, human_ankle_height])) + np.array([0.0, 0.0, ANKLE_HEIGHT])


def _limb_targets(
    capture: HumanCapture, robot: RobotSize, pelvis_pos: Array, pelvis_quat: Array, torso_quat: Array
) -> dict[str, Array]:
    knees, elbows, wrists = [], [], []
    torso_pos = pelvis_pos + quat_rotate(pelvis_quat, robot.torso_origin)
    for sign, side in zip((1.0, -1.0), SIDES, strict=True):
        hip = pelvis_pos + quat_rotate(pelvis_quat, robot.hip(sign))
        knees.append(hip + robot.thigh * _direction(capture, f"{side}_thigh", f"{side}_shin"))
        shoulder = torso_pos + quat_rotate(torso_quat, robot.shoulder[side])
        elbow = shoulder + robot.upper_arm * _direction(capture, f"{side}_upper_arm", f"{side}_lower_arm")
        elbows.append(elbow)
        wrists.append(elbow + robot.forearm * _direction(capture, f"{side}_lower_arm", f"{side}_hand"))
    stacked = {"knee_pos": knees, "elbow_pos": elbows, "wrist_pos": wrists}
    return {name: np.stack(sides, axis=1) for name, sides in stacked.items()}


def _direction(capture: HumanCapture, start: str, end: str) -> Array:
    segment = capture.pos(end) - capture.pos(start)
    return segment / np.linalg.norm(segment, axis=-1, keepdims=True)


def within_leg_reach(targets: BodyTargets, robot: RobotSize, fps: float) -> Array:
    """Pelvis positions (T, 3) lowered, smoothly, just so far that both ankles can be reached with bent knees."""
    reach = _MAX_LEG_EXTENSION * robot.leg
    need = np.zeros(targets.num_frames)
    for index, sign in enumerate((1.0, -1.0)):
        hip = targets.pelvis_pos + quat_rotate(targets.pelvis_quat, robot.hip(sign))
        to_hip = hip - targets.foot_pos[:, index]
        # A foot farther away than a leg is long, even with the hip at its height, is left to the solver.
        allowed = np.sqrt(np.maximum(reach**2 - np.square(to_hip[:, :2]).sum(-1), (0.5 * reach) ** 2))
        need = np.maximum(need, to_hip[:, 2] - allowed)
    # The maximum is held for two standard deviations to both sides, so that smoothing does not undercut it.
    sigma = 0.5 * _DROP_SECONDS * fps
    drop = gaussian_filter1d(maximum_filter1d(need, 4 * round(sigma) + 1, mode="nearest"), sigma, mode="nearest")
    return targets.pelvis_pos - drop[:, None] * np.array([0.0, 0.0, 1.0])
