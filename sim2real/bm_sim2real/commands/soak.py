"""`bm soak`: the bridge for a long time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from bm_sim2real.soak import SoakResult


@dataclass(frozen=True, kw_only=True)
class Soak:
    """Walk the simulated G1 over DDS for a long time: memory of every process, and late ticks beside those of a loop
    that does nothing. Exit 0 passed, 1 failed, 2 could not run.
    """

    minutes: float = 30.0
    """How long; memory counts in the last two thirds."""
    policy: Path | None = None
    """Policy bundle (.onnx); default: the shipped g1_tracker.onnx."""
    motion: str | None = None
    """Motion files and folders between commas; default: the shipped streams."""
    real_time_factor: float = 1.0
    """Simulated s per s of the wall clock, 0.05..1: less than 1 where this computer cannot keep up with 500 Hz."""
    most_growth_mb: float = 5.0
    """Passed needs less growth in every process, MB,"""
    most_late: float = 2.0
    """and at most so many times the bare loop's ticks that are later than 2 ms."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from bm_core.data import shipped
        from bm_core.errors import ConfigError
        from bm_sim2real import soak
        from bm_sim2real.clip_files import chosen_clips
        from bm_sim2real.commands.progress import tracked, wide_console
        from bm_sim2real.result_json import write_result
        from bm_sim2real.robots.unitree.dds import own_tag

        if not self.minutes > 0.0:
            raise ConfigError(f"--minutes {self.minutes:g}: must be above 0")
        own_tag("soak")
        clips = [clip.path for clip in chosen_clips(self.motion, None, None)]
        if self.motion is None:
            clips = [path for path in clips if path.stem.startswith("stream")]
        run = soak.Soak(self.policy or shipped("policies", "g1_tracker.onnx"), clips, self.real_time_factor)
        try:
            with tracked("minutes", max(1, round(self.minutes))) as advance:
                minutes = iter(range(1, 10**6))
                due = [next(minutes)]

                def on_sample(seconds: float) -> None:
                    if seconds >= 60.0 * due[0]:
                        due[0] = next(minutes)
                        advance(None)

                result = run.run(60.0 * self.minutes, on_sample)
        finally:
            run.close()
        passed = result.passes(self.most_growth_mb, self.most_late)
        if self.json is not None:
            write_result(self.json, command="soak", rows=_rows(result), summary=_summary(result), passed=passed)
        console = wide_console()
        console.print(_memory_table(result))
        console.print(_late_table(result))
        played, faults = result.client["played"], result.client["faults"]
        console.print(f"{played} motions played, {len(faults)} faults: {'; '.join(faults[:5]) or 'none'}")
        if not played:
            console.print("no motion came to its end, which is no pass: give more --minutes")
        console.print("passed" if passed else "FAILED")
        return 0 if passed else 1


def _rows(result: SoakResult) -> list[dict[str, object]]:
    return [
        {"process": name, "growth_mb": growth, "rss_mb": result.rss_mb[name]}
        for name, growth in result.growth_mb.items()
    ]


def _summary(result: SoakResult) -> dict[str, object]:
    from bm_sim2real.timing import LATE_MS

    return {
        "seconds": result.seconds,
        "worst_growth_mb": max(result.growth_mb.values()),
        "late_ticks": {name: result.late_ticks(name) for name in result.late},
        "late_classes_ms": LATE_MS,
        "late_histogram": result.late,
        "motions_played": result.client["played"],
        "faults": result.client["faults"],
        "timing_ms": result.status["timing_ms"],
        "counters": result.status["counters"],
    }


def _memory_table(result: SoakResult) -> Table:
    from rich.table import Table

    table = Table("process", box=None, header_style="bold", pad_edge=False)
    table.add_column("memory MB", justify="right")
    table.add_column("growth MB", justify="right")
    for name, growth in result.growth_mb.items():
        table.add_row(name, f"{result.rss_mb[name]:.1f}", f"{growth:+.2f}")
    return table


def _late_table(result: SoakResult) -> Table:
    from rich.table import Table

    from bm_sim2real.timing import LATE_MS

    table = Table("ticks late by, ms", box=None, header_style="bold", pad_edge=False)
    for name in result.late:
        table.add_column(name, justify="right")
    names = [f"up to {edge:g}" for edge in LATE_MS] + [f"above {LATE_MS[-1]:g}"]
    for k, name in enumerate(names):
        table.add_row(name, *(str(counts[k]) for counts in result.late.values()))
    table.add_row("later than 2", *(str(result.late_ticks(name)) for name in result.late), style="bold")
    return table
