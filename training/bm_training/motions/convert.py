"""Many motion files into clips, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bm_core.errors import ClipError
from bm_core.motion import MotionClip, find_clips
from bm_training.motions.staging import move_into_place, save_staged, staging_folder

MADE_BY = "bm motion convert"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One file to convert."""

    source: Path
    target: Path


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one file: a clip's length, or why it was refused."""

    job: Job
    seconds: float = 0.0
    fault: str | None = None


def plan_jobs(inputs: Sequence[Path], out: Path) -> list[Job]:
    """Which file becomes which clip; folders keep their inner structure below `out`. Writes nothing.

    Files inside `out` are left out, so that a folder can be converted into a folder of its own twice. Raises ClipError
    for missing inputs, two inputs with one target, and a target that is an input.
    """
    jobs: dict[Path, Job] = {}
    inside = out.resolve()
    for given in inputs:
        for source in find_clips(given):
            if given.is_dir() and inside in source.resolve().parents:
                continue
            relative = source.relative_to(given) if given.is_dir() else Path(source.name)
            target = out / relative.with_suffix(".npz")
            if target in jobs and jobs[target].source.resolve() != source.resolve():
                raise ClipError(f"{source} and {jobs[target].source} would both become {target}; rename one of them")
            if target.is_dir():
                raise ClipError(f"{target}: is a folder, so no clip can be written there; choose another --out")
            if target.resolve() == source.resolve():
                raise ClipError(f"{source}: would be overwritten by its own clip; choose another --out")
            jobs[target] = Job(source=source, target=target)
    if not jobs:
        raise ClipError(f"nothing to convert: every input lies inside {out}")
    return list(jobs.values())


def convert_all(
    jobs: Sequence[Job],
    out: Path,
    load: Callable[[Path], MotionClip],
    *,
    keep_going: bool = False,
    on_done: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Convert every job. Without `keep_going` a single refusal means that no file is written at all.

    Clips are first written to a hidden folder beside their place, then moved: an interruption leaves nothing behind.
    """
    outcomes = []
    with staging_folder(out) as staging:
        staged: list[tuple[Path, Path]] = []
        for index, job in enumerate(jobs):
            try:
                clip = load(job.source)
            except ClipError as error:
                outcomes.append(Outcome(job=job, fault=str(error)))
            else:
                place = staging / f"{index}.npz"
                save_staged(_signed(clip), place, job.target)
                staged.append((place, job.target))
                outcomes.append(Outcome(job=job, seconds=clip.duration))
            on_done(outcomes[-1])
        if keep_going or all(outcome.fault is None for outcome in outcomes):
            for place, target in staged:
                move_into_place(place, target)
    return outcomes


def _signed(clip: MotionClip) -> MotionClip:
    meta = dict(clip.meta)
    if meta.get("made_by", "unknown") == "unknown":
        meta["made_by"] = MADE_BY
    return replace(clip, meta=meta)
