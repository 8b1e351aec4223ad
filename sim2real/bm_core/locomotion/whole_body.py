"""Pelvis and joints of a plan, such that the ZMP of all 30 bodies follows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import CONTROL_DT, G1
from bm_core.kinematics import g1_kinematics
from bm_core.locomotion.config import COM_HEIGHT, GRAVITY, GaitConfig
from bm_core.locomotion.dcm import com_of_zmp
from bm_core.locomotion.feet import FootMotion
from bm_core.locomotion.gait_state import StartState
from bm_core.locomotion.leg_ik import LEG_JOINTS, guess_legs, solve_legs, within_reach
from bm_core.locomotion.mass_model import g1_masses
from bm_core.locomotion.planar import fade
from bm_core.locomotion.upper_body import pelvis_height, smooth, stride_of, upper_joints
from bm_core.locomotion.walk_plan import WalkPlan
from bm_core.rotations import (
    matrix_from_quat,
    quat_conjugate,
    quat_from_euler_xyz,
    quat_from_rotvec,
    quat_multiply,
    quat_rotate_inverse,
    rotvec_from_quat,
    yaw_from_quat,
)

Array = NDArray[Any]

_YAW_SMOOTHING = 6
"""Frames to either side over which the heading is averaged, twice."""
_LEAN_SMOOTHING = 12
"""The same for the speed that the torso leans into."""
_FADE_FRAMES = 30
"""Within which a robot that starts in another posture comes into the gait's."""
_SINK_FRAMES = 12
"""The same for its height where the plan is lower: the next foothold waits for that."""
_COM_AHEAD = 0.031
"""Of the pelvis origin, m, in the default pose."""


@dataclass
class BodyMotion:
    """T frames; changed in place until it fits."""

    root_pos: Array
    """(T, 3) m"""
    root_quat: Array
    """(T, 4) wxyz"""
    joint_pos: Array
    """(T, 29) rad"""
    com: Array
    """(T, 3) m"""
    moment: Array
    """(T, 2) m by which swinging limbs move the ZMP."""
    ik_error: float
    """Largest error of an ankle, m + rad."""


def whole_body(plan: WalkPlan, feet: FootMotion, config: GaitConfig, start: StartState | None) -> BodyMotion:
    """The motion; with a `start` it begins in that posture and at that velocity, feet on the floor."""
    tree, masses = g1_kinematics(), g1_masses()
    heading = smooth(smooth(plan.path[:, 2], _YAW_SMOOTHING), _YAW_SMOOTHING)
    motion = _posture(plan, feet, heading, config, start)
    com_start = plan.zmp[0] if start is None else start.com[:2]
    com = com_of_zmp(plan.zmp, np.full(len(plan.zmp), COM_HEIGHT), com_start)
    root_xy = com - _COM_AHEAD * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    legs = None
    for refinement in range(config.refinements + 1):
        height = pelvis_height(feet, root_xy, heading, config)
        if start is not None:
            height = height + _height_fade(start, height)
        motion.root_pos = np.column_stack([root_xy, height])
        legs = _solve_legs(motion, feet, legs, config)
        motion.com, pendulum, motion.moment = masses.zmp_terms(
            *tree.forward(motion.root_pos, motion.root_quat, motion.joint_pos)
        )
        if refinement < config.refinements:
            if start is None:
                com = com_of_zmp(plan.zmp - motion.moment, pendulum, motion.com[0, :2])
            else:
                com = _caught_com(plan.zmp - motion.moment, pendulum, start)
            root_xy = root_xy + com - motion.com[:, :2]
    return motion


def _caught_com(zmp: Array, pendulum: Array, start: StartState) -> Array:
    """CoM (T, 2) from where and as fast as it is; what the footholds leave of the velocity dies out."""
    com = com_of_zmp(zmp, pendulum, start.com[:2])
    acceleration = GRAVITY * (com[0] - zmp[0]) / pendulum[0]
    velocity = (com[1] - com[0]) / CONTROL_DT - 0.5 * CONTROL_DT * acceleration
    return com + _faded(np.zeros(2), start.com_vel[:2] - velocity, com)


def _posture(
    plan: WalkPlan, feet: FootMotion, heading: Array, config: GaitConfig, start: StartState | None
) -> BodyMotion:
    """Orientation of the pelvis and all joints but the legs."""
    stride = stride_of(feet, heading)
    lean = config.lean * smooth(smooth(plan.velocity[:, 0], _LEAN_SMOOTHING), _LEAN_SMOOTHING)
    quat = quat_from_euler_xyz(0.0, lean, heading - config.pelvis_swing * stride)
    joints = upper_joints(stride, config)
    if start is not None:
        turn = rotvec_from_quat(quat_multiply(start.root_quat, quat_conjugate(quat[0])))
        step = rotvec_from_quat(quat_multiply(quat[1], quat_conjugate(quat[0]))) / CONTROL_DT
        quat = quat_multiply(quat_from_rotvec(_faded(turn, start.root_ang_vel - step, quat)), quat)
        rate = start.joint_vel - (joints[1] - joints[0]) / CONTROL_DT
        joints = joints + _faded(start.joint_pos - joints[0], rate, joints)
    zeros = np.zeros((len(quat), 3))
    return BodyMotion(zeros, quat, joints, com=zeros, moment=zeros[:, :2], ik_error=0.0)


def _height_fade(start: StartState, height: Array) -> Array:
    offset = float(start.root_pos[2] - height[0])
    return _faded(offset, start.root_vel[2], height, _SINK_FRAMES if offset > 0.0 else _FADE_FRAMES)


def _faded(offset: Array | float, rate: Array | float, like: Array, frames: int = _FADE_FRAMES) -> Array:
    """An offset and a rate at frame 0 that die out, (T, ...)."""
    weights = fade(frames, len(like))
    return np.multiply.outer(weights[0], offset) + np.multiply.outer(weights[1], rate)


def _solve_legs(motion: BodyMotion, feet: FootMotion, guess: Array | None, config: GaitConfig) -> Array:
    """Puts the legs' angles (T, 2, 6) into `motion` and returns them before the ankles of lifted feet are limited."""
    quat = motion.root_quat[:, None]
    foot_pos = within_reach(quat_rotate_inverse(quat, feet.pos - motion.root_pos[:, None]))
    foot_quat = quat_multiply(quat_conjugate(quat), quat_from_euler_xyz(0.0, feet.pitch, feet.yaw))
    iterations = 2
    if guess is None:
        guess = guess_legs(foot_pos, yaw_from_quat(foot_quat))
        iterations = 5
    legs, error = solve_legs(foot_pos, matrix_from_quat(foot_quat), guess, iterations)
    motion.ik_error = float(error.max())
    ankles = LEG_JOINTS[:, 4:]
    # A foot in the air tilts rather than come near the end of the range, one on the ground only at the end.
    margin = np.where(feet.contact[..., None], 0.0, config.foot_tilt_margin)
    motion.joint_pos[:, LEG_JOINTS] = legs
    motion.joint_pos[:, ankles] = np.clip(legs[..., 4:], G1.lower[ankles] + margin, G1.upper[ankles] - margin)
    return legs
