"""regress.html: one file without network: verdicts, measured numbers against gates and baselines, errors over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from bm_core.g1 import CONTROL_DT
from bm_sim2real.plots import Curve, line_panel, time_axis
from bm_sim2real.regress.metrics import METRICS
from bm_sim2real.regress.verdict import Outcome, Status
from bm_sim2real.report_style import STYLE

_STYLES = {Status.PASSED: "good", Status.FAILED: "bad", Status.ERROR: "bad", Status.SKIPPED: "plain"}
_HEADLINES = ("body_error_mm", "upright", "success_rate", "reaction_ticks", "as_expected")
"""The number that says most, by kind; the first that was measured is shown."""


def headline(outcome: Outcome) -> tuple[str, str]:
    """The telling number now and in the baseline, with unit; empty where there is none."""
    name = next((name for name in _HEADLINES if name in outcome.values), None)
    if name is None:
        return "", ""
    before = (outcome.baseline or {}).get(name)
    return _number(name, outcome.values[name]), "" if before is None else _number(name, before)


def matrix_cell(outcome: Outcome) -> str:
    """Of the robustness matrix: the telling number where all runs completed, else the share that did."""
    if outcome.status is Status.SKIPPED:
        return "-"
    if outcome.status is Status.PASSED:
        return headline(outcome)[0]
    share = outcome.values.get("completed", outcome.values.get("upright"))
    return "refused" if share is None else f"FAILED {share:.0%}"


def regress_page(outcomes: Sequence[Outcome], summary: Mapping[str, Any]) -> str:
    """The whole page. Every text that came from a file is escaped."""
    is_good = summary["failed"] == 0
    head = (
        '<div class="top"><div><div class="eyebrow">Unitree G1 · sim-in-the-loop regression</div>'
        f"<h1>{summary['passed']} of {summary['scenarios']} scenarios as they must be</h1>"
        f'<p class="muted">{escape(", ".join(summary["policies"]))} · {summary["runs"]} runs in '
        f"{summary['seconds']:.0f} s · {summary['controls']} negative controls · {summary['skipped']} skipped</p></div>"
        f'<span class="verdict {"good" if is_good else "bad"}">{"Passed" if is_good else "Failed"}</span></div>'
    )
    ordered = sorted(outcomes, key=lambda outcome: outcome.passed)
    rows = "".join(map(_row, ordered))
    table = (
        '<h2>Scenarios, what failed first</h2><div class="card scroll"><table><thead><tr><th></th><th>Scenario</th>'
        "<th>Policy</th><th>Measured</th><th>Baseline</th><th>Verdict</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )
    curves = "".join(_curve(outcome) for outcome in ordered if len(outcome.curve) > 1)
    plots = f"<h2>Body error over time, first seed</h2>{curves}" if curves else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>G1 regression</title><style>{STYLE}</style></head>"
        f"<body><main>{head}{table}{plots}</main></body></html>\n"
    )


def _row(outcome: Outcome) -> str:
    scenario, style = outcome.scenario, _STYLES[outcome.status]
    mark = "mark-ok" if outcome.passed else "mark-bad"
    control = ' <span class="pill plain">must fail</span>' if scenario.must_fail else ""
    measured = "<br>".join(_against(outcome, name) for name in outcome.values)
    before = "<br>".join(_change(outcome, name) for name in outcome.values)
    why = escape("; ".join(outcome.reasons) or outcome.detail)
    return (
        f'<tr><td><span class="{mark}">{"✓" if outcome.passed else "✗"}</span></td>'
        f"<td>{escape(scenario.name)}{control}<br><small>{why}</small></td><td>{escape(scenario.policy.stem)}</td>"
        f'<td>{measured}</td><td>{before}</td><td><span class="pill {style}">{outcome.status.value}</span></td></tr>'
    )


def _against(outcome: Outcome, name: str) -> str:
    """A number, with a meter that is full at its gate."""
    value = outcome.values[name]
    gate = next((gate for gate in outcome.scenario.gates if gate.metric == name), None)
    words = f"<small>{escape(name)}</small> {escape(_number(name, value))}"
    if gate is None or not gate.bound:
        return words
    share = min(100.0, 100.0 * value / gate.bound)
    over = "" if gate.is_kept({name: value}) else ' class="over"'
    return f'{words}<span class="meter" title="{escape(str(gate))}"><i{over} style="width:{share:.0f}%"></i></span>'


def _change(outcome: Outcome, name: str) -> str:
    before = (outcome.baseline or {}).get(name)
    if before is None:
        return "–"
    change = METRICS[name].worsening(outcome.values[name], before)
    style = "bad" if name in outcome.regressions else "muted"
    sign = "worse" if change > 0 else "better"
    words = "same" if abs(change) <= 1e-4 * max(1.0, abs(before)) else f"{_number(name, abs(change))} {sign}"
    return f'{escape(_number(name, before))} <span class="{style}">{escape(words)}</span>'


def _curve(outcome: Outcome) -> str:
    values = np.array(outcome.curve)
    gate = next((gate.bound for gate in outcome.scenario.gates if gate.metric == "body_error_mm"), None)
    curves = [Curve(values=values, style="worst" if not outcome.passed else "robot", label="mean of 14 bodies")]
    if gate is not None:
        curves.append(Curve(values=np.full(len(values), gate), style="reference", label="gate of the mean"))
    panel = line_panel(outcome.scenario.name, "mm", curves, low=0.0)
    seconds = len(values) * CONTROL_DT
    return f'<section class="card clip"><div class="stack">{panel}{time_axis(seconds)}</div></section>'


def _number(name: str, value: float) -> str:
    unit = METRICS[name].unit
    return f"{100 * value:.4g} %" if not unit else f"{value:.4g} {unit}"
