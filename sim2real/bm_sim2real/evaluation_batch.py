"""Many episodes on several processes, and what they amount to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from bm_core.bundle import Bundle
from bm_core.errors import ConfigError
from bm_core.g1 import CONTROL_DT
from bm_core.motion import MotionClip
from bm_sim2real.clip_files import POLICY_KEY, ClipFile
from bm_sim2real.evaluation import ClipResult, EvaluationConfig, evaluate_clip
from bm_sim2real.policies.tracker import TrackerPolicy, base_state_needed
from bm_sim2real.policy_pool import run_tasks
from bm_sim2real.statistics import wilson_interval
from bm_sim2real.timing import percentiles

PUSH_EPISODE_S = 10.0
"""Longest episode under pushes, s: the reference's time_out. Clips are cut evenly: a remainder would be too easy."""


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One run: a clip or ten seconds of it, one seed."""

    clip: ClipFile
    seed: int
    first_frame: int
    last_frame: int
    policy: str = ""
    """Path of the bundle that the clip names; empty if it names none."""


def plan_episodes(clips: Sequence[ClipFile], seeds: int, *, is_pushed: bool) -> list[Episode]:
    """Whole clips once; under pushes parts of at most ten seconds, with every seed. Reads all clips: errors come first.

    ConfigError for several seeds without pushes: the simulation is deterministic, they would repeat one run.
    """
    if seeds < 1:
        raise ConfigError(f"seeds = {seeds}: must be at least 1")
    if seeds > 1 and not is_pushed:
        raise ConfigError(f"seeds = {seeds} without pushes would repeat the same run; add --pushes")
    episodes = []
    for clip in clips:
        loaded = clip.load()
        last, named = loaded.num_frames - 1, loaded.meta.get(POLICY_KEY, "")
        parts = math.ceil(last * CONTROL_DT / PUSH_EPISODE_S) if is_pushed else 1
        edges = [round(last * i / parts) for i in range(parts + 1)]
        spans = list(zip(edges[:-1], edges[1:], strict=True))
        episodes += [
            Episode(clip=clip, seed=seed, first_frame=first, last_frame=end, policy=named)
            for seed in range(seeds)
            for first, end in spans
        ]
    return episodes


def with_base_state(config: EvaluationConfig, policy: str | Path) -> EvaluationConfig:
    """With an estimator for a policy that needs position and velocity of the pelvis."""
    base_state = base_state_needed(Bundle.read(policy).contract)
    return replace(config, simulation=replace(config.simulation, base_state=base_state))


def run_episodes(
    policy: str | Path,
    episodes: Sequence[Episode],
    config: EvaluationConfig,
    *,
    provider: str = "cpu",
    jobs: int = 1,
    on_result: Callable[[ClipResult], None] | None = None,
) -> list[ClipResult]:
    """Every episode, in the order given; `on_result` sees each as it comes.

    Raises BmError if the policy cannot be trusted or a clip cannot be read.
    """
    return run_tasks(
        policy, provider, partial(_run, config=config), episodes, jobs=jobs, cost=_num_frames, on_result=on_result
    )


_ERRORS = (
    "body_error_m",
    "anchor_error_m",
    "joint_error_rad",
    "mpkpe_global_m",
    "mpkpe_root_m",
    "joint_velocity_error_rad_s",
    "body_velocity_error_m_s",
)


def summarize(results: Sequence[ClipResult]) -> dict[str, Any]:
    """The summary of `bm eval tracking` and `bm demo`. Errors are over all measured frames of all clips."""
    completed = sum(result.completed for result in results)
    frames = np.array([result.frames for result in results], dtype=np.float64)
    clips = {result.clip for result in results}
    failed = {result.clip for result in results if not result.completed}
    wall = sum(result.wall_s for result in results)
    return {
        "clips": len(clips),
        "completed": len(clips) - len(failed),
        "episodes": len(results),
        "completed_episodes": completed,
        "completion_rate": completed / len(results) if results else math.nan,
        "completion_interval": wilson_interval(completed, len(results)),
        **{name: _mean([getattr(result, name) for result in results], frames) for name in _ERRORS},
        "acrobatic": _acrobatic(results),
        "guard_stops": sum(result.failure == "guard" for result in results),
        "clamp_share": _mean([result.clamp_share for result in results], frames),
        "tick_ms": percentiles([ms for result in results for ms in result.tick_ms]),
        "realtime_factor": sum(result.simulated_s for result in results) / wall if wall else math.nan,
    }


def row(result: ClipResult) -> dict[str, Any]:
    """A result as a row of the JSON document: tick times as percentiles."""
    values = asdict(result)
    values["tick_ms"] = percentiles(result.tick_ms)
    values["clamp_share"] = result.clamp_share
    return values


def _acrobatic(results: Sequence[ClipResult]) -> dict[str, int]:
    """The share that acrobatic clips have in the numbers beside it."""
    episodes = [result for result in results if result.is_acrobatic]
    return {
        "clips": len({result.clip for result in episodes}),
        "episodes": len(episodes),
        "completed_episodes": sum(result.completed for result in episodes),
    }


def _mean(values: Sequence[float], frames: np.ndarray) -> float:
    """Weighted by measured frames; NaN if there are none. Refused clips have no frames and no say."""
    measured = frames > 0
    if not measured.any():
        return math.nan
    return float(np.average(np.array(values)[measured], weights=frames[measured]))


def _run(policy: TrackerPolicy, episode: Episode, config: EvaluationConfig) -> ClipResult:
    return evaluate_clip(
        policy,
        _loaded(episode.clip),
        config,
        seed=episode.seed,
        first_frame=episode.first_frame,
        last_frame=episode.last_frame,
    )


@lru_cache(maxsize=4)
def _loaded(clip: ClipFile) -> MotionClip:
    return clip.load()


def _num_frames(episode: Episode) -> int:
    return episode.last_frame - episode.first_frame
