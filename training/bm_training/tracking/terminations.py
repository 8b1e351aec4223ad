"""When an episode ends. All compare with the frame that the policy saw; every function returns (E,) bool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from bm_training.tracking.command import motion_command

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv


def time_out(env: ManagerBasedRLEnv) -> Tensor:
    """Episode length reached: a truncation."""
    return env.episode_length_buf >= env.max_episode_length


def clip_end(env: ManagerBasedRLEnv) -> Tensor:
    """The clip's last frame has been tracked: a truncation, too (the reference code teleports to another frame)."""
    return motion_command(env).is_over()


def anchor_pos(env: ManagerBasedRLEnv, threshold: float) -> Tensor:
    """Torso too high or too low, m."""
    motion = motion_command(env)
    return motion.errors.height[:, motion.robot.anchor].abs() > threshold


def anchor_ori(env: ManagerBasedRLEnv, threshold: float) -> Tensor:
    """Torso tilted otherwise than the reference: difference of the z component of gravity in its frame."""
    return motion_command(env).errors.gravity_z.abs() > threshold


def ee_body_pos(env: ManagerBasedRLEnv, threshold: float) -> Tensor:
    """An ankle or wrist too high or too low, m."""
    motion = motion_command(env)
    return (motion.errors.height[:, motion.end_effectors].abs() > threshold).any(-1)


def not_finite(env: ManagerBasedRLEnv) -> Tensor:
    """The simulation of this environment has diverged: comparisons with NaN are false, so nothing else would end it."""
    motion = motion_command(env)
    errors = motion.errors
    return ~(errors.body_pos_sq + errors.body_lin_vel_sq).sum(-1).add(motion.robot.joint_vel.sum(-1)).isfinite()
