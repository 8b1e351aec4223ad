"""Baselines: what each scenario measured when it was last judged good, beside the scenarios in the repository."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from bm_core.atomic_file import atomic_write_text
from bm_core.errors import ConfigError
from bm_sim2real.regress.metrics import METRICS
from bm_sim2real.regress.scenario import Scenario
from bm_sim2real.regress.verdict import Outcome

Baseline = dict[str, dict[str, float]]
"""Scenario -> metric -> value."""


def baseline_file(scenarios: Path) -> Path:
    """walks.yaml -> walks.baseline.json."""
    return scenarios.with_suffix(".baseline.json")


def read_baselines(files: Sequence[Path]) -> Baseline:
    """Of all scenario files together; a file without one has none yet. ConfigError for a file that is no baseline."""
    values: Baseline = {}
    for file in map(baseline_file, files):
        if file.exists():
            values |= _read(file)
    return values


def write_baseline(file: Path, scenarios: Sequence[Scenario], outcomes: Mapping[str, Outcome]) -> None:
    """What the scenarios of `file` measured now. What was skipped keeps its value; controls have none."""
    target = baseline_file(file)
    before = _read(target) if target.exists() else {}
    values: Baseline = {}
    for scenario in scenarios:
        outcome = outcomes.get(scenario.name)
        if scenario.must_fail:
            continue
        if outcome is not None and outcome.values:
            values[scenario.name] = {name: float(f"{value:.5g}") for name, value in outcome.values.items()}
        elif scenario.name in before:
            values[scenario.name] = before[scenario.name]
    atomic_write_text(target, json.dumps(values, indent=1) + "\n")


def _read(file: Path) -> Baseline:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: no baseline: {error}; write it anew with --update") from error
    is_right = isinstance(document, dict) and all(
        isinstance(values, dict)
        and all(name in METRICS and isinstance(value, (int, float)) for name, value in values.items())
        for values in document.values()
    )
    if not is_right:
        raise ConfigError(f"{file}: no baseline, scenario -> metric -> number expected; write it anew with --update")
    return document
