"""DAgger: the student drives ever more of the robots, the tracker says what it would have done in every state."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bm_training.diffusion.latent_actions import gravity_of
from bm_training.diffusion.latent_model import KIND, ActionAutoencoder, latent_document
from bm_training.diffusion.reanchored_command import ReanchoredCommand
from bm_training.require import require
from bm_training.tracking.checkpoint import FORMAT, CheckpointFolder
from bm_training.tracking.command import motion_command
from bm_training.tracking.training_log import TrainingLog
from bm_training.tracking.vec_env import TrackingVecEnv

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv

    from bm_training.diffusion.teacher import TeacherCheckpoint

_FELT_NOISE = (0.05,) * 3 + (0.2,) * 3 + (0.01,) * 29 + (0.5,) * 29 + (0.0,) * 29
"""Half range of the uniform noise on proprioception while the student learns: gravity, then as the tracker's."""


@dataclass(frozen=True, kw_only=True)
class LatentTrainerConfig:
    """Loss and learning rate: BeyondMimic v4, Table S6."""

    run_dir: Path
    iterations: int = 2000
    steps: int = 16
    """Control steps of every robot in an iteration"""
    epochs: int = 2
    minibatches: int = 8
    learning_rate: float = 5e-4
    kl_weight: float = 0.01
    teacher_until: float = 0.2
    """Share of the run over which the tracker hands the robots over to the student."""
    max_gradient: float = 1.0
    log_interval: int = 10
    save_interval: int = 200
    seed: int = 0
    deadline: float | None = None
    """time.monotonic() at which to stop and save; the learning rate's cosine ends there if it comes first."""

    def __post_init__(self) -> None:
        require(self.iterations >= 0, "iterations", self.iterations, ">= 0")
        require(0.0 < self.learning_rate < math.inf, "learning_rate", self.learning_rate, "a number above 0")
        require(0.0 <= self.kl_weight < math.inf, "kl_weight", self.kl_weight, "a number, at least 0")


