"""What `bm demo` does: plays clips, films them in a second process meanwhile, judges them by the model card."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bm_core.errors import ConfigError
from bm_core.motion import MotionClip
from bm_sim2real.bundle_check import CheckResult, check_bundle
from bm_sim2real.clip_files import ClipFile
from bm_sim2real.evaluation import ClipResult, EvaluationConfig, evaluate_clip
from bm_sim2real.evaluation_batch import row, summarize, with_base_state
from bm_sim2real.model_card import ModelCard, card_path, read_card
from bm_sim2real.report_data import ClipReport, Report
from bm_sim2real.report_facts import machine_facts, policy_facts
from bm_sim2real.report_record import ClipRecording, WatchedTracker
from bm_sim2real.result_json import version
from bm_sim2real.timing import percentiles
from bm_sim2real.video_process import VideoProcess

DRAWING_S = 200.0
"""s that all films together may take; each gets its share, and fewer pictures if that is not enough."""
FINISH_S = 240.0
"""s after its start in which the demo waits for no more films."""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Everything that was read and found good; nothing has been played or written."""

    check: CheckResult
    policy: WatchedTracker
    clips: Sequence[MotionClip]
    card: ModelCard | None
    config: EvaluationConfig

    @property
    def promised(self) -> tuple[str, ...]:
        """Promised clips that are among those to be played."""
        names = {clip.name for clip in self.clips}
        return tuple(name for name in (self.card.promised_clips if self.card else ()) if name in names)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was measured."""

    results: Sequence[ClipResult]
    clips: Sequence[ClipReport]
    failed_promises: Sequence[str]
    wall_s: float

    @property
    def passed(self) -> bool:
        return not self.failed_promises


class Watcher:
    """Hears how far the demo is; this one does not listen."""

    def on_clip(self, name: str) -> None:
        """A clip begins."""

    def on_step(self) -> None:
        """One control step was played."""

    def on_clip_end(self, planned_steps: int) -> None:
        """A clip is over, perhaps early."""

    def on_films(self, finished: int, queued: int) -> None:
        """Films drawn and asked for."""


def prepare(policy: str | Path, motions: Sequence[ClipFile], config: EvaluationConfig | None = None) -> Demo:
    """Read and check everything. BmError says what is missing or wrong."""
    check = check_bundle(policy, inferences=200)
    tracker = WatchedTracker.load(policy)
    card = read_card(policy, check.bundle.model.graph_sha256)
    clips = load_clips(motions)
    config = with_base_state(config or EvaluationConfig(), policy)
    return Demo(check=check, policy=tracker, clips=clips, card=card, config=config)


def load_clips(files: Sequence[ClipFile]) -> list[MotionClip]:
    """Every clip. ConfigError if two have one name: results are counted by name."""
    clips = [file.load() for file in files]
    names = [clip.name for clip in clips]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"two motions are called '{twice}'; leave one out, or convert it under another name")
    return clips


def play(demo: Demo, film_seconds: float, watcher: Watcher | None = None) -> Outcome:
    """Play every clip in lockstep. `film_seconds` is the most that a film may last; 0 makes none."""
    watcher = watcher or Watcher()
    begun = time.monotonic()
    drawing_s = DRAWING_S / max(1, len(demo.clips))
    reports: list[ClipReport] = []
    results: list[ClipResult] = []
    with VideoProcess() as films:
        for clip in demo.clips:
            watcher.on_clip(clip.name)
            result, report, recording = _play_clip(demo, clip, watcher)
            job = recording.video_job(film_seconds, drawing_s, to_end=not result.completed) if film_seconds else None
            if job is not None:
                films.submit(job)
            results.append(result)
            reports.append(report)
            watcher.on_clip_end(clip.num_frames - 1)
            watcher.on_films(films.finished, films.queued)
        left = max(0.0, FINISH_S - (time.monotonic() - begun))
        drawn, missing = films.collect(left, lambda: watcher.on_films(films.finished, films.queued))
    shown = [
        replace(report, video=drawn.get(report.name), no_video=missing.get(report.name, _no_film(film_seconds)))
        for report in reports
    ]
    failed = [result.clip for result in results if result.clip in demo.promised and not result.completed]
    return Outcome(results=results, clips=shown, failed_promises=failed, wall_s=time.monotonic() - begun)


def rows(demo: Demo, outcome: Outcome) -> list[dict[str, Any]]:
    """One row for each clip, as in `bm eval tracking`, and whether it was promised."""
    return [{**row(result), "promised": result.clip in demo.promised} for result in outcome.results]


def summary(demo: Demo, outcome: Outcome) -> dict[str, Any]:
    """The keys of `bm eval tracking`, the promise, and how long everything took."""
    return {
        **summarize(outcome.results),
        "model_card": demo.card is not None,
        "promised": len(demo.promised),
        "failed_promises": list(outcome.failed_promises),
        "policy_sha256": demo.check.bundle.model.graph_sha256,
        "wall_s": outcome.wall_s,
    }


def promise_words(demo: Demo, outcome: Outcome) -> str:
    """What was required of the run, in one sentence."""
    if demo.card is None:
        name = card_path(demo.check.bundle.path).name
        return f"There is no model card ({name}) beside the policy, so no motion is promised and none is required."
    if not demo.promised:
        return "The model card promises none of these motions."
    kept = len(demo.promised) - len(outcome.failed_promises)
    others = len(demo.card.promised_clips) - len(demo.promised)
    rest = f"; {others} more were not played" if others else ""
    return f"The model card promises {len(demo.promised)} of these motions: {kept} completed{rest}."


def build_report(demo: Demo, outcome: Outcome) -> Report:
    """The values of report.html."""
    made = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    terms = demo.check.bundle.contract.observations
    return Report(
        policy=policy_facts(demo.check),
        terms=[(term.name, term.size) for term in terms],
        machine=machine_facts(demo.config),
        summary=summarize(outcome.results),
        clips=outcome.clips,
        promise=promise_words(demo, outcome),
        verdict=_verdict(demo, outcome),
        notes=demo.check.bundle.warnings,
        made=f"Made {made} by beyondmimic-g1 {version()}, `bm demo`, in {outcome.wall_s:.0f} s.",
    )


def _play_clip(demo: Demo, clip: MotionClip, watcher: Watcher) -> tuple[ClipResult, ClipReport, ClipRecording]:
    recording = ClipRecording(clip, demo.policy)

    def on_sample(sample) -> None:
        recording.on_sample(sample)
        watcher.on_step()

    result = evaluate_clip(demo.policy, clip, demo.config, on_sample=on_sample)
    report = ClipReport(
        name=clip.name,
        seconds=clip.duration,
        completed=result.completed,
        is_promised=clip.name in demo.promised,
        ending=result.detail,
        joint_error_rad=result.joint_error_rad,
        body_error_m=result.body_error_m,
        anchor_error_m=result.anchor_error_m,
        tick_ms=percentiles(result.tick_ms),
        effort_clamps=result.effort_clamps,
        hard_stop_clamps=result.hard_stop_clamps,
        clamp_share=result.clamp_share,
        made_by=_origin(clip),
        tracks=recording.tracks(result.tick_ms),
    )
    return result, report, recording


def _origin(clip: MotionClip) -> str:
    """What the clip says of itself."""
    told = (clip.meta.get(key, "unknown") for key in ("made_by", "source", "licence"))
    return ", ".join(text for text in told if text and text != "unknown")


def _verdict(demo: Demo, outcome: Outcome) -> str:
    if not demo.promised:
        return "not judged"
    return "passed" if outcome.passed else "failed"


def _no_film(film_seconds: float) -> str:
    return "not asked for" if not film_seconds else "the motion ended before there was anything to film"
