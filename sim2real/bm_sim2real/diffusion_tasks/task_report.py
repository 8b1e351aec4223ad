"""The page of `bm eval diffusion --report`: numbers, every run, and some runs with map, velocities and film."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from bm_core.g1 import CONTROL_DT
from bm_sim2real.diffusion_tasks.guided_task import GuidedTask
from bm_sim2real.diffusion_tasks.recording import RunRecording
from bm_sim2real.planning.episode import EpisodeResult
from bm_sim2real.plots import Curve, line_panel, time_axis
from bm_sim2real.plots_map import MAP_STYLE, map_svg
from bm_sim2real.report_style import SCRIPT, STYLE
from bm_sim2real.video_clip import MP4, ClipVideo

_AXES = (("Forward", "m/s"), ("Left", "m/s"), ("Turn", "rad/s"))


@dataclass(frozen=True, kw_only=True)
class ShownRun:
    """A run that is shown in full."""

    recording: RunRecording
    video: ClipVideo | None


@dataclass(frozen=True, kw_only=True)
class TaskReport:
    """Everything on the page."""

    task: str
    summary: Mapping[str, Any]
    """As in the JSON document."""
    results: Sequence[EpisodeResult]
    facts: Sequence[tuple[str, str]]
    """(label, value) about policy, settings and machine."""
    shown: Sequence[ShownRun]
    passed: bool
    made: str
    """When and by what version."""


def task_report_html(report: TaskReport) -> str:
    """The whole page; every text is escaped."""
    body = "".join([_header(report), _tiles(report), _facts(report), _runs(report), _shown(report)])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(report.task)} report</title><style>{STYLE}{MAP_STYLE}</style></head>"
        f"<body><main>{body}<footer><p>{escape(report.made)}</p></footer></main><script>{SCRIPT}</script></body></html>\n"
    )


def _header(report: TaskReport) -> str:
    style, word = ("good", "Passed") if report.passed else ("bad", "Failed")
    summary = report.summary
    low, high = summary["success_interval"]
    return (
        '<div class="top"><div><div class="eyebrow">Unitree G1 · guided diffusion in simulation</div>'
        f"<h1>{escape(report.task)}: {summary['successes']} of {summary['runs']} runs</h1>"
        f'<p class="muted">95 % interval {low:.1%} to {high:.1%}</p></div>'
        f'<span class="verdict {style}">{word}</span></div>'
    )


def _tiles(report: TaskReport) -> str:
    summary, plan = report.summary, report.summary["plan_ms"]
    error = summary.get("velocity_error")
    tiles = [
        ("Success", f"{100 * summary['success_rate']:.0f}<small> %</small>", f"{summary['runs']} runs"),
        ("Falls", f"{summary['falls']}", "pelvis below 0.45 m, other contacts, guards"),
        ("Velocity error", "–" if error is None else f"{100 * error:.0f}<small> %</small>", "of the command"),
        ("Path", f"{summary['path_m']:.1f}<small> m</small>", "mean of the runs"),
        ("Plan", f"{plan['p50']:.0f}<small> ms</small>" if plan else "–", f"p99 {plan['p99']:.0f} ms" if plan else ""),
        ("Latency", f"{summary.get('latency_ms', 0)}<small> ms</small>", "simulated, reading to plan"),
    ]
    cells = (
        f'<div class="tile card"><span>{escape(label)}</span><b>{value}</b><small>{escape(below)}</small></div>'
        for label, value, below in tiles
    )
    return f'<div class="tiles">{"".join(cells)}</div>'


def _facts(report: TaskReport) -> str:
    rows = "".join(f"<dt>{escape(label)}</dt><dd>{escape(value)}</dd>" for label, value in report.facts)
    return f'<div class="facts"><section class="card"><h2>Conditions</h2><dl>{rows}</dl></section></div>'


def _runs(report: TaskReport) -> str:
    names = [name for name, value in report.results[0].values.items() if _is_number(value)] if report.results else []
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = "".join(_run_row(result, names) for result in report.results)
    return (
        '<h2>Runs</h2><div class="card scroll"><table><thead><tr><th></th><th>Seed</th><th>Time</th><th>Path</th>'
        f"{head}<th>What went wrong</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _run_row(result: EpisodeResult, names: Sequence[str]) -> str:
    mark = '<span class="mark-ok">✓</span>' if result.success else '<span class="mark-bad">✕</span>'
    cells = "".join(f"<td>{_shown_number(result.values.get(name))}</td>" for name in names)
    return (
        f"<tr><td>{mark}</td><td>{result.seed}</td><td>{result.seconds:.1f} s</td><td>{result.path_m:.1f} m</td>"
        f"{cells}<td>{escape(result.detail)}</td></tr>"
    )


def _shown(report: TaskReport) -> str:
    return "<h2>Some runs</h2>" + "".join(_article(run) for run in report.shown) if report.shown else ""


def _article(run: ShownRun) -> str:
    recording, result = run.recording, run.recording.result
    assert result is not None
    state = '<span class="pill good">success</span>' if result.success else '<span class="pill bad">failed</span>'
    ending = f'<p class="ending">{escape(result.detail)}</p>' if result.detail else ""
    picture = recording.map_picture()
    plan = '<p class="muted">Blue: path and heading, once a second; grey: plans; orange: pillars; green: goals.</p>'
    return (
        f'<article class="clip card"><header><h3>Seed {result.seed}</h3>{state}'
        f'<span class="numbers">{result.seconds:.1f} s · {result.path_m:.1f} m</span></header>{ending}'
        f'<div class="columns"><div>{_film(run.video)}</div><div>{map_svg(picture) + plan if picture else ""}'
        f"{_velocities(recording)}</div></div></article>"
    )


def _film(video: ClipVideo | None) -> str:
    if video is None:
        return '<div class="film nofilm">No film: nothing to show</div>'
    data = f"data:{video.mime};base64,{base64.b64encode(video.data).decode()}"
    if video.mime == MP4:
        return f'<video controls muted loop playsinline preload="metadata" data-start="0" src="{data}"></video>'
    return f'<img class="film" alt="The run" src="{data}">'


def _velocities(recording: RunRecording) -> str:
    """Asked for and achieved (mean over a gait cycle) over time."""
    if not isinstance(recording.task, GuidedTask) or not recording.commands:
        return ""
    asked, done = np.array(recording.commands), np.asarray(recording.task.track.velocity, dtype=np.float64)
    if np.isnan(asked).all():
        return ""
    kernel = np.full(40, 1 / 40)
    panels = []
    for axis, (title, unit) in enumerate(_AXES):
        smooth = np.convolve(done[:, axis], kernel, mode="same").astype(np.float64)
        curves = [
            Curve(values=asked[:, axis], style="reference", label="asked"),
            Curve(values=smooth, style="robot", label="robot, mean of 0.8 s"),
        ]
        panels.append(line_panel(title, unit, curves))
    seconds = len(done) * CONTROL_DT
    stack = "".join(panels) + time_axis(seconds)
    return f'<div class="stack" data-seconds="{seconds:g}">{stack}<i class="playhead"></i></div>'


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) or value is None


def _shown_number(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.2f}" if isinstance(value, (int, float)) and np.isfinite(value) else "–"