class LatentTrainer:
    """One run. `stop` ends it after the current iteration; it always saves."""

    def __init__(
        self,
        env: ManagerBasedRLEnv,
        teacher: TeacherCheckpoint,
        model: ActionAutoencoder,
        config: LatentTrainerConfig,
        report: Callable[[str], None],
        provenance: dict[str, Any],
    ) -> None:
        self._env, self.device = TrackingVecEnv(env), str(env.device)
        self._actor = teacher.actor(self._env, self.device)
        self.model, self.config, self._report, self._provenance = model, config, report, provenance
        motion = motion_command(env)
        assert isinstance(motion, ReanchoredCommand)
        self._motion = motion
        self._optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
        self._generator = torch.Generator(device=self.device).manual_seed(config.seed)
        self._noise = torch.tensor(_FELT_NOISE, device=self.device)
        self._by_teacher = torch.ones(env.num_envs, dtype=torch.bool, device=self.device)
        self._folder, self._log = CheckpointFolder(run_dir=config.run_dir), TrainingLog(config.run_dir, report)
        self._falls = torch.zeros(2, device=self.device)  # falls and steps of robots that the student drives
        self.iteration, self._is_stopping, self._progress = 0, False, 0.0

    def stop(self) -> None:
        """Save and end after the iteration that runs now (also from a signal handler)."""
        self._is_stopping = True

    def learn(self) -> dict[str, float]:
        """Until the last iteration, the deadline or `stop`; returns the last scalars that were logged."""
        config, values = self.config, {}
        started = time.monotonic()
        while self.iteration < config.iterations and not self._is_over():
            self._progress = self._share_done(started)
            losses = self._update(*self._roll_out())
            self.iteration += 1
            if self.iteration % config.log_interval == 0 or self.iteration == config.iterations:
                values = self._scalars(losses, started)
                self._log.write(self.iteration, values)
                self._report(
                    f"iteration {self.iteration}/{config.iterations}  {values['time/steps_per_second']:,.0f} steps/s  "
                    f"action error {values['train/action_rms']:.4f}  KL {values['train/kl']:.2f}  "
                    f"student falls {values['student/falls_per_minute']:.2f}/min"
                )
            if self.iteration % config.save_interval == 0:
                self._save()
        self._save()
        self._log.close()
        return values

    # -- parts

    def _is_over(self) -> bool:
        late = self.config.deadline is not None and time.monotonic() > self.config.deadline
        return self._is_stopping or late

    def _share_done(self, started: float) -> float:
        share = self.iteration / self.config.iterations
        if self.config.deadline is not None:
            share = max(share, (time.monotonic() - started) / max(self.config.deadline - started, 1e-9))
        return min(share, 1.0)

    @torch.no_grad()
    def _roll_out(self) -> tuple[Tensor, Tensor, Tensor]:
        """What encoder and decoder see and what the tracker does: (N, R), (N, 93), (N, 29)."""
        references, felts, labels = [], [], []
        share = max(0.0, 1.0 - self._progress / self.config.teacher_until)
        for _ in range(self.config.steps):
            observations = self._env.get_observations()
            label = self._actor(observations).clone()
            observation = observations["policy"]
            reference = self.model.reference(observation)
            felt = self.model.proprioception(observation, gravity_of(self._motion.robot))
            felt = felt + self._noise * (2.0 * self._rand(felt.shape) - 1.0)
            mean, log_var = self.model.encode(reference)
            z = mean + (0.5 * log_var).exp() * self._randn(mean.shape)
            action = torch.where(self._by_teacher[:, None], label, self.model.decode(z, felt))
            references.append(reference.clone())
            felts.append(felt)
            labels.append(label)
            _, _, dones, extras = self._env.step(action)
            failed = dones.bool() & ~extras["time_outs"] & ~self._by_teacher
            self._falls += torch.stack([failed.sum(), (~self._by_teacher).sum()])
            self._by_teacher = torch.where(dones.bool(), self._rand(dones.shape) < share, self._by_teacher)
        return torch.cat(references), torch.cat(felts), torch.cat(labels)

    def _update(self, reference: Tensor, felt: Tensor, label: Tensor) -> Tensor:
        """Mean squared action error and KL of the last pass, (2,)."""
        config, sums = self.config, torch.zeros(2, device=self.device)
        for group in self._optimiser.param_groups:
            group["lr"] = config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * self._progress))
        for _ in range(config.epochs):
            sums.zero_()
            order = torch.randperm(len(reference), generator=self._generator, device=self.device)
            for part in order.chunk(config.minibatches):
                mean, log_var = self.model.encode(reference[part])
                z = mean + (0.5 * log_var).exp() * self._randn(mean.shape)
                error = (self.model.decode(z, felt[part]) - label[part]).square().sum(-1).mean()
                kl = 0.5 * (mean.square() + log_var.exp() - 1.0 - log_var).sum(-1).mean()
                self._optimiser.zero_grad(set_to_none=True)
                (error + config.kl_weight * kl).backward()
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.max_gradient)
                self._optimiser.step()
                sums += torch.stack([error.detach(), kl.detach()]) / config.minibatches
        return sums

    def _scalars(self, losses: Tensor, started: float) -> dict[str, float]:
        error, kl, falls, steps = torch.cat([losses, self._falls]).tolist()
        self._falls.zero_()
        done = self.iteration * self.config.steps * self._env.num_envs
        return {
            "train/action_rms": math.sqrt(error / 29.0),
            "train/kl": kl,
            "train/learning_rate": self._optimiser.param_groups[0]["lr"],
            "student/falls_per_minute": falls / max(steps * 0.02 / 60.0, 1e-9),
            "student/share": steps / (self.config.log_interval * self.config.steps * self._env.num_envs),
            "time/steps": float(done),
            "time/steps_per_second": done / max(time.monotonic() - started, 1e-9),
        }

    def _save(self) -> None:
        state = {"format": FORMAT, "kind": KIND, "latent": latent_document(self.model), "iteration": self.iteration}
        self._folder.save({**state, "provenance": self._provenance}, self.iteration)

    def _rand(self, shape: torch.Size) -> Tensor:
        return torch.rand(shape, generator=self._generator, device=self.device)

    def _randn(self, shape: torch.Size) -> Tensor:
        return torch.randn(shape, generator=self._generator, device=self.device)
