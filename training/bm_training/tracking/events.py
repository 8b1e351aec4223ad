"""Randomisation of robots and pushes. Ranges: beyondmimic 1.8; each robot draws once, at start-up, except pushes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from isaaclab.envs import mdp
from isaaclab.managers import EventTermCfg, ManagerTermBase, SceneEntityCfg
from torch import Tensor

from bm_training.tracking.command import motion_command

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv


def push(env: ManagerBasedRLEnv, env_ids: Tensor, half_ranges: tuple[float, ...]) -> None:
    """Add a uniform velocity to the pelvis: m/s (x, y, z), rad/s (roll, pitch, yaw), world axes."""
    motion = motion_command(env)
    motion.robot.add_root_velocity(env_ids, motion.uniform(len(env_ids), half_ranges))


class PushTimer:
    """Pushes by mask: the interval event of the configuration without the host having to know who is due."""

    def __init__(self, env: ManagerBasedRLEnv, term: EventTermCfg) -> None:
        """`term`: func `push`, its interval_range_s and half_ranges."""
        self._robot = motion_command(env).robot
        self._period = env.step_dt
        self._shortest, longest = term.interval_range_s
        self._spread = longest - self._shortest
        self._half_ranges = torch.tensor(term.params["half_ranges"], device=env.device)
        self.left = self._interval(env.num_envs)
        """(E,) s until the next push."""
        self.pushed = torch.zeros(env.num_envs, dtype=torch.bool, device=env.device)
        """(E,) robots that the control step just made pushed after its physics; the coming observation shows it."""

    def step(self, restarted: Tensor) -> None:
        """Once a control step, after resets; `restarted` (E,) begin an interval anew."""
        num = len(restarted)
        left = torch.where(restarted, self._interval(num), self.left - self._period)
        due = left < 1.0e-6
        kick = (2.0 * torch.rand(num, 6, device=left.device) - 1.0) * self._half_ranges
        self._robot.push(due, kick)
        self.left = torch.where(due, self._interval(num), left)
        self.pushed = due

    def _interval(self, num: int) -> Tensor:
        """(num,) s"""
        return self._shortest + self._spread * torch.rand(num, device=self._half_ranges.device)


class RandomFriction(ManagerTermBase):
    """One friction coefficient per robot.

    Isaac Lab's own term draws one per shape on Newton: fourteen sole capsules average out, and every robot would stand
    on nearly the same friction. On PhysX (static and dynamic friction, material buckets) its term is used as it is.
    """

    def __init__(self, cfg: EventTermCfg, env: ManagerBasedRLEnv) -> None:
        super().__init__(cfg, env)
        self._asset = env.scene[cfg.params["asset_cfg"].name]
        is_newton = type(env.cfg.sim.physics).__name__ == "NewtonCfg"
        self._per_shape = None if is_newton else mdp.randomize_rigid_body_material(cfg, env)

    def __call__(
        self,
        env: ManagerBasedRLEnv,
        env_ids: Tensor | None,
        asset_cfg: SceneEntityCfg,
        static_friction_range: tuple[float, float],
        dynamic_friction_range: tuple[float, float],
        restitution_range: tuple[float, float],
        num_buckets: int,
        make_consistent: bool = True,
    ) -> None:
        """Newton has one coefficient, drawn from the static range, and no restitution."""
        if self._per_shape is not None:
            friction = static_friction_range, dynamic_friction_range
            self._per_shape(env, env_ids, *friction, restitution_range, num_buckets, asset_cfg, make_consistent)
            return
        import warp as wp
        from newton import ModelFlags

        manager = env.sim.physics_manager
        friction = wp.to_torch(self._asset.root_view.get_attribute("shape_material_mu", manager.get_model())[:, 0])
        low, high = static_friction_range
        friction[:] = low + (high - low) * torch.rand(friction.shape[0], 1, device=friction.device)
        manager.add_model_change(ModelFlags.SHAPE_PROPERTIES)
