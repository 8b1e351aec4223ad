"""`bm motion convert | check | list | render`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from bm_core.errors import ClipError, ConfigError

if TYPE_CHECKING:
    from bm_training.motions.check import ClipCheck
    from bm_training.motions.convert import Outcome

MOVIE_FPS = 25.0


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Turn motion files into 50 fps clips of the G1: 36-column CSV, root-only npz, npz of whole_body_tracking or mjlab.

    Either every file is converted or none is written. Exit 0 all converted, 1 some were refused with --keep-going,
    2 nothing written.
    """

    inputs: tyro.conf.Positional[tuple[Path, ...]]
    """Files, or folders that are searched recursively."""
    out: Path
    """Folder for the clips; made if missing, inner folders of the inputs are kept."""
    fps: float | None = None
    """Rate of files that do not say it themselves (CSV); otherwise a motions.yaml near the file is asked."""
    quat: Literal["wxyz", "xyzw"] | None = None
    """Quaternion order of files that do not say it themselves."""
    start: float = 0.0
    """Cut: first second to keep."""
    end: float | None = None
    """Cut: last second to keep; default: to the end."""
    trust_order: bool = False
    """Skip the test whether another order of quaternion or joints fits better; for motions that slide on purpose."""
    keep_going: bool = False
    """Convert what can be converted although other files are refused."""

    def __call__(self) -> int:
        from bm_core.motion import load_clip
        from bm_training.motions.convert import convert_all, plan_jobs

        if not self.inputs:
            raise ConfigError("motion convert: give files or folders to convert")
        jobs = plan_jobs(self.inputs, self.out)
        load = partial(
            load_clip,
            fps=self.fps,
            quat=self.quat,
            start_s=self.start,
            end_s=self.end,
            trust_order=self.trust_order,
        )
        with _Progress("converting", len(jobs)) as progress:
            outcomes = convert_all(jobs, self.out, load, keep_going=self.keep_going, on_done=progress.advance)
        return self._report(outcomes)

    def _report(self, outcomes: list[Outcome]) -> int:
        refused = [outcome.fault for outcome in outcomes if outcome.fault is not None]
        if len(outcomes) == 1 and refused:
            raise ClipError(refused[0])
        for fault in refused:
            _line(f"refused: {fault}", "red", is_error=True)
        if refused and not self.keep_going:
            raise ClipError(
                f"{len(refused)} of {len(outcomes)} files refused, nothing written; "
                "repair them, leave them out, or convert the others with --keep-going"
            )
        minutes = sum(outcome.seconds for outcome in outcomes) / 60.0
        _line(f"{len(outcomes) - len(refused)} clips, {minutes:.1f} min: {self.out}")
        return 1 if refused else 0


