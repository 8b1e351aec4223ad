"""Chooses the runs that a report shows, plays them again, films them, writes the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bm_core.atomic_file import atomic_write_bytes
from bm_sim2real.diffusion_tasks.recording import record_run
from bm_sim2real.diffusion_tasks.task_films import film_run
from bm_sim2real.diffusion_tasks.task_report import ShownRun, TaskReport, task_report_html
from bm_sim2real.planning.episode import EpisodeResult
from bm_sim2real.planning.evaluation import DiffusionEvaluation, load_pilot
from bm_sim2real.result_json import machine, version, write_or_keep

REPORT = "report.html"
FILMS = "run_{seed}.mp4"


def write_task_report(
    folder: str | Path,
    config: DiffusionEvaluation,
    results: Sequence[EpisodeResult],
    summary: Mapping[str, Any],
    *,
    passed: bool,
    shown: int = 4,
) -> Path:
    """Write report.html and one film a shown run into `folder`; returns the page's path."""
    folder, runs = Path(folder), []
    for seed in chosen_seeds(results, shown):
        recording = record_run(config, seed)
        video = film_run(recording)
        if video is not None:
            suffix = ".mp4" if video.mime.endswith("mp4") else ".gif"
            atomic_write_bytes((folder / FILMS.format(seed=seed)).with_suffix(suffix), video.data)
        runs.append(ShownRun(recording=recording, video=video))
    made = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    report = TaskReport(
        task=config.task,
        summary=summary,
        results=results,
        facts=_facts(config),
        shown=runs,
        passed=passed,
        made=f"Made {made} by beyondmimic-g1 {version()}, `bm eval diffusion`.",
    )
    write_or_keep(folder / REPORT, task_report_html(report))
    return folder / REPORT


def chosen_seeds(results: Sequence[EpisodeResult], count: int) -> list[int]:
    """Failures first, at most half of them, then successes; in the order of their seeds."""
    failed = [result.seed for result in results if not result.success]
    good = [result.seed for result in results if result.success]
    lost = failed[: max(count // 2, count - len(good))]
    return sorted([*lost, *good[: count - len(lost)]])


def _facts(config: DiffusionEvaluation) -> list[tuple[str, str]]:
    contract = load_pilot(config.policy, config.pilot).contract
    sampler, guidance, facts = config.pilot.sampler(contract.spec.sampler), contract.guidance, machine()
    return [
        ("Policy", f"{config.policy.name}, {contract.precision}, {contract.training.steps:,} steps"),
        ("Tracker", config.tracker.name),
        ("Sampler", f"{sampler.passes} passes, {sampler.action_passes} for actions, eta {sampler.eta:g}"),
        (
            "Guidance",
            f"scale {guidance.scale:g}, step {guidance.max_step:g}, levels {guidance.min_level}..{guidance.max_level}",
        ),
        ("Base state", config.episode.simulation.base_state.value.replace("_", " ")),
        ("Processor", f"{facts['cpu']}, {facts['cores']} cores"),
    ]
