"""The training loop: rsl-rl's PPO on the tracking environment, with sampler, checkpoints and stops in between."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rsl_rl.algorithms import PPO

from bm_core.errors import ConfigError
from bm_training.sampling import read_bin_weights
from bm_training.tracking.checkpoint import FORMAT, CheckpointFolder, random_states, set_random_states
from bm_training.tracking.command import motion_command
from bm_training.tracking.distributed import Ranks
from bm_training.tracking.newton_overflow import overflow_shares, silence_overflow
from bm_training.tracking.ppo_cfg import PpoConfig
from bm_training.tracking.training_log import TrainingLog
from bm_training.tracking.vec_env import RolloutStatistics, TrackingVecEnv
from bm_training.tracking.warm_start import expanded, old_layouts, transfer

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv


@dataclass(frozen=True, kw_only=True)
class RunnerConfig:
    """How long, and what is kept."""

    run_dir: Path
    max_iterations: int = 30_000
    """PPO iterations in all, those before a resume included."""
    save_interval: int = 200
    """Iterations between checkpoints."""
    keep_last: int = 3
    heat_map_interval: int = 100
    """Iterations between pictures of the sampler's bins."""
    deadline: float | None = None
    """time.monotonic() at which to stop and save."""


class Runner:
    """One training run. `stop` ends it after the current iteration; it always saves."""

    def __init__(
        self,
        env: ManagerBasedRLEnv,
        ppo: PpoConfig,
        config: RunnerConfig,
        ranks: Ranks,
        report: Callable[[str], None],
        provenance: dict[str, Any],
    ) -> None:
        """`report` gets a line of progress an iteration; `provenance` goes into every checkpoint."""
        self.config, self.ppo, self._ranks, self._provenance = config, ppo, ranks, provenance
        self._motion = motion_command(env)
        silence_overflow(env)
        self.env = TrackingVecEnv(env)
        cfg = ppo.as_rsl_rl(ranks.multi_gpu)
        self.alg: PPO = PPO.construct_algorithm(self.env.get_observations(), self.env, cfg, ranks.device)
        self._statistics = RolloutStatistics(env)
        self._folder = CheckpointFolder(run_dir=config.run_dir, keep_last=config.keep_last)
        self._log = TrainingLog(config.run_dir if ranks.is_first else None, report)
        self.iteration = 0
        """Finished PPO iterations."""
        self.steps = 0
        """Environment steps so far, all ranks."""
        self._best = float("-inf")
        self._is_stopping = False
        self._is_fresh = True

    @property
    def layouts(self) -> dict[str, list[tuple[str, int]]]:
        """Blocks of the observation groups, the reference window split by offset."""
        manager = self.env.env.observation_manager
        window = self._motion.cfg.reference_window or ()
        return {
            group: expanded(
                [(name, dim[0]) for name, dim in zip(names, manager.group_obs_term_dim[group], strict=True)], window
            )
            for group, names in manager.active_terms.items()
        }

    def stop(self) -> None:
        """Save and end after the iteration that runs now (also from a signal handler)."""
        self._is_stopping = True

    def override_bins(self, file: Path) -> None:
        """Draw starts by the weights in `file` (bm_training.sampling.manual_bins), whatever happens."""
        sampler = self._motion.sampler
        sampler.override(read_bin_weights(file, sampler.names, sampler.bins))

    def learn(self) -> dict[str, float]:
        """Run until max_iterations, the deadline or `stop`; returns the last iteration's scalars."""
        if self._is_fresh:
            # Otherwise all environments would time out, and be reset, in the same step for a long while.
            random_age = torch.randint_like(self.env.episode_length_buf, high=int(self.env.max_episode_length))
            self.env.episode_length_buf = random_age
        self.alg.train_mode()
        if self._ranks.world_size > 1:
            self.alg.broadcast_parameters()
        values: dict[str, float] = {}
        started, first = time.monotonic(), self.iteration
        while self.iteration < self.config.max_iterations and not self._ranks.any(self._must_stop()):
            values = self._iterate()
            self.iteration += 1
            per_iteration = (time.monotonic() - started) / (self.iteration - first)
            if self._ranks.is_first:
                self._log.write(self.iteration, values)
                eta = self._eta(per_iteration)
                self._log.progress(self.iteration, self.config.max_iterations, values, eta)
            self._save_if_due(values)
        self._save()
        self._log.close()
        return values

    def _must_stop(self) -> bool:
        deadline = self.config.deadline
        return self._is_stopping or (deadline is not None and time.monotonic() >= deadline)

    def _eta(self, per_iteration: float) -> float:
        left = per_iteration * (self.config.max_iterations - self.iteration)
        deadline = self.config.deadline
        return left if deadline is None else min(left, max(deadline - time.monotonic(), 0.0))

    # -- one iteration

    def _iterate(self) -> dict[str, float]:
        started = time.monotonic()
        with torch.inference_mode():
            self._rollout()
        collected = self._clock()
        with _fast_matmul():
            losses = self.alg.update()
        self._motion.sampler.end_iteration()
        finished = self._clock()
        num = self.ppo.num_steps_per_env * self.env.num_envs * self._ranks.world_size
        self.steps += num
        values = {
            "time/steps_per_second": num / (finished - started),
            "time/iteration_s": finished - started,
            "time/collect_s": collected - started,
            "time/learn_s": finished - collected,
            "time/steps": float(self.steps),
            "time/iteration": float(self.iteration + 1),
            "policy/std": self.alg.get_policy().output_std.mean().item(),
            "policy/learning_rate": float(self.alg.learning_rate),
        }
        values |= {f"loss/{name}": value for name, value in losses.items()}
        values |= self._statistics.pop()
        values |= {f"error/{name}": value for name, value in self._motion.pop_mean_errors().items()}
        values |= {f"sampler/{name}": value for name, value in self._motion.sampler.metrics().items()}
        values |= {f"physics/{name}": value for name, value in overflow_shares(self.env.env).items()}
        passed = values.get("ended_by/time_out", 0.0) + values.get("ended_by/clip_end", 0.0)
        if values["episode/count"] > 0:
            values["episode/failed"] = max(0.0, 1.0 - passed)
        self._log_heat_map()
        return values

    def _rollout(self) -> None:
        observations = self.env.get_observations().to(self._ranks.device)
        for _ in range(self.ppo.num_steps_per_env):
            with _fast_matmul():
                actions = self.alg.act(observations)
            observations, rewards, dones, extras = self.env.step(actions)
            self.alg.process_env_step(observations, rewards, dones, extras)
            self._statistics.add(rewards, dones)
        self.alg.compute_returns(observations)

    def _clock(self) -> float:
        if self._ranks.device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.monotonic()

    def _log_heat_map(self) -> None:
        if self._ranks.is_first and self.iteration % self.config.heat_map_interval == 0:
            snapshot = self._motion.sampler.snapshot()
            self._log.heat_map(self.iteration, "sampler/failure_rate", snapshot.failure_rate[None])

    # -- checkpoints

    def _save_if_due(self, values: dict[str, float]) -> None:
        if self.iteration % self.config.save_interval == 0:
            self._save()
            score = values.get("reward/total", 0.0) * (1.0 - values.get("episode/failed", 1.0))
            if score > self._best and self._ranks.is_first:
                self._best = score
                self._folder.save_best(self._state())

    def _save(self) -> None:
        if self._ranks.is_first:
            self._folder.save(self._state(), self.iteration)

    def _state(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "iteration": self.iteration,
            "steps": self.steps,
            "best": self._best,
            "alg": self.alg.save(),
            "ppo": asdict(self.ppo),
            "layouts": self.layouts,
            "sampler": self._motion.sampler.state_dict(),
            "random": random_states(),
            "provenance": self._provenance,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Continue a run: networks, optimiser, sampler, random states, counters. ConfigError if the task is another.

        The robots' states are not kept: episodes start anew, at frames that the restored sampler draws.
        """
        if old_layouts(state) != self.layouts:
            raise ConfigError(
                "resume: the checkpoint has other observations; give the same options, or use --init-from"
            )
        if tuple(state["ppo"]["hidden_dims"]) != tuple(self.ppo.hidden_dims):
            raise ConfigError(f"resume: hidden_dims are {state['ppo']['hidden_dims']} in the checkpoint; give the same")
        self.alg.load(state["alg"], None, strict=True)
        self._motion.sampler.load_state_dict(state["sampler"])
        set_random_states(state["random"])
        self.iteration, self.steps, self._best = state["iteration"], state["steps"], state["best"]
        self._is_fresh = False
        self.env.env.reset()

    def warm_start(self, state: dict[str, Any]) -> dict[str, list[str]]:
        """Begin a new run with the networks of another; returns the new observation blocks of each group."""
        self.steps = state["steps"]  # what formed these networks is part of their provenance
        old, new = old_layouts(state), self.layouts
        models = (("policy", self.alg.actor, "actor"), ("critic", self.alg.critic, "critic"))
        return {
            group: transfer(model, state["alg"][f"{key}_state_dict"], old[group], new[group], f"init from: {key}")
            for group, model, key in models
        }


@contextmanager
def _fast_matmul():
    """TF32 for the networks only: with it on, rotation matrices in the observations would be wrong by 1e-3."""
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