@dataclass(frozen=True, kw_only=True)
class CheckMotions:
    """Table of what is wrong with motion files: faults, for which they are refused, clips that are unfit, and warnings.

    Unfit: no robot can track the clip as given, because a link passes more than 10 cm below the floor. Exit 0 no faults
    (unfit clips and warnings do not count), 1 at least one file is refused, 2 nothing to check.
    """

    paths: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Files, or folders that are searched recursively; default: the shipped clips."""
    fps: float | None = None
    """Rate of files that do not say it themselves."""
    quat: Literal["wxyz", "xyzw"] | None = None
    """Quaternion order of files that do not say it themselves."""
    details: bool = False
    """Also print one line a warning, naming joint, links, value or frame."""
    fit_set: Path | None = None
    """Also write a motion set (.yaml) of the clips that are neither refused nor unfit, for --motion-set."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from bm_sim2real.result_json import write_result
        from bm_training.motions.check import WarningLimits, check_file
        from bm_training.motions.check_table import summarize
        from bm_training.motions.collision_shapes import CollisionShapes
        from bm_training.motions.fit_set import check_fit_set, write_fit_set

        if self.fit_set is not None:
            check_fit_set(self.fit_set, fps=self.fps, quat=self.quat)
        files = _files(self.paths)
        shapes, limits = CollisionShapes(), WarningLimits()
        checks: list[ClipCheck] = []
        with _Progress("checking", len(files)) as progress:
            for path in files:
                checks.append(check_file(path, shapes, limits, fps=self.fps, quat=self.quat))
                progress.advance()
        summary = summarize(checks)
        passed = summary["faults"] == 0
        written = [] if self.fit_set is None else write_fit_set(self.fit_set, checks)
        if self.json is not None:
            rows = [check.row() for check in checks]
            write_result(self.json, command="motion check", rows=rows, summary=summary, passed=passed)
        self._print(checks, summary)
        if self.fit_set is not None:
            _line(f"{len(written)} clips: {self.fit_set}")
        return 0 if passed else 1

    def _print(self, checks: list[ClipCheck], summary: dict[str, Any]) -> None:
        from bm_training.motions.check_table import (
            UNFIT_STYLE,
            WARNING_STYLE,
            check_table,
            unfit_lines,
            warning_lines,
        )

        _console().print(check_table(checks))
        for line in warning_lines(checks) if self.details else ():
            _line(line, WARNING_STYLE)
        for line in unfit_lines(checks):
            _line(f"unfit: {line}", UNFIT_STYLE)
        for check in checks:
            if check.fault is not None:
                _line(f"fault: {check.fault}", "red", is_error=True)
        counted = (f"{summary['clips']} clips", f"{summary['faults']} faults", f"{summary['unfit']} unfit")
        _line(", ".join((*counted, f"{summary['warned']} with warnings")))


