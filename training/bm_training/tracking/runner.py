"""The training loop: rsl-rl's PPO on the tracking environment, with sampler, checkpoints and stops in between."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rsl_rl.algorithms import PPO

from bm_core.errors import ConfigError
from bm_training.sampling.bin_history import bin_axis
from bm_training.tracking.checkpoint import FORMAT, CheckpointFolder, random_states, set_random_states
from bm_training.tracking.command import motion_command
from bm_training.tracking.distributed import Ranks
from bm_training.tracking.env_state import capture_env, fits, restore_env
from bm_training.tracking.new_blocks import SETTLING_STEPS, NewBlocks
from bm_training.tracking.newton_overflow import overflow_shares, silence_overflow
from bm_training.tracking.ppo_cfg import PpoConfig
from bm_training.tracking.runner_config import RunnerConfig
from bm_training.tracking.stages import Stages
from bm_training.tracking.training_log import TrainingLog
from bm_training.tracking.vec_env import RolloutStatistics, TrackingVecEnv
from bm_training.tracking.warm_start import group_layout, new_columns, old_layouts, transfer

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv
    from tensordict import TensorDict
    from torch import Tensor

    from bm_training.tracking.curriculum import Curriculum


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
        self._report = report
        self._log = TrainingLog(None, report)  # until `learn`: what is refused before leaves no folder
        self._stages: Stages | None = None
        self._bin_weights: Tensor | None = None
        self.iteration = 0
        """Finished iterations."""
        self.steps = 0
        """Environment steps so far, all ranks."""
        self._best = float("-inf")
        self._is_stopping = False
        self._is_fresh = True

    @property
    def layouts(self) -> dict[str, list[tuple[str, int]]]:
        """Blocks of the observations of policy and critic, the window split by offset, motion ids by clip."""
        return {group: group_layout(self.env.env.observation_manager, group) for group in ("policy", "critic")}

    def stop(self) -> None:
        """Save and end after the iteration that runs now (also from a signal handler)."""
        self._is_stopping = True

    def override_bins(self, weights: Tensor) -> None:
        """Draw starts by these bin weights (B,), whatever happens and whatever is resumed."""
        self._bin_weights = weights
        self._motion.sampler.override(weights)

    def follow(self, curriculum: Curriculum) -> None:
        """Practise only the motions of its present stage; before `resume`, which continues in the stage of then."""
        self._stages = Stages(curriculum, self.env.env, self.ppo.num_steps_per_env)

    def start_anew(self) -> None:
        """Take back the episodes that began before `override_bins` or `follow`: none of them has made a step."""
        self._motion.sampler.drop_pending()
        self.env.env.reset()

    def learn(self) -> dict[str, float]:
        """Run until max_iterations, the deadline or `stop`; returns the last iteration's scalars, {} without one."""
        self._log = TrainingLog(
            self.config.run_dir if self._ranks.is_first else None, self._report, self.config.wandb_project
        )
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
        with fast_matmul():
            losses = self._update()
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
        overall, by_motion = self._motion.error_log.pop()
        values |= {f"error/{name}": value for name, value in overall.items()}
        values |= {f"sampler/{name}": value for name, value in self._motion.sampler.metrics().items()}
        if self._stages is not None:
            values |= self._stages.step(self.iteration + 1, values["sampler/mean_failure_rate"])
        values |= {f"physics/{name}": value for name, value in overflow_shares(self.env.env).items()}
        passed = values.get("ended_by/time_out", 0.0) + values.get("ended_by/clip_end", 0.0)
        if values["episode/count"] > 0:
            values["episode/failed"] = max(0.0, 1.0 - passed)
        self._log_bins(by_motion)
        return values

    def _rollout(self) -> None:
        observations = self.env.get_observations().to(self._ranks.device)
        for _ in range(self.ppo.num_steps_per_env):
            with fast_matmul():
                actions = self._act(observations)
            observations, rewards, dones, extras = self.env.step(actions)
            self.alg.process_env_step(self._seen(observations), rewards, dones, extras)
            self._statistics.add(rewards, dones)
        self.alg.compute_returns(self._seen(observations))

    def _seen(self, observations: TensorDict) -> TensorDict:
        """What actor and critic are given of all groups."""
        return observations

    def _act(self, observations: TensorDict) -> Tensor:
        """(E, 29) actions of one step."""
        return self.alg.act(self._seen(observations))

    def _update(self) -> dict[str, float]:
        """Learn from the rollout; losses by name."""
        return self.alg.update()

    def _clock(self) -> float:
        if self._ranks.device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.monotonic()

    def _log_bins(self, errors: dict[str, dict[str, float]]) -> None:
        """Rate and probability of every bin, rates and errors of every motion."""
        if self._ranks.is_first and self.config.is_row_due(self.iteration):
            sampler = self._motion.sampler
            self._log.bins(bin_axis(sampler), sampler.snapshot())
            self._log.motions(self.iteration, sampler.motion_failure_rates(), errors)

    # -- checkpoints

    def _save_if_due(self, values: dict[str, float]) -> None:
        if self.iteration % self.config.save_interval == 0:
            score = values.get("reward/total", 0.0) * (1.0 - values.get("episode/failed", 1.0))
            is_best = score > self._best and self._ranks.is_first
            if is_best:
                self._best = score  # before anything is saved: a resumed run compares with it
            self._save()
            if is_best:
                self._folder.save_best(self._state())

    def _save(self) -> None:
        if self._ranks.is_first:
            self._folder.save(self._state(), self.iteration)
        self._folder.save_environment(self._environment(), self._ranks.rank)

    def _environment(self) -> dict[str, Any]:
        """What is of this rank alone: robots, episodes, and the random states behind them."""
        return {
            "iteration": self.iteration,
            "env": capture_env(self.env.env),
            "statistics": self._statistics.episode_state(),
            "generator": self._motion.generator.get_state(),
            "random": random_states(),
        }

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
            "stage": 0 if self._stages is None else self._stages.curriculum.stage,
            "stage_begun": 0 if self._stages is None else self._stages.begun,
            "random": random_states(),
            "provenance": self._provenance,
        }

    def resume(self, state: dict[str, Any], run_dir: Path | None = None) -> bool:
        """Continue a run: networks, optimiser, sampler, counters. ConfigError if the task is another.

        With the environment file of that checkpoint in `run_dir` also robots and random states: True, what follows is
        what would have followed (env_state.py). Else episodes start anew, at frames that the restored sampler draws.
        Statistics are those of then; motion weights, curriculum and bin weights by hand are this run's.
        """
        if old_layouts(state) != self.layouts:
            raise ConfigError(
                "resume: the checkpoint has other observations; give the same options, or use --init-from"
            )
        if tuple(state["ppo"]["hidden_dims"]) != tuple(self.ppo.hidden_dims):
            raise ConfigError(f"resume: hidden_dims are {state['ppo']['hidden_dims']} in the checkpoint; give the same")
        self.alg.load(state["alg"], None, strict=True)
        if self._stages is not None:  # older checkpoints have neither of the two
            self._stages.continue_at(state.get("stage", 0), state.get("stage_begun", state["iteration"]))
        self._load_sampler(state["sampler"])
        set_random_states(state["random"])
        self.iteration, self.steps, self._best = state["iteration"], state["steps"], state["best"]
        self._is_fresh = False
        self.env.env.reset()
        folder = None if run_dir is None else CheckpointFolder(run_dir=run_dir)
        rank = self._ranks.rank
        kept = None if folder is None else folder.load_environment(self.iteration, rank, "cpu")
        if kept is None or not fits(self.env.env, kept["env"]):
            return False
        self._restore(kept, state["sampler"])
        return True

    def _restore(self, kept: dict[str, Any], sampler: dict[str, Any]) -> None:
        """Go on where `kept` (of `_environment`) and `sampler` were taken; robots have been reset."""
        restore_env(self.env.env, kept["env"])
        self._load_sampler(sampler)  # the reset has counted its own episodes
        self._statistics.load_episode_state(kept["statistics"])
        self._motion.generator.set_state(kept["generator"])
        set_random_states(kept["random"])

    def _load_sampler(self, state: dict[str, Any]) -> None:
        """Statistics and random state; what is practised is as this run's options say."""
        sampler = self._motion.sampler
        sampler.load_state_dict(state)
        stages = self._stages
        sampler.set_motion_weights(self._motion.library.motion_weight if stages is None else stages.curriculum.weights)
        sampler.override(self._bin_weights)

    def warm_start(self, state: dict[str, Any]) -> dict[str, list[str]]:
        """Begin a new run with the networks of another; returns the new observation blocks of each group.

        A given init_std replaces theirs: what has converged explores too little to learn what it cannot do.
        Where there are new blocks, robots move for a second, so that these blocks are normalised by what they show.
        """
        self.steps = state["steps"]  # what formed these networks is part of their provenance
        old, new = old_layouts(state), self.layouts
        models = {"policy": (self.alg.actor, "actor"), "critic": (self.alg.critic, "critic")}
        added = {
            group: transfer(model, state["alg"][f"{key}_state_dict"], old[group], new[group], f"init from: {key}")
            for group, (model, key) in models.items()
        }
        if self.ppo.init_std is not None:
            with torch.no_grad():
                self.alg.get_policy().distribution.std_param.fill_(self.ppo.init_std)
        blocks = {
            group: NewBlocks(model.obs_normalizer, new_columns(old[group], new[group]))
            for group, (model, _) in models.items()
            if added[group]
        }
        if blocks:
            self._show(blocks)
        return added

    def _show(self, blocks: dict[str, NewBlocks]) -> None:
        """Let `blocks` of each group see a rollout; robots, counts and random states are afterwards as before."""
        kept, sampler = self._environment(), self._motion.sampler.state_dict()
        with torch.no_grad():  # inference mode would leave tensors behind that nothing outside may write to
            observations = self.env.get_observations()
            for _ in range(SETTLING_STEPS):
                observations = self.env.step(self.alg.actor(self._seen(observations), stochastic_output=True))[0]
                for group, block in blocks.items():
                    block.add(observations[group])
        for block in blocks.values():
            block.settle()
        self.env.env.reset()
        self._motion.error_log.pop()
        overflow_shares(self.env.env)  # counts from its last call on
        self._restore(kept, sampler)


@contextmanager
def fast_matmul():
    """TF32 for the networks only: with it on, rotation matrices in the observations would be wrong by 1e-3."""
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
