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
    """Motion files and folders between commas; default: the shipped clips."""
    report: Path = Path("reports/demo")
    """Folder for report.html and metrics.json."""
    json: Path | None = None
    """Also write metrics.json here."""
    film_seconds: float = 6.0
    """Longest film of a clip, s; 0 for none."""

    def __call__(self) -> int:
        from bm_core.data import shipped
        from bm_sim2real import demo
        from bm_sim2real.clip_files import chosen_clips
        from bm_sim2real.commands.progress import wide_console
        from bm_sim2real.report import report_html
        from bm_sim2real.result_json import write_or_keep, write_result

        policy = self.policy or shipped("policies", "g1_tracker.onnx")
        prepared = demo.prepare(policy, chosen_clips(self.motions, None, None))
        outcome = _play(prepared, self.film_seconds)
        rows, summary = demo.rows(prepared, outcome), demo.summary(prepared, outcome)
        for path in [self.report / METRICS, *([self.json] if self.json else [])]:
            write_result(path, command="demo", rows=rows, summary=summary, passed=outcome.passed)
        write_or_keep(self.report / REPORT, report_html(demo.build_report(prepared, outcome)))
        console = wide_console()
        console.print(_table(outcome))
        _print_verdict(console, prepared, outcome, self.report)
        return 0 if outcome.passed else 1


def _play(prepared: Prepared, film_seconds: float) -> Outcome:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from bm_sim2real.demo import Watcher, play

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
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
    from rich.markup import escape
    from rich.table import Table

    table = Table("clip", box=None, header_style="bold", pad_edge=False)
    for heading in ("seconds", "completed", "joint rad", "body mm", "tick p50 / p99 ms"):
        table.add_column(heading, justify="right")
    table.add_column("what ended it")
    for clip in outcome.clips:
        tick = clip.tick_ms
        table.add_row(
            escape(clip.name),
            f"{clip.seconds:.1f}",
            ("* " if clip.is_promised else "") + ("[green]yes[/]" if clip.completed else "[red]no[/]"),
            f"{clip.joint_error_rad:.3f}",
            f"{1e3 * clip.body_error_m:.1f}",
            f"{tick['p50']:.2f} / {tick['p99']:.2f}" if tick else "-",
            escape(clip.ending),
        )
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
    line(("* " if prepared.promised else "") + promise_words(prepared, outcome))
    without = [clip for clip in outcome.clips if clip.video is None and clip.no_video != "not asked for"]
    if without:
        line(f"{len(without)} clips without a film: {without[0].no_video}", "yellow")
    for name in outcome.failed_promises:
        line(f"promised, but not completed: {name}", "red")
    line(f"report: {(folder / REPORT).resolve()}")