@dataclass(frozen=True, kw_only=True)
class ListMotions:
    """List motion files with length, format, source and licence. Exit 1 if one cannot be read."""

    set: str | None = None
    """Instead of files: the entries of a motion set (name or .yaml), or `?` for the sets that are shipped."""
    motion_root: Path | None = None
    """Folder that ${MOTIONS} stands for in a motion set; default: the variable BM_MOTIONS."""
    paths: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Files, or folders that are searched recursively; default: the shipped clips."""
    fps: float | None = None
    """Rate of files that do not say it themselves."""
    quat: Literal["wxyz", "xyzw"] | None = None
    """Quaternion order of files that do not say it themselves."""

    def __call__(self) -> int:
        from rich.table import Table

        from bm_core.motion import load_clip

        if self.set is not None:
            from bm_training.motions.set_table import list_set, list_sets

            table, line = list_sets() if self.set == "?" else list_set(self.set, self.motion_root)
            _console().print(table)
            _line(line)
            return 0
        table = Table("clip", "seconds", "frames", "file", "source", "licence", title_justify="left")
        faults, seconds = [], 0.0
        files = _files(self.paths)
        for path in files:
            try:
                clip = load_clip(path, fps=self.fps, quat=self.quat)
            except ClipError as error:
                faults.append(str(error))
                table.add_row(path.stem, "", "", path.suffix[1:], "refused", "", style="red")
                continue
            seconds += clip.duration
            source, licence = clip.meta.get("source", ""), clip.meta.get("licence", "")
            row = (clip.name, f"{clip.duration:.2f}", str(clip.num_frames), path.suffix[1:], source, licence)
            table.add_row(*map(_plain, row))
        _console().print(table)
        for fault in faults:
            _line(f"refused: {fault}", "red", is_error=True)
        _line(f"{len(files)} clips, {seconds / 60.0:.1f} min, {len(faults)} refused")
        return 1 if faults else 0


@dataclass(frozen=True, kw_only=True)
class Render:
    """Draw a motion without a display: a movie (.mp4, .gif) or a contact sheet (.png)."""

    clip: tyro.conf.Positional[Path]
    """Motion file of any known format."""
    out: Path
    """File to write; its suffix decides."""
    reference: Path | None = None
    """A second motion, drawn translucent, frame by frame."""
    reference_offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """m; moves the second motion aside."""
    start: float = 0.0
    """First second to draw."""
    end: float | None = None
    """Last second to draw; default: to the end."""
    size: tuple[int, int] = (480, 360)
    """Width and height in pixels, both even."""
    azimuth: float = 130.0
    """Direction of sight, degrees; 90 looks along +y."""
    frames: int = 12
    """Pictures on a contact sheet, evenly spaced."""
    fps: float | None = None
    """Rate of a file that does not say it itself. (The movie has 25 frames a second, in real time.)"""
    quat: Literal["wxyz", "xyzw"] | None = None
    """Quaternion order of a file that does not say it itself."""

    def __call__(self) -> int:
        from bm_core.motion import load_clip
        from bm_sim2real.rendering import Camera, clip_qpos, iter_frames, picture_source
        from bm_sim2real.video import write_contact_sheet, write_movie

        is_sheet = self._is_sheet()
        load = partial(load_clip, fps=self.fps, quat=self.quat, start_s=self.start, end_s=self.end)
        clip = load(self.clip)
        picked = _evenly(clip.num_frames, self.frames if is_sheet else round(clip.num_frames * MOVIE_FPS / clip.fps))
        ghost = None
        if self.reference is not None:
            second = clip_qpos(load(self.reference))
            ghost = second[[min(frame, len(second) - 1) for frame in picked]]
        pictures = iter_frames(
            clip_qpos(clip)[picked],
            ghost,
            size=self.size,
            camera=Camera(azimuth=self.azimuth, smoothing=1 if is_sheet else Camera.smoothing),
            reference_offset=self.reference_offset,
        )
        with _Progress("drawing", len(picked)) as progress:
            counted = (picture for picture in pictures if progress.advance() is None)
            if is_sheet:
                write_contact_sheet(self.out, counted)
            else:
                write_movie(self.out, counted, MOVIE_FPS)
        _line(f"{self.out}: {len(picked)} pictures of {clip.name}, {clip.duration:.1f} s, drawn by {picture_source()}")
        return 0

    def _is_sheet(self) -> bool:
        """Whether the output is a contact sheet; ConfigError for arguments that cannot be drawn."""
        from bm_sim2real.video import MOVIES, SHEET

        if self.out.suffix not in (*MOVIES, SHEET):
            raise ConfigError(f"{self.out}: must end in {', '.join((*MOVIES, SHEET))}")
        if self.frames < 1 or min(self.size) < 16 or any(side % 2 for side in self.size):
            raise ConfigError("motion render: --frames must be >= 1, both sides of --size even and >= 16")
        return self.out.suffix == SHEET


def _evenly(num_frames: int, count: int) -> list[int]:
    """`count` frame numbers, evenly spaced, the first and the last among them."""
    count = max(1, count)
    return [round(index * (num_frames - 1) / max(1, count - 1)) for index in range(count)]


def _files(paths: tuple[Path, ...]) -> list[Path]:
    """All motion files of the arguments, each once; without arguments the shipped clips."""
    from bm_core.data import shipped_folder
    from bm_core.motion import find_clips

    given = paths or (shipped_folder("motions"),)
    return list(dict.fromkeys(path for one in given for path in find_clips(one)))


class _Progress:
    """A bar with the remaining time on stderr; gone when the work is done."""

    def __init__(self, what: str, total: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._progress = Progress(console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task(what, total=total)

    def __enter__(self) -> _Progress:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def advance(self, _done: object = None) -> None:
        self._progress.advance(self._task)


def _console(*, is_error: bool = False) -> Any:
    from rich.console import Console

    console = Console(stderr=is_error)
    # Into a pipe or a file rich would squeeze a table into 80 columns.
    return console if console.is_terminal else Console(stderr=is_error, width=220)


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)


def _line(text: str, style: str = "", *, is_error: bool = False) -> None:
    _console(is_error=is_error).print(text, style=style, highlight=False, markup=False, soft_wrap=True)
