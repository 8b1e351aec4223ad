"""From runs to verdicts: gates kept, negative controls that failed as they must, baselines held."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from bm_sim2real.parallel import run_parallel
from bm_sim2real.regress.metrics import METRICS
from bm_sim2real.regress.runs import Measured, Run, measure
from bm_sim2real.regress.scenario import Scenario


class Status(str, Enum):
    """How a scenario ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    """Nothing could be measured: a bundle was refused, a file is broken. Counts as failed, also for a control."""
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A scenario with all of its runs."""

    scenario: Scenario
    status: Status
    values: Mapping[str, float] = field(default_factory=dict)
    """Mean over the runs."""
    reasons: tuple[str, ...] = ()
    """Why it did not pass, or why it was skipped."""
    detail: str = ""
    """What the first run that went wrong says; of a control, what it was ended by."""
    baseline: Mapping[str, float] | None = None
    regressions: tuple[str, ...] = ()
    """Metrics that are worse than the baseline by more than their slack."""
    curve: tuple[float, ...] = ()
    """Of the first run: body error of each control step, mm."""
    seconds: float = 0.0
    """Wall time of all runs."""
    runs: int = 0

    @property
    def passed(self) -> bool:
        return self.status in (Status.PASSED, Status.SKIPPED)


def run_scenarios(
    scenarios: Sequence[Scenario],
    baseline: Mapping[str, Mapping[str, float]],
    *,
    jobs: int = 1,
    on_result: Callable[[Measured], None] | None = None,
) -> list[Outcome]:
    """Every scenario in the order given, its runs on `jobs` processes."""
    runs = [
        Run(scenario=scenario, seed=seed) for scenario in scenarios if not scenario.missing for seed in scenario.seeds
    ]
    measured = run_parallel(measure, runs, jobs=jobs, cost=lambda run: run.scenario.cost, on_result=on_result)
    by_name: dict[str, list[Measured]] = {}
    for one in measured:
        by_name.setdefault(one.scenario, []).append(one)
    return [judge(scenario, by_name.get(scenario.name, []), baseline.get(scenario.name)) for scenario in scenarios]


def judge(scenario: Scenario, runs: Sequence[Measured], baseline: Mapping[str, float] | None) -> Outcome:
    """The verdict. A baseline counts for scenarios that must pass; a control's numbers may move."""
    if scenario.missing:
        return Outcome(scenario=scenario, status=Status.SKIPPED, reasons=(scenario.missing,))
    values = means(runs)
    base: dict[str, Any] = {
        "scenario": scenario,
        "values": values,
        "runs": len(runs),
        "seconds": sum(run.seconds for run in runs),
        "curve": runs[0].curve if runs else (),
        "detail": next((run.detail for run in runs if run.detail), ""),
    }
    errors = tuple(dict.fromkeys(run.error for run in runs if run.error))
    if errors:
        return Outcome(**base, status=Status.ERROR, reasons=errors)
    reasons = _control(scenario, runs, values) if scenario.must_fail else _demands(scenario, runs, values)
    worse: tuple[str, ...] = ()
    if baseline is not None and not scenario.must_fail:
        worse = regressions(values, baseline)
        reasons += tuple(f"{name} {values[name]:.4g}, baseline {baseline[name]:.4g}" for name in worse)
    status = Status.FAILED if reasons else Status.PASSED
    return Outcome(**base, status=status, reasons=reasons, baseline=baseline, regressions=worse)


def means(runs: Sequence[Measured]) -> dict[str, float]:
    """Each metric over the runs that measured it."""
    names = [name for name in METRICS if any(name in run.values for run in runs)]
    found = {name: [run.values[name] for run in runs if name in run.values] for name in names}
    return {name: sum(values) / len(values) for name, values in found.items()}


def regressions(values: Mapping[str, float], baseline: Mapping[str, float]) -> tuple[str, ...]:
    """Metrics of both that became worse than their slack allows."""
    return tuple(
        name for name in METRICS if name in values and name in baseline
        and METRICS[name].is_regression(values[name], baseline[name])
    )  # fmt: skip


def _demands(scenario: Scenario, runs: Sequence[Measured], values: dict[str, float]) -> tuple[str, ...]:
    lost = [gate for gate in scenario.gates if not gate.is_kept(values)]
    broken = [f"{gate} broken: {values.get(gate.metric, float('nan')):.4g}" for gate in lost]
    return (*broken, *_wrong_endings(scenario, runs))


def _control(scenario: Scenario, runs: Sequence[Measured], values: dict[str, float]) -> tuple[str, ...]:
    """A control passes if a gate catches it; one that gets through says that the gates are worth nothing."""
    if all(gate.is_kept(values) for gate in scenario.gates):
        return ("must fail, but kept every gate",)
    return _wrong_endings(scenario, runs)


def _wrong_endings(scenario: Scenario, runs: Sequence[Measured]) -> tuple[str, ...]:
    others = {run.ended_by for run in runs if run.ended_by != scenario.ended_by}
    if not scenario.ended_by or not others:
        return ()
    return (f"must end by {scenario.ended_by}, ended by {', '.join(sorted(other or 'nothing' for other in others))}",)
