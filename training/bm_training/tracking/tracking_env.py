"""The tracking environment's step without a single wait for the GPU.

Isaac Lab resets by indices, and an index list is known to the host only after the GPU has caught up, which then stands
idle while the observations are launched. Here resets and pushes go by mask, for all environments in every step, so that
the host runs ahead and its launches hide behind the physics. Same MDP (tests/training/test_masked_step.py).
"""

from __future__ import annotations

from typing import Any

import torch
from isaaclab.envs import ManagerBasedRLEnv
from torch import Tensor

from bm_training.tracking.actions import joint_action
from bm_training.tracking.command import motion_command
from bm_training.tracking.events import PushTimer

_PUSH = "push"
"""Of the interval event in the environment's configuration."""


class TrackingEnv(ManagerBasedRLEnv):
    """ManagerBasedRLEnv (isaaclab 3.0.0) for the tracking task: no recorders, curriculum, rendering or other events."""

    def __init__(self, cfg: Any, **kwargs: Any) -> None:
        super().__init__(cfg, **kwargs)
        self.push_timer = PushTimer(self, cfg.events[_PUSH]) if _PUSH in cfg.events else None

    def step(self, action: Tensor) -> Any:
        """As its parent's: observations, rewards (E,), terminated (E,), truncated (E,), extras."""
        self.action_manager.process_action(action.to(self.device))
        self.simulate()
        self.episode_length_buf += 1
        self.common_step_counter += 1
        self.reset_buf = self.termination_manager.compute()
        self.reset_terminated = self.termination_manager.terminated
        self.reset_time_outs = self.termination_manager.time_outs
        self.reward_buf = self.reward_manager.compute(dt=self.step_dt)
        self._restart(self.reset_buf)
        self.command_manager.compute(dt=self.step_dt)
        if self.push_timer is not None:
            self.push_timer.step(self.reset_buf)
        self.obs_buf = self.observation_manager.compute(update_history=True)
        return self.obs_buf, self.reward_buf, self.reset_terminated, self.reset_time_outs, self.extras

    def simulate(self) -> None:
        """The physics steps of one control step."""
        steps_per_call = self.cfg.decimation if self._physics_handles_decimation else 1
        for _ in range(self.cfg.decimation // steps_per_call):
            self._sim_step_counter += steps_per_call
            self.action_manager.apply_action()
            self.scene.write_data_to_sim()
            self.sim.step(render=False)
            self.scene.update(dt=self.physics_dt * steps_per_call)

    def _restart(self, mask: Tensor) -> None:
        """New episodes where `mask` (E,) says so. Of the managers only these hold anything of an episode."""
        manager, column = self.action_manager, mask[:, None]
        manager._action.masked_fill_(column, 0.0)
        manager._prev_action.masked_fill_(column, 0.0)
        joint_action(self).restart(mask)
        motion_command(self).restart(mask)
        self.episode_length_buf = torch.where(mask, 0, self.episode_length_buf)
