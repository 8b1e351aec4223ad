"""`bm demo`: the shipped tracker on the shipped clips, as a table and a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from bm_sim2real.demo import Demo as Prepared
    from bm_sim2real.demo import Outcome

REPORT, METRICS = "report.html", "metrics.json"


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Play the shipped tracker on the shipped clips in simulation; write a report with plots and films.

    Exit 0 if every clip that the model card promises was completed, 1 if one was not, 2 if it could not run.
    """

    policy: Path | None = None
    """Policy bundle (.onnx); default: the shipped g1_tracker.onnx."""
    motions: str | None = None
    """Motion files or folders, with commas between them; default: the shipped clips."""
    report: Path = Path("reports/demo")
    """Folder for report.html and metrics.json."""
    json: Path | None = None
    """Also write metrics.json here."""
    film_seconds: float = 6.0
    """Longest film of a clip, s; 0 for none."""

    def __call__(self) -> int:
        from bm_core.atomic_file import atomic_write_text
        from bm_core.data import shipped
        from bm_sim2real import demo
        from bm_sim2real.report import report_html
        from bm_sim2real.result_json import write_result

        policy = self.policy or shipped("policies", "g1_tracker.onnx")
        motions = [shipped("motions")] if self.motions is None else split_motions(self.motions)
        prepared = demo.prepare(policy, motions)
        console = _console()
        _make_folder(self.report)
        outcome = _play(prepared, self.film_seconds, console)
        rows, summary = demo.rows(prepared, outcome), demo.summary(prepared, outcome)
        atomic_write_text(self.report / REPORT, report_html(demo.build_report(prepared, outcome)))
        for path in [self.report / METRICS, *([self.json] if self.json else [])]:
            write_result(path, command="demo", rows=rows, summary=summary, passed=outcome.passed)
        console.print(_table(outcome))
        _print_verdict(console, prepared, outcome, self.report)
        return 0 if outcome.passed else 1


def split_motions(text: str) -> list[Path]:
    """Paths between commas; a path that has a comma in it and exists is taken as it is."""
    if Path(text).exists():
        return [Path(text)]
    return [Path(part.strip()) for part in text.split(",") if part.strip()]


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def _make_folder(folder: Path) -> None:
    """Before minutes of work, not after."""
    from bm_core.errors import ConfigError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be made: {error.strerror}; choose another --report") from error


def _play(prepared: Prepared, film_seconds: float, console: Console) -> Outcome:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from bm_sim2real.demo import Watcher, play

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        steps = progress.add_task("playing", total=sum(clip.num_frames - 1 for clip in prepared.clips))
        films = progress.add_task("films", total=len(prepared.clips), visible=film_seconds > 0)

        class Bars(Watcher):
            done = 0
            """Steps of the clips that are over; one that fails early counts in full."""

            def on_clip(self, name: str) -> None:
                progress.update(steps, description=f"playing {name[:32]}")

            def on_step(self) -> None:
                progress.advance(steps)

            def on_clip_end(self, planned_steps: int) -> None:
                self.done += planned_steps
                progress.update(steps, completed=self.done)

            def on_films(self, finished: int, queued: int) -> None:
                progress.update(films, completed=finished)

        return play(prepared, film_seconds, Bars())


def _table(outcome: Outcome) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("clip", "s", "completed", "joint error", "body error", "tick p50", "p99"):
        table.add_column(name, justify="left" if name == "clip" else "right")
    for clip in outcome.clips:
        mark = "[green]yes[/]" if clip.completed else "[red]no[/]"
        table.add_row(
            escape(clip.name),
            f"{clip.seconds:.1f}",
            mark + (" *" if clip.is_promised else ""),
            f"{clip.joint_error_rad:.3f} rad",
            f"{1e3 * clip.body_error_m:.0f} mm",
            *(f"{clip.tick_ms[key]:.2f} ms" if clip.tick_ms else "-" for key in ("p50", "p99")),
        )
    if any(clip.is_promised for clip in outcome.clips):
        table.caption = "* promised by the model card"
    return table


def _print_verdict(console: Console, prepared: Prepared, outcome: Outcome, folder: Path) -> None:
    from bm_sim2real.demo import promise_words, summary

    def line(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False, soft_wrap=True)

    numbers = summary(prepared, outcome)
    line(
        f"{numbers['completed']} of {numbers['clips']} clips completed, body error "
        f"{1e3 * numbers['body_error_m']:.0f} mm, {numbers['realtime_factor']:.1f} x real time, "
        f"{outcome.wall_s:.0f} s in all"
    )
    line(promise_words(prepared, outcome))
    without = [clip for clip in outcome.clips if clip.video is None and clip.no_video != "not asked for"]
    if without:
        line(f"{len(without)} clips without a film: {without[0].no_video}", "yellow")
    for name in outcome.failed_promises:
        line(f"promised, but not completed: {name}", "red")
    line(f"report: {(folder / REPORT).resolve()}")
