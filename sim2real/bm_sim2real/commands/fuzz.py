"""`bm fuzz`: random nonsense."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Fuzz:
    """Mad commands and broken readings through the guard and the bridge, damaged bundles and motions through their
    readers. Exit 0 if nothing crashed and no command beyond the limits left, else 1. The full run takes half an hour.
    """

    commands: int = 1_000_000
    """Commands through the guard; an oracle of its own judges what comes out."""
    readings: int = 1_000_000
    """Mutated LowStates (torso IMU and battery messages among them) through the bridge."""
    bundles: int = 20_000
    """Mutated policy bundles."""
    motions: int = 20_000
    """Mutated motion files, three quarters .npz, one quarter .csv."""
    seed: int = 0
    """Equal seeds try the same."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from rich.table import Table

        from bm_core.errors import ConfigError
        from bm_sim2real.commands.progress import tracked, wide_console
        from bm_sim2real.fuzzing.commands import fuzz_commands
        from bm_sim2real.fuzzing.files import fuzz_bundles, fuzz_motions
        from bm_sim2real.fuzzing.readings import fuzz_readings
        from bm_sim2real.result_json import write_result
        from bm_sim2real.robots.unitree.dds import own_tag

        counts = (self.commands, self.readings, self.bundles, self.motions)
        if min(counts) < 0 or not any(counts):
            raise ConfigError("--commands, --readings, --bundles and --motions: none below 0 and not all of them 0")
        own_tag("fuzz")
        runs = (fuzz_commands, fuzz_readings, fuzz_bundles, fuzz_motions)
        reports = []
        with tracked("targets", len(runs)) as advance:
            for run, count in zip(runs, counts, strict=True):
                if count:
                    reports.append(run(count, self.seed))
                advance(None)
        table = Table("target", box=None, header_style="bold", pad_edge=False)
        for heading in ("tried", "went on", "refused", "findings"):
            table.add_column(heading, justify="right")
        table.add_column("answers")
        for report in reports:
            answers = ", ".join(f"{name} {number}" for name, number in sorted(report.answers.items()))
            numbers = (report.tried, report.accepted, report.refused, report.findings)
            table.add_row(report.target, *map(str, numbers), answers)
        console = wide_console()
        console.print(table)
        for finding in (text for report in reports for text in report.first):
            console.print(finding, markup=False)
        passed = not any(report.findings for report in reports)
        if self.json is not None:
            rows = [report.row() for report in reports]
            summary = {"tried": sum(r.tried for r in reports), "findings": sum(r.findings for r in reports)}
            write_result(self.json, command="fuzz", rows=rows, summary=summary, passed=passed)
        console.print("passed" if passed else "FAILED")
        return 0 if passed else 1
