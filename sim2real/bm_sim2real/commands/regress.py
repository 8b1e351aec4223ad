"""`bm regress`: scenarios in simulation, judged by gates, baselines and negative controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

if TYPE_CHECKING:
    from rich.table import Table

    from bm_sim2real.regress.scenario import Scenario
    from bm_sim2real.regress.verdict import Outcome


@dataclass(frozen=True, kw_only=True)
class Regress:
    """Run regression scenarios in simulation, in parallel and in lockstep. Exit 0 passed, 1 failed, 2 could not run.

    A scenario passes if it keeps its gates and is not worse than its baseline; a negative control passes if it fails.
    docs/regression.md shows how to add one for your own policy in five lines.
    """

    files: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Scenario files (.yaml); default: those of the shipped policies."""
    only: str = ""
    """Only scenarios whose name contains this."""
    matrix: bool = False
    """Instead: the scenarios that track or brake, on every variation of the robot; shows who completes where."""
    update: bool = False
    """Make what was measured the baseline, beside the scenario files; refused while a gate is broken."""
    jobs: int | None = None
    """Processes; default: the cores of this machine."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""
    junit: Path | None = None
    """Also write JUnit XML."""
    report: Path | None = None
    """Also write regress.html with tables and plots into this folder."""

    def __call__(self) -> int:
        from bm_core.errors import ConfigError
        from bm_sim2real.regress.baseline import read_baselines
        from bm_sim2real.regress.scenario_file import read_scenarios, shipped_files

        if self.jobs is not None and self.jobs < 1:
            raise ConfigError(f"--jobs {self.jobs}: must be at least 1")
        if self.update and (self.matrix or self.only):
            raise ConfigError("--update takes whole files: leave --matrix and --only away")
        files = list(self.files) or shipped_files()
        scenarios = [scenario for scenario in read_scenarios(files) if self.only in scenario.name]
        if not scenarios:
            raise ConfigError(f"--only {self.only!r}: no scenario has that in its name")
        baselines = read_baselines(files)
        return self._matrix(scenarios) if self.matrix else self._judge(files, scenarios, baselines)

    def _judge(self, files: list[Path], scenarios: list[Scenario], baselines: dict[str, dict[str, float]]) -> int:
        from bm_sim2real.commands.progress import wide_console

        outcomes, seconds = self._run(scenarios, {} if self.update else baselines)
        summary = _summary(outcomes, seconds)
        passed = summary["failed"] == 0
        self._write(outcomes, summary, passed, seconds)
        console = wide_console()
        console.print(_table(outcomes))
        if self.update:
            if not passed:
                console.print("baseline not updated: a gate is broken")
            else:
                self._update(files, outcomes)
        console.print(_verdict(summary, passed))
        return 0 if passed else 1

    def _matrix(self, scenarios: list[Scenario]) -> int:
        from bm_core.errors import ConfigError
        from bm_sim2real.commands.progress import wide_console
        from bm_sim2real.regress.matrix import matrix_of

        cells = matrix_of(scenarios)
        if not cells:
            raise ConfigError("--matrix: no scenario tracks or brakes on the nominal robot and must pass")
        outcomes, seconds = self._run([varied for _, _, varied in cells], {})
        summary = _summary(outcomes, seconds)
        passed = summary["failed"] == 0
        self._write(outcomes, summary, passed, seconds)
        console = wide_console()
        console.print(_matrix_table([(scenario.name, variation) for scenario, variation, _ in cells], outcomes))
        console.print(_verdict(summary, passed))
        return 0 if passed else 1

    def _run(self, scenarios: list[Scenario], baselines: dict[str, dict[str, float]]) -> tuple[list[Outcome], float]:
        import time

        from bm_sim2real.commands.progress import cores, tracked
        from bm_sim2real.regress.verdict import run_scenarios

        runs = sum(len(scenario.seeds) for scenario in scenarios if not scenario.missing)
        begun = time.perf_counter()
        with tracked("scenario runs", runs) as advance:
            outcomes = run_scenarios(scenarios, baselines, jobs=self.jobs or cores(), on_result=advance)
        return outcomes, time.perf_counter() - begun

    def _write(self, outcomes: list[Outcome], summary: dict[str, Any], passed: bool, seconds: float) -> None:
        from bm_sim2real.regress.junit import junit_xml
        from bm_sim2real.regress.page import regress_page
        from bm_sim2real.result_json import write_or_keep, write_result

        if self.json is not None:
            write_result(self.json, command="regress", rows=list(map(_row, outcomes)), summary=summary, passed=passed)
        if self.junit is not None:
            write_or_keep(self.junit, junit_xml(outcomes, seconds))
        if self.report is not None:
            write_or_keep(self.report / "regress.html", regress_page(outcomes, summary))

    def _update(self, files: list[Path], outcomes: list[Outcome]) -> None:
        from bm_sim2real.regress.baseline import write_baseline
        from bm_sim2real.regress.scenario_file import read_scenario_file

        by_name = {outcome.scenario.name: outcome for outcome in outcomes}
        for file in files:
            write_baseline(file, read_scenario_file(file), by_name)


def _summary(outcomes: Sequence[Outcome], seconds: float) -> dict[str, Any]:
    from bm_sim2real.regress.verdict import Status

    skipped = sum(outcome.status is Status.SKIPPED for outcome in outcomes)
    failed = sum(not outcome.passed for outcome in outcomes)
    return {
        "scenarios": len(outcomes),
        "passed": len(outcomes) - failed - skipped,
        "failed": failed,
        "skipped": skipped,
        "controls": sum(outcome.scenario.must_fail for outcome in outcomes),
        "policies": sorted({outcome.scenario.policy.name for outcome in outcomes}),
        "runs": sum(outcome.runs for outcome in outcomes),
        "seconds": seconds,
    }


def _row(outcome: Outcome) -> dict[str, Any]:
    scenario = outcome.scenario
    return {
        "scenario": scenario.name,
        "kind": scenario.kind.value,
        "policy": scenario.policy.name,
        "must_fail": scenario.must_fail,
        "status": outcome.status.value,
        "reasons": list(outcome.reasons),
        "detail": outcome.detail,
        "gates": {gate.metric: gate.bound for gate in scenario.gates},
        "values": dict(outcome.values),
        "baseline": None if outcome.baseline is None else dict(outcome.baseline),
        "regressions": list(outcome.regressions),
        "runs": outcome.runs,
        "seconds": outcome.seconds,
    }


def _table(outcomes: Sequence[Outcome]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from bm_sim2real.regress.page import headline

    table = Table("scenario", "policy", box=None, header_style="bold", pad_edge=False)
    for heading in ("runs", "measured", "baseline"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for outcome in outcomes:
        now, before = headline(outcome)
        why = "; ".join(outcome.reasons) or ("failed, as it must" if outcome.scenario.must_fail else "")
        verdict = f"{outcome.status.value}{': ' if why else ''}{why}"
        cells = (outcome.scenario.name, outcome.scenario.policy.stem, str(outcome.runs), now, before, verdict)
        table.add_row(*map(Text, cells))
    return table


def _matrix_table(cells: Sequence[tuple[str, str]], outcomes: Sequence[Outcome]) -> Table:
    """One line a variation, one column a scenario: error where it completes, what ended it where not."""
    from rich.table import Table
    from rich.text import Text

    from bm_sim2real.regress.page import matrix_cell

    by_cell = dict(zip(cells, outcomes, strict=True))
    scenarios, variations = (list(dict.fromkeys(cell[i] for cell in cells)) for i in (0, 1))
    table = Table("scenario", *variations, box=None, header_style="bold", pad_edge=False)
    for scenario in scenarios:
        table.add_row(Text(scenario), *(Text(matrix_cell(by_cell[scenario, one])) for one in variations))
    return table


def _verdict(summary: dict[str, Any], passed: bool) -> str:
    skipped = f", {summary['skipped']} skipped" if summary["skipped"] else ""
    return (
        f"{summary['passed']} of {summary['scenarios']} as they must be{skipped}, {summary['controls']} of them "
        f"negative controls; {summary['runs']} runs in {summary['seconds']:.0f} s\n{'passed' if passed else 'FAILED'}"
    )
