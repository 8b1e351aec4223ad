"""DAgger on the tracking task: a student acts, its teachers say what they would have done, it learns to do that.

Source: Ross, Gordon, Bagnell 2011. The critic learns the value of the student meanwhile, so that PPO can go on from
here (`bm train tracking --init-from`). Everything else of a run is Runner's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bm_training.require import require
from bm_training.tracking.runner import Runner

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv
    from tensordict import TensorDict

    from bm_training.tracking.distributed import Ranks
    from bm_training.tracking.ppo_cfg import PpoConfig
    from bm_training.tracking.runner_config import RunnerConfig
    from bm_training.tracking.teachers import TeacherPanel

_STUDENT = ("policy", "critic")


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """How the student is led."""

    lead_iterations: int = 50
    """Iterations over which the share of robots that a teacher drives falls from all to none."""
    value_coef: float = 1.0
    """Of the critic's loss."""

    def __post_init__(self) -> None:
        require(self.lead_iterations >= 0, "lead_iterations", self.lead_iterations, ">= 0")


class Distiller(Runner):
    """A run whose policy imitates; same checkpoints, resume, logs, sampler and stops as PPO's."""

    def __init__(
        self,
        env: ManagerBasedRLEnv,
        ppo: PpoConfig,
        config: RunnerConfig,
        ranks: Ranks,
        report: Callable[[str], None],
        provenance: dict[str, Any],
        *,
        teachers: TeacherPanel,
        distill: DistillConfig,
    ) -> None:
        super().__init__(env, ppo, config, ranks, report, provenance)
        self._teachers, self._distill = teachers, distill
        self._labels: list[Tensor] = []

    def _seen(self, observations: TensorDict) -> TensorDict:
        return observations.select(*_STUDENT)

    def _act(self, observations: TensorDict) -> Tensor:
        """The student's noisy action, or its teacher's for those that are still led."""
        action = super()._act(observations)
        label = self._teachers.label(observations, self._motion.motion_id)
        self._labels.append(label)
        return torch.where(self._led[:, None], label, action)

    def _rollout(self) -> None:
        share = max(0.0, 1.0 - self.iteration / max(self._distill.lead_iterations, 1))
        self._led = torch.rand(self.env.num_envs, device=self._ranks.device) < share
        self._labels.clear()
        super()._rollout()

    def _update(self) -> dict[str, float]:
        storage, labels = self.alg.storage, torch.stack(self._labels)
        observations = storage.observations.flatten(0, 1)
        # Before the first update, not after it as PPO: there are no probabilities that this would make wrong.
        self.alg.actor.update_normalization(observations)
        self.alg.critic.update_normalization(observations)
        labels, returns = labels.flatten(0, 1), storage.returns.flatten(0, 1)
        losses = torch.zeros(2, device=self._ranks.device)
        num_updates = self.ppo.num_learning_epochs * self.ppo.num_mini_batches
        for _ in range(self.ppo.num_learning_epochs):
            order = torch.randperm(len(labels), device=labels.device)
            for part in order.chunk(self.ppo.num_mini_batches):
                losses += self._learn(observations[part], labels[part], returns[part])
        storage.clear()
        action, value = (losses / num_updates).tolist()
        return {"action": action, "value": value}

    def _learn(self, observations: TensorDict, labels: Tensor, returns: Tensor) -> Tensor:
        """One step of the optimiser; losses (2,) of actions and values."""
        action = (self.alg.actor(observations) - labels).square().mean()
        value = (self.alg.critic(observations) - returns).square().mean()
        self.alg.optimizer.zero_grad()
        (action + self._distill.value_coef * value).backward()
        if self._ranks.world_size > 1:
            self.alg.reduce_parameters()
        parameters = chain(self.alg.actor.parameters(), self.alg.critic.parameters())
        torch.nn.utils.clip_grad_norm_(parameters, self.ppo.max_grad_norm)
        self.alg.optimizer.step()
        return torch.stack([action.detach(), value.detach()])
