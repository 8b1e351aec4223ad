"""Plays a policy in Isaac Lab on whole clips and from uniformly spread starts, and says what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bm_core.g1 import CONTROL_DT
from bm_sim2real.statistics import wilson_interval
from bm_training.sampling import BinTable, build_bins
from bm_training.tracking.command import motion_command
from bm_training.tracking.episode_plan import EpisodePlan, StartQueue, uniform_starts, whole_clips
from bm_training.tracking.episode_tally import ERRORS, EpisodeResults, EpisodeTally, bin_counts

if TYPE_CHECKING:
    from bm_training.tracking.vec_env import TrackingVecEnv

Actor = Callable[[Tensor], Tensor]
"""Observations of the policy (E, O) -> mean actions (E, 29)."""

_CHECK_INTERVAL = 25
"""Control steps between looks at whether all episodes are over; each look waits for the GPU."""


@dataclass(frozen=True, kw_only=True)
class IsaacEvaluationConfig:
    """How many episodes of which kind."""

    repeats: int = 1
    """Runs of each whole clip; more than one only where noise makes them differ."""
    starts_per_bin: int = 16
    """Episodes that start in each bin of `bin_s`; 0 leaves this part out."""
    episode_s: float = 10.0
    """Longest of those episodes, s."""
    bin_s: float = 1.0


@dataclass(frozen=True, kw_only=True)
class IsaacEvaluation:
    """Both parts of an evaluation."""

    motions: list[dict[str, Any]]
    """A row a motion, whole clips."""
    bins: list[dict[str, Any]]
    """A row a bin, uniform starts: entries, failures, failure rate."""
    summary: dict[str, Any]


class Evaluator:
    """One environment, several plans after each other."""

    def __init__(self, env: TrackingVecEnv, actor: Actor, report: Callable[[str], None] = lambda line: None) -> None:
        """`report` gets a line of progress now and then."""
        self._env, self._actor, self._report = env, actor, report
        self._motion = motion_command(env.env)
        manager = env.env.termination_manager
        self._failures = [name for name in manager.active_terms if not manager.get_term_cfg(name).time_out]

    def evaluate(self, config: IsaacEvaluationConfig) -> IsaacEvaluation:
        """Whole clips, then uniform starts."""
        library = self._motion.library
        bins = build_bins(library.motion_length.cpu(), round(config.bin_s * library.fps))
        clips = self.play(whole_clips(library, config.repeats))
        rows = self._motion_rows(clips)
        summary = {"clips": library.num_motions, **_clip_summary(clips, rows)}
        bin_rows: list[dict[str, Any]] = []
        if config.starts_per_bin > 0:
            on_device = build_bins(library.motion_length, bins.bin_steps, library.device)
            plan = uniform_starts(on_device, config.starts_per_bin, round(config.episode_s / CONTROL_DT))
            spread = self.play(plan)
            bin_rows = _bin_rows(spread, bins, library.names)
            summary |= _bin_summary(spread, bin_rows)
            self._add_motion_failure_rates(rows, spread)
        return IsaacEvaluation(motions=rows, bins=bin_rows, summary=summary)

    @torch.inference_mode()
    def play(self, plan: EpisodePlan) -> EpisodeResults:
        """Every episode of the plan to its end."""
        env = self._env.env
        queue = StartQueue(plan, env.num_envs)
        tally = EpisodeTally(self._motion, queue)
        self._motion.draw_starts = queue.draw
        self._motion.listeners.append(tally.judge)
        env.cfg.episode_length_s = plan.max_steps * CONTROL_DT
        try:
            env.reset()
            steps, limit = 0, (plan.num_episodes // env.num_envs + 2) * (plan.max_steps + 1)
            while not (steps % _CHECK_INTERVAL == 0 and tally.is_complete()):
                actions = self._actor(self._env.get_observations()["policy"])
                _, _, dones, _ = self._env.step(actions)
                tally.end_step(self._tripped(), dones.bool())
                steps += 1
                if steps % 250 == 0:
                    self._report(f"{steps} control steps of at most {limit}")
        finally:
            self._motion.listeners.remove(tally.judge)
        return tally.results()

    def _tripped(self) -> Tensor:
        """(E, T) terminations that are failures."""
        manager = self._env.env.termination_manager
        return torch.stack([manager.get_term(name) for name in self._failures], dim=-1)

    def _motion_rows(self, results: EpisodeResults) -> list[dict[str, Any]]:
        library, motion = self._motion.library, results.plan.motion.cpu()
        lengths = library.motion_length.tolist()
        rows = []
        for number, name in enumerate(library.names):
            chosen = motion == number
            completed = int(results.completed[chosen].sum())
            endings = sorted({int(index) for index in results.failure[chosen] if index >= 0})
            failed = results.last_frame[chosen & ~results.completed]
            rows.append(
                {
                    "clip": name,
                    "seconds": (lengths[number] - 1) * CONTROL_DT,
                    "episodes": int(chosen.sum()),
                    "completed_episodes": completed,
                    "completed": completed == int(chosen.sum()),
                    "success_rate": completed / int(chosen.sum()),
                    "failure": " ".join(self._failures[index] for index in endings),
                    "failed_at_s": float(failed.double().median()) * CONTROL_DT if len(failed) else None,
                    "frames": int(results.steps[chosen].sum()),
                    **_means(results, chosen),
                }
            )
        return rows

    def _add_motion_failure_rates(self, rows: list[dict[str, Any]], results: EpisodeResults) -> None:
        motion = results.plan.motion.cpu()
        for number, row in enumerate(rows):
            chosen = motion == number
            row["failure_rate_uniform"] = float((~results.completed[chosen]).double().mean())


def worst_tenth(rates: Tensor) -> float:
    """Mean of the highest tenth of the rates (B,), at least one."""
    count = max(1, round(0.1 * len(rates)))
    return float(rates.sort(descending=True).values[:count].mean())


def _means(results: EpisodeResults, chosen: Tensor) -> dict[str, float]:
    """Every error, mean over the judged steps of the chosen episodes."""
    steps = max(1, int(results.steps[chosen].sum()))
    return dict(zip(ERRORS, (results.error_sums[chosen].sum(0) / steps).tolist(), strict=True))


def _clip_summary(results: EpisodeResults, rows: list[dict[str, Any]]) -> dict[str, Any]:
    completed, episodes = int(results.completed.sum()), results.plan.num_episodes
    return {
        "completed": sum(row["completed"] for row in rows),
        "episodes": episodes,
        "completed_episodes": completed,
        "completion_rate": completed / episodes,
        "completion_interval": wilson_interval(completed, episodes),
        **_means(results, torch.ones(episodes, dtype=torch.bool)),
    }


def _bin_rows(results: EpisodeResults, bins: BinTable, names: list[str]) -> list[dict[str, Any]]:
    failures, entries = bin_counts(results, bins)
    return [
        {
            "clip": names[int(bins.motion[b])],
            "start_s": int(bins.first_frame[b]) * CONTROL_DT,
            "entries": int(entries[b]),
            "failures": int(failures[b]),
            "failure_rate": float(failures[b]) / int(entries[b]),
        }
        for b in range(bins.num_bins)
    ]


def _bin_summary(results: EpisodeResults, rows: list[dict[str, Any]]) -> dict[str, Any]:
    rates = torch.tensor([row["failure_rate"] for row in rows], dtype=torch.float64)
    completed, episodes = int(results.completed.sum()), results.plan.num_episodes
    everything = _means(results, torch.ones(episodes, dtype=torch.bool))
    return {
        "uniform_episodes": episodes,
        "uniform_completion_rate": completed / episodes,
        "uniform_completion_interval": wilson_interval(completed, episodes),
        "uniform_body_error_m": everything["body_error_m"],
        "bins": len(rows),
        "bin_failure_rate": float(rates.mean()),
        "worst_tenth_failure_rate": worst_tenth(rates),
    }
