"""Whole-body walking motion from a velocity command, at 50 Hz."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import G1
from bm_core.kinematics import g1_kinematics
from bm_core.locomotion.command_path import CommandPath
from bm_core.locomotion.config import GaitConfig
from bm_core.locomotion.dcm import com_of_zmp
from bm_core.locomotion.feet import FootMotion, foot_motion
from bm_core.locomotion.footsteps import plan_footsteps
from bm_core.locomotion.leg_ik import LEG_JOINTS, guess_legs, solve_legs
from bm_core.locomotion.mass_model import g1_masses
from bm_core.locomotion.upper_body import pelvis_height, smooth, stride_of, upper_joints
from bm_core.locomotion.zmp import planned_zmp
from bm_core.rotations import (
    matrix_from_quat,
    quat_conjugate,
    quat_from_euler_xyz,
    quat_multiply,
    quat_rotate_inverse,
)

Array = NDArray[np.float64]

_PREVIEW_FRAMES = 120
"""The plan goes on this long after the last frame asked for: exp(-2.4 s / 0.27 s) of its end is felt there."""

_YAW_SMOOTHING = 6
"""Frames to either side over which the pelvis' heading is averaged."""


@dataclass(frozen=True)
class GeneratedMotion:
    """A motion and what it was planned from; T frames of 20 ms, world frame."""

    root_pos: Array
    """(T, 3) m, pelvis origin."""
    root_quat: Array
    """(T, 4) wxyz"""
    joint_pos: Array
    """(T, 29) rad, canonical order."""
    foot_contact: NDArray[np.bool_]
    """(T, 2), left first."""
    foot_pos: Array
    """(T, 2, 3) m, planned ankle origins."""
    com: Array
    """(T, 3) m, of all bodies."""
    zmp: Array
    """(T, 2) m, planned; all bodies follow it within millimetres."""
    velocity: Array
    """(T, 3) slew-limited command of the path: m/s, m/s, rad/s in the yaw frame."""
    ik_error: float
    """Largest error of an ankle, m + rad."""


@dataclass
class _Pose:
    """The frames under construction."""

    root_pos: Array
    root_quat: Array
    joint_pos: Array
    legs: Array
    ik_error: float = 0.0


def generate(commands: Array, config: GaitConfig | None = None) -> GeneratedMotion:
    """The motion that follows `commands` (T, 3) vx, vy m/s, wz rad/s at 50 Hz, from standing at the origin.

    Commands are clamped to the config's speeds; the last one is taken to go on. ConfigError for a wrong shape.
    """
    config = config or GaitConfig()
    num_frames = len(commands)
    total = num_frames + _PREVIEW_FRAMES
    path = CommandPath(commands, config, np.zeros(3), np.zeros(3))
    plan = plan_footsteps(path, total, config)
    feet = foot_motion(plan, total, config)
    zmp = planned_zmp(plan, total, config)
    poses, velocity = path.poses(total), path.velocities(total)
    pose, com = _whole_body(feet, zmp, smooth(smooth(poses[:, 2], _YAW_SMOOTHING), _YAW_SMOOTHING), velocity, config)
    keep = slice(0, num_frames)
    return GeneratedMotion(
        root_pos=pose.root_pos[keep],
        root_quat=pose.root_quat[keep],
        joint_pos=pose.joint_pos[keep],
        foot_contact=feet.contact[keep],
        foot_pos=feet.pos[keep],
        com=com[keep],
        zmp=zmp[keep],
        velocity=velocity[keep],
        ik_error=pose.ik_error,
    )


def _whole_body(
    feet: FootMotion, zmp: Array, heading: Array, velocity: Array, config: GaitConfig
) -> tuple[_Pose, Array]:
    """Pelvis and joints such that the ZMP of all bodies is `zmp`."""
    tree, masses = g1_kinematics(), g1_masses()
    stride = stride_of(feet, heading)
    lean = config.lean * smooth(smooth(velocity[:, 0], 12), 12)
    quat = quat_from_euler_xyz(0.0, lean, heading - config.pelvis_swing * stride)
    upper = upper_joints(stride, config)
    com = com_of_zmp(zmp, np.full(len(zmp), 0.67), zmp[0])
    offset = np.array([0.031, 0.0])
    root_xy = com - np.stack([np.cos(heading), np.sin(heading)], axis=-1) * offset[0]
    pose = _Pose(np.empty((len(zmp), 3)), quat, upper, np.empty(0))
    for refinement in range(config.refinements + 1):
        pose.root_pos = np.column_stack([root_xy, pelvis_height(feet, root_xy, heading, config)])
        _solve_pose(pose, feet, config, iterations=5 if refinement == 0 else 2)
        body_pos, body_quat = tree.forward(pose.root_pos, pose.root_quat, pose.joint_pos)
        com_now, height, moment = masses.zmp_terms(body_pos, body_quat)
        if refinement == config.refinements:
            break
        com = com_of_zmp(zmp - moment, height, com_now[0, :2])
        root_xy = root_xy + com - com_now[:, :2]
    return pose, com_now


def _solve_pose(pose: _Pose, feet: FootMotion, config: GaitConfig, iterations: int) -> None:
    quat = pose.root_quat[:, None]
    foot_pos = quat_rotate_inverse(quat, feet.pos - pose.root_pos[:, None])
    foot_quat = quat_multiply(quat_conjugate(quat), quat_from_euler_xyz(0.0, feet.pitch, feet.yaw))
    if not pose.legs.size:
        relative_yaw = 2.0 * np.arctan2(foot_quat[..., 3], foot_quat[..., 0])
        pose.legs = guess_legs(foot_pos, relative_yaw)
    pose.legs, error = solve_legs(foot_pos, matrix_from_quat(foot_quat), pose.legs, iterations)
    pose.ik_error = float(error.max())
    ankles = LEG_JOINTS[:, 4:]
    lower, upper = G1.lower[ankles] + config.foot_tilt_margin, G1.upper[ankles] - config.foot_tilt_margin
    tilted = np.clip(pose.legs[..., 4:], lower, upper)
    pose.joint_pos[:, LEG_JOINTS] = pose.legs
    pose.joint_pos[:, ankles] = np.where(feet.contact[..., None], pose.legs[..., 4:], tilted)
