"""Many runs of a diffusion task on several processes, and what they amount to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from bm_core.diffusion.contract import DiffusionContract
from bm_core.errors import ConfigError
from bm_sim2real.planning.episode import EpisodeConfig, EpisodeResult, Task, run_episode
from bm_sim2real.planning.policy import DiffusionPolicy, PilotConfig, load_lockstep
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.policy_pool import run_tasks
from bm_sim2real.statistics import wilson_interval
from bm_sim2real.timing import percentiles

TaskMaker = Callable[[int, DiffusionContract], Task]
"""Seed and the policy's contract (tokens, guidance settings) -> one run."""

TASKS = {
    "walk-perturb": "bm_sim2real.planning.walk_perturb:WalkPerturb",
    "joystick": "bm_sim2real.diffusion_tasks.tasks:JoystickTask",
    "velocity-range": "bm_sim2real.diffusion_tasks.tasks:VelocityRangeTask",
    "waypoint": "bm_sim2real.diffusion_tasks.tasks:WaypointTask",
    "obstacle": "bm_sim2real.diffusion_tasks.tasks:LaneTask",
    "obstacle-control": "bm_sim2real.diffusion_tasks.tasks:LaneControlTask",
    "obstacle-moving": "bm_sim2real.diffusion_tasks.tasks:MovingLaneTask",
    "waypoint-obstacle": "bm_sim2real.diffusion_tasks.tasks:WaypointLaneTask",
    "transitions": "bm_sim2real.diffusion_tasks.more_tasks:TransitionsTask",
    "in-between": "bm_sim2real.diffusion_tasks.more_tasks:InBetweenTask",
    "planner-killed": "bm_sim2real.diffusion_tasks.more_tasks:PlannerKilledTask",
    "planner-late": "bm_sim2real.diffusion_tasks.more_tasks:PlannerLateTask",
}
"""Name on the command line -> module:TaskMaker. Imported when asked for."""


@dataclass(frozen=True, kw_only=True)
class DiffusionEvaluation:
    """What is the same for every run."""

    task: str
    """One of TASKS."""
    policy: Path
    tracker: Path
    pilot: PilotConfig = field(default_factory=PilotConfig)
    episode: EpisodeConfig = field(default_factory=EpisodeConfig)


def task_maker(name: str) -> TaskMaker:
    """The maker of a task. ConfigError for an unknown name."""
    if name not in TASKS:
        raise ConfigError(f"task '{name}' is unknown; known are {', '.join(TASKS)}")
    module, _, attribute = TASKS[name].partition(":")
    return getattr(import_module(module), attribute)


def run_evaluation(
    config: DiffusionEvaluation,
    seeds: Sequence[int],
    *,
    jobs: int = 1,
    on_result: Callable[[EpisodeResult], None] | None = None,
) -> list[EpisodeResult]:
    """One run for each seed, in their order. BmError if a policy cannot be trusted."""
    task_maker(config.task)
    load_pilot(config.policy, config.pilot)  # here as well: in a worker its error would read "broken pool"
    work = partial(_work, config=config)
    return run_tasks(config.tracker, config.pilot.provider, work, list(seeds), jobs=jobs, on_result=on_result)


def summarize(task: str, results: Sequence[EpisodeResult]) -> dict[str, Any]:
    """The summary of `bm eval diffusion`. velocity_error is the mean of the rows that have one."""
    count, success = len(results), sum(result.success for result in results)
    fell = sum(result.fell for result in results)
    errors = [result.values["velocity_error"] for result in results if "velocity_error" in result.values]
    return {
        "task": task,
        "runs": count,
        "successes": success,
        "success_rate": success / count,
        "success_interval": wilson_interval(success, count),
        "falls": fell,
        "fall_rate": fell / count,
        "fall_interval": wilson_interval(fell, count),
        "head_falls": sum(result.head_fell for result in results),
        "velocity_error": float(np.mean(errors)) if errors else None,
        "path_m": float(np.mean([result.path_m for result in results])),
        "net_m": float(np.mean([result.net_m for result in results])),
        "seconds": float(np.mean([result.seconds for result in results])),
        "plan_losses": sum(result.plan_losses for result in results),
        "plan_ms": percentiles([ms for result in results for ms in result.plan_ms]),
    }


def row(result: EpisodeResult) -> dict[str, Any]:
    """A result as a row of the JSON document: plan times as percentiles."""
    return {**asdict(result), "plan_ms": percentiles(result.plan_ms)}


def _work(tracker: TrackerPolicy, seed: int, config: DiffusionEvaluation) -> EpisodeResult:
    pilot = load_pilot(config.policy, config.pilot)
    task = task_maker(config.task)(seed, pilot.contract)
    return run_episode(pilot, tracker, task, seed, config.episode)


@lru_cache(maxsize=2)
def load_pilot(policy: Path, config: PilotConfig) -> DiffusionPolicy:
    """A policy, loaded and proven once per process."""
    return load_lockstep(policy, config)
