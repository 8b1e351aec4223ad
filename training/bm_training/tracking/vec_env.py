"""The tracking environment as rsl-rl wants it, and the bookkeeping of a rollout without stalling the GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv


class TrackingVecEnv(VecEnv):
    """Adapter; `env` is reset here because rsl-rl never does."""

    def __init__(self, env: ManagerBasedRLEnv) -> None:
        self.env = env
        self.num_envs = env.num_envs
        self.num_actions = env.action_manager.total_action_dim
        self.max_episode_length = env.max_episode_length
        self.device = env.device
        self.cfg = env.cfg
        env.reset()

    @property
    def episode_length_buf(self) -> Tensor:
        return self.env.episode_length_buf

    @episode_length_buf.setter
    def episode_length_buf(self, value: Tensor) -> None:
        self.env.episode_length_buf = value

    def get_observations(self) -> TensorDict:
        """Groups `policy` and `critic`."""
        return TensorDict(self.env.obs_buf, batch_size=[self.num_envs])

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """Observations, rewards (E,), dones (E,), extras with `time_outs` (truncations that are not also failures)."""
        observations, rewards, terminated, truncated, _ = self.env.step(actions)
        dones = (terminated | truncated).long()
        # A diverged environment must not poison the batch; it is terminated and counted under `not_finite`.
        return (
            TensorDict(observations, batch_size=[self.num_envs]),
            rewards.nan_to_num(),
            dones,
            {"time_outs": truncated & ~terminated},
        )


class RolloutStatistics:
    """Sums over environments and steps, kept on the device until `pop`: one synchronisation an iteration."""

    def __init__(self, env: ManagerBasedRLEnv) -> None:
        self._env = env
        self._terminations = list(env.termination_manager.active_terms)
        self._rewards = list(env.reward_manager.active_terms)
        zeros = torch.zeros(env.num_envs, device=env.device)
        self._return, self._length = zeros.clone(), zeros.clone()
        self._start()

    def _start(self) -> None:
        device = self._env.device
        self._steps = 0
        self._finished = torch.zeros(3, device=device)  # episodes, sum of returns, sum of lengths
        self._ended_by = torch.zeros(len(self._terminations), device=device)
        self._reward_sums = torch.zeros(len(self._rewards), device=device)

    def add(self, rewards: Tensor, dones: Tensor) -> None:
        """After each control step; rewards and dones (E,)."""
        ended = dones.float()
        self._return += rewards
        self._length += 1.0
        self._finished += torch.stack([ended.sum(), (ended * self._return).sum(), (ended * self._length).sum()])
        self._return *= 1.0 - ended
        self._length *= 1.0 - ended
        manager = self._env.termination_manager
        self._ended_by += torch.stack([manager.get_term(name) for name in self._terminations]).float().sum(-1)
        # The only place that has all terms of the present step in one tensor (isaaclab 3.0.0).
        self._reward_sums += self._env.reward_manager._step_reward.nan_to_num().mean(0)
        self._steps += 1

    def episode_state(self) -> dict[str, Tensor]:
        """Returns and lengths of the episodes that are under way."""
        return {"return": self._return.cpu(), "length": self._length.cpu()}

    def load_episode_state(self, state: dict[str, Tensor]) -> None:
        """Continue where `episode_state` was taken."""
        self._return.copy_(state["return"])
        self._length.copy_(state["length"])

    def pop(self) -> dict[str, float]:
        """Means since the last call: episodes, rewards per term and second, share of each ending."""
        packed = torch.cat([self._finished, self._ended_by, self._reward_sums / max(self._steps, 1)]).tolist()
        episodes = packed[0]
        ended_by = packed[3 : 3 + len(self._terminations)]
        reward = packed[3 + len(self._terminations) :]
        values = {"episode/count": episodes}
        if episodes > 0:
            values["episode/return"] = packed[1] / episodes
            values["episode/length"] = packed[2] / episodes
            share = {f"ended_by/{name}": n / episodes for name, n in zip(self._terminations, ended_by, strict=True)}
            values |= share
        values |= {f"reward/{name}": value for name, value in zip(self._rewards, reward, strict=True)}
        values["reward/total"] = sum(reward)
        self._start()
        return values
