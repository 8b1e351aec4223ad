"""Observation terms; names and layouts of whole_body_tracking, NumPy twins in bm_core.observation. Each is (E, D)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bm_training.tracking.actions import joint_action
from bm_training.tracking.bilinear_rotations import matrix_from_quat
from bm_training.tracking.command import motion_command

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv


def _shared(term: Callable[[ManagerBasedRLEnv], Tensor]) -> Callable[[ManagerBasedRLEnv], Tensor]:
    """Policy and critic see it: computed once a step (noise is added to a copy)."""

    @functools.wraps(term)
    def cached(env: ManagerBasedRLEnv) -> Tensor:
        derived = motion_command(env).robot.derived
        if term.__name__ not in derived:
            derived[term.__name__] = term(env)
        return derived[term.__name__]

    return cached


@_shared
def command(env: ManagerBasedRLEnv) -> Tensor:
    """Reference joint positions (rad) and velocities (rad/s), 58."""
    return motion_command(env).command


@_shared
def motion_anchor_pos_b(env: ManagerBasedRLEnv) -> Tensor:
    """Reference torso origin in the robot's torso frame, m, 3."""
    motion = motion_command(env)
    robot = motion.robot
    error = motion.reference.body_pos_w[:, robot.anchor] - robot.body_pos[:, robot.anchor]
    return _into_frame(robot.body_matrix[:, robot.anchor], error)


@_shared
def motion_anchor_ori_b(env: ManagerBasedRLEnv) -> Tensor:
    """R_robot^T R_ref of the torso, first two columns row-major, 6."""
    motion = motion_command(env)
    robot = motion.robot
    reference = matrix_from_quat(motion.reference.body_quat_w[:, robot.anchor])
    return _six(robot.body_matrix[:, robot.anchor].mT @ reference)


@_shared
def base_lin_vel(env: ManagerBasedRLEnv) -> Tensor:
    """Velocity of the pelvis origin in the pelvis frame, m/s, 3."""
    robot = motion_command(env).robot
    return _into_frame(robot.body_matrix[:, robot.root], robot.body_lin_vel[:, robot.root])


@_shared
def base_ang_vel(env: ManagerBasedRLEnv) -> Tensor:
    """Angular velocity of the pelvis in its frame, rad/s, 3."""
    robot = motion_command(env).robot
    return _into_frame(robot.body_matrix[:, robot.root], robot.body_ang_vel[:, robot.root])


@_shared
def joint_pos(env: ManagerBasedRLEnv) -> Tensor:
    """Joint positions less the (randomised) default pose, rad, 29."""
    return motion_command(env).robot.joint_pos - joint_action(env).default_joint_pos


def joint_vel(env: ManagerBasedRLEnv) -> Tensor:
    """Joint velocities, rad/s, 29."""
    return motion_command(env).robot.joint_vel


def actions(env: ManagerBasedRLEnv) -> Tensor:
    """The previous action as the policy gave it, 29; zeros after a reset."""
    return env.action_manager.action


def reference_window(env: ManagerBasedRLEnv, steps: tuple[int, ...]) -> Tensor:
    """Future frames of the reference, 39 each: the offsets `steps` among those that the command gathers."""
    gathered = motion_command(env).cfg.reference_window or ()
    features = _window_features(env)
    if tuple(steps) != tuple(gathered):
        features = torch.stack([features[:, gathered.index(step)] for step in steps], dim=1)
    return features.flatten(1)


def motion_id(env: ManagerBasedRLEnv, motions: tuple[str, ...], hidden_share: float) -> Tensor:
    """One number for each of `motions`, 1 for the clip that is followed; all 0 in a share of the episodes."""
    motion = motion_command(env)
    return motion.one_hot(motions) * (motion.episode_draw >= hidden_share)[:, None]


@_shared
def _window_features(env: ManagerBasedRLEnv) -> Tensor:
    """(E, offsets, 39), all offsets that any group asks for.

    Joint positions less the nominal default pose (29, rad), torso orientation against the robot's present torso (6),
    torso height (1, m), torso velocity in the reference torso's own yaw frame (3, m/s).
    """
    motion = motion_command(env)
    robot, window = motion.robot, motion.window()
    anchor = robot.body_matrix[:, None, robot.anchor]
    reference = matrix_from_quat(window.anchor_quat_w)
    heading = torch.nn.functional.normalize(reference[..., :2, 0], dim=-1)
    cos, sin = heading.unbind(-1)
    x, y, z = window.anchor_lin_vel_w.unbind(-1)
    parts = [
        window.joint_pos - joint_action(env).nominal_joint_pos,
        _six(anchor.mT @ reference),
        window.anchor_pos_w[..., 2:],
        torch.stack([cos * x + sin * y, cos * y - sin * x, z], dim=-1),
    ]
    return torch.cat(parts, dim=-1)


def body_pos(env: ManagerBasedRLEnv) -> Tensor:
    """Target bodies' origins in the robot's torso frame, m, 3 B (critic)."""
    robot = motion_command(env).robot
    relative = robot.body_pos - robot.body_pos[:, robot.anchor : robot.anchor + 1]
    return (relative @ robot.body_matrix[:, robot.anchor]).flatten(1)


def body_ori(env: ManagerBasedRLEnv) -> Tensor:
    """Target bodies' orientations in the robot's torso frame, 6 B (critic)."""
    robot = motion_command(env).robot
    return _six(robot.body_matrix[:, robot.anchor, None].mT @ robot.body_matrix).flatten(1)


def command_delay(env: ManagerBasedRLEnv) -> Tensor:
    """Delay of this episode as a share of the control period, 1 (critic): it cannot be seen from one state."""
    return joint_action(env).delay_fraction


def _into_frame(matrix: Tensor, vector: Tensor) -> Tensor:
    """R^T v for (E, 3, 3), (E, 3)."""
    return (vector[:, None] @ matrix)[:, 0]


def _six(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 6), first two columns, row-major."""
    return matrix[..., :2].flatten(-2)
