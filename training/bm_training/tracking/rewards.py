"""Tracking rewards, exp(-mean squared error / sigma^2), in (0, 1], and three penalties. Weights are in env_cfg.py.

Source: BeyondMimic Table S1 (v4) and whole_body_tracking; deliberate differences in docs/decisions.md.
Every function returns (E,).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from isaaclab.managers import ManagerTermBase, RewardTermCfg
from torch import Tensor

from bm_training.tracking.command import motion_command

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv


def anchor_pos(env: ManagerBasedRLEnv, sigma: float) -> Tensor:
    """Torso position, global; sigma in m."""
    return torch.exp(-motion_command(env).errors.anchor_pos_sq / sigma**2)


def anchor_ori(env: ManagerBasedRLEnv, sigma: float) -> Tensor:
    """Torso orientation, global; sigma in rad."""
    return torch.exp(-motion_command(env).errors.anchor_ori.square() / sigma**2)


def body_pos(env: ManagerBasedRLEnv, sigma: float) -> Tensor:
    """Positions of the target bodies against the re-anchored reference; sigma in m."""
    # Mean inside the exp: one lost hand costs the whole term; outside it would cost 1/14 and be worth giving up.
    return torch.exp(-motion_command(env).errors.body_pos_sq.mean(-1) / sigma**2)


def body_ori(env: ManagerBasedRLEnv, sigma: float) -> Tensor:
    """Orientations of the target bodies against the re-anchored reference; sigma in rad."""
    return torch.exp(-motion_command(env).errors.body_ori.square().mean(-1) / sigma**2)


def body_lin_vel(env: ManagerBasedRLEnv, sigma: float) -> Tensor:
    """Velocities of the target bodies' link origins, world frame; sigma in m/s."""
    return torch.exp(-motion_command(env).errors.body_lin_vel_sq.mean(-1) / sigma**2)


def body_ang_vel(env: ManagerBasedRLEnv, sigma: float) -> Tensor:
    """Angular velocities of the target bodies, world frame; sigma in rad/s."""
    return torch.exp(-motion_command(env).errors.body_ang_vel_sq.mean(-1) / sigma**2)


def action_rate(env: ManagerBasedRLEnv) -> Tensor:
    """Squared change of the action."""
    return (env.action_manager.action - env.action_manager.prev_action).square().sum(-1)


def joint_limit(env: ManagerBasedRLEnv) -> Tensor:
    """Sum of the overshoots over the soft joint limits, rad."""
    robot = motion_command(env).robot
    limits = robot.asset.data.soft_joint_pos_limits.torch
    joint_pos = robot.joint_pos
    return (limits[..., 0] - joint_pos).clamp(min=0.0).sum(-1) + (joint_pos - limits[..., 1]).clamp(min=0.0).sum(-1)


class UndesiredContacts(ManagerTermBase):
    """Number of bodies, other than the allowed ones, that touch anything with more than `threshold` N."""

    def __init__(self, cfg: RewardTermCfg, env: ManagerBasedRLEnv) -> None:
        super().__init__(cfg, env)
        self._sensor = env.scene[cfg.params["sensor"]]
        names = getattr(self._sensor, "sensor_names", None) or self._sensor.body_names
        allowed = cfg.params["allowed"]
        counted = [name not in allowed for name in names]
        self._is_counted = torch.tensor(counted, device=env.device, dtype=torch.float32)

    def __call__(self, env: ManagerBasedRLEnv, sensor: str, allowed: tuple[str, ...], threshold: float) -> Tensor:
        """`sensor`: contact sensor over all links; `allowed`: body names."""
        force_sq = self._sensor.data.net_normal_forces_w.torch.square().sum(-1)
        return ((force_sq > threshold**2) * self._is_counted).sum(-1)
