"""report.html: one file without network, to be mailed, archived and opened anywhere."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import numpy as np

from bm_sim2real.plots import histogram
from bm_sim2real.plots_clip import clamp_words, clip_figure, worst_joints
from bm_sim2real.report_data import ClipReport, Report
from bm_sim2real.report_style import SCRIPT, STYLE
from bm_sim2real.video_clip import MP4

VERDICTS = {"passed": ("good", "Passed"), "failed": ("bad", "Failed"), "not judged": ("plain", "Not judged")}
"""Style and word."""
PERIOD_MS = 20.0
"""The policy's period: what a tick may take."""


def report_html(report: Report) -> str:
    """The whole page. Every text that came from a file is escaped."""
    body = "".join(
        [
            _header(report),
            _tiles(report),
            _facts(report),
            _table(report),
            _timing(report),
            _clips(report),
            _footer(report),
        ]
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>G1 tracker report</title><style>{STYLE}</style></head>"
        f"<body><main>{body}</main><script>{SCRIPT}</script></body></html>\n"
    )


def by_error(clips: Sequence[ClipReport]) -> list[ClipReport]:
    """What needs attention first: clips that failed, then by body error, largest first."""
    return sorted(
        clips, key=lambda clip: (clip.completed, -clip.body_error_m if np.isfinite(clip.body_error_m) else 0.0)
    )


def _header(report: Report) -> str:
    completed = sum(clip.completed for clip in report.clips)
    style, verdict = VERDICTS[report.verdict]
    notes = "".join(f'<p><span class="pill warn">Note</span> {escape(note)}</p>' for note in report.notes)
    return (
        '<div class="top"><div><div class="eyebrow">Unitree G1 · motion tracking in simulation</div>'
        f"<h1>{completed} of {len(report.clips)} motions completed</h1>"
        f'<p class="muted">{escape(report.promise)}</p></div>'
        f'<span class="verdict {style}">{verdict}</span></div>{notes}'
    )


def _tiles(report: Report) -> str:
    summary = report.summary
    tick = summary["tick_ms"]
    assert isinstance(tick, dict)
    joint = _mean([clip.joint_error_rad for clip in report.clips])
    tiles = [
        (
            "Completed",
            f"{summary['completed']}<small> / {summary['clips']}</small>",
            _percent(summary["completion_rate"]),
        ),
        ("Body error", _millimetres(summary["body_error_m"]), "mean of 14 bodies, re-anchored"),
        ("Torso error", _millimetres(summary["anchor_error_m"]), "global, with drift"),
        ("Joint error", f"{np.degrees(joint):.1f}°", "mean of 29 joints"),
        (
            "Policy tick",
            f"{tick.get('p50', np.nan):.2f}<small> ms</small>",
            f"p99 {tick.get('p99', np.nan):.2f} of {PERIOD_MS:g} ms",
        ),
        ("Speed", f"{summary['realtime_factor']:.1f}<small> ×</small>", "real time, physics and policy"),
    ]
    cells = (
        f'<div class="tile card"><span>{escape(label)}</span><b>{value}</b><small>{escape(below)}</small></div>'
        for label, value, below in tiles
    )
    return f'<div class="tiles">{"".join(cells)}</div>'


def _facts(report: Report) -> str:
    terms = "".join(f"<span>{escape(name)}<small>{width}</small></span>" for name, width in report.terms)
    total = sum(width for _, width in report.terms)
    return (
        '<div class="facts">'
        f'<section class="card"><h2>Policy</h2>{_list(report.policy)}</section>'
        f'<section class="card"><h2>Machine</h2>{_list(report.machine)}</section></div>'
        '<div class="facts"><section class="card">'
        f"<h2>What the policy sees <small>{total} numbers every 20 ms</small></h2>"
        f'<div class="chips">{terms}</div></section></div>'
    )


def _table(report: Report) -> str:
    clips = by_error(report.clips)
    widest = max([clip.body_error_m for clip in clips if np.isfinite(clip.body_error_m)], default=0.0) or 1.0
    rows = "".join(_row(clip, widest) for clip in clips)
    return (
        '<h2>Motions, largest error first</h2><div class="card scroll"><table><thead><tr><th></th><th>Motion</th>'
        "<th>Length</th><th>Body error</th><th class='wide'>Torso error</th><th>Joint error</th>"
        "<th class='wide'>Guard clamps</th><th class='wide'>Tick p50 / p99</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(clip: ClipReport, widest: float) -> str:
    share = 100.0 * clip.body_error_m / widest if np.isfinite(clip.body_error_m) else 0.0
    style = "" if clip.completed else ' class="over"'
    meter = f'<span class="meter"><i{style} style="width:{share:.0f}%"></i></span>'
    clamps = clip.effort_clamps + clip.hard_stop_clamps
    promised = ' <span class="pill plain">promised</span>' if clip.is_promised else ""
    return (
        f'<tr><td>{_mark(clip)}</td><td><a href="#{_anchor(clip)}">{escape(clip.name)}</a>{promised}</td>'
        f"<td>{clip.seconds:.1f} s</td><td>{_millimetres(clip.body_error_m)}{meter}</td>"
        f'<td class="wide">{_millimetres(clip.anchor_error_m)}</td><td>{np.degrees(clip.joint_error_rad):.1f}°</td>'
        f'<td class="wide">{clamps}</td>'
        f"<td class='wide'>{_tick(clip, 'p50')} / {_tick(clip, 'p99')} ms</td></tr>"
    )


def _timing(report: Report) -> str:
    ticks = np.concatenate([clip.tracks.tick_ms for clip in report.clips]) if report.clips else np.zeros(0)
    slow = int((ticks > PERIOD_MS).sum())
    words = f"{slow} of {len(ticks)} ticks took longer than the period of {PERIOD_MS:g} ms."
    plot = histogram(ticks, "ms", marks=[("period 20 ms", PERIOD_MS)])
    return (
        "<h2>Time of a policy tick</h2>"
        '<div class="card clip"><p class="muted">From reading to command, all motions; the count is logarithmic. '
        f"{words}</p>{plot}</div>"
    )


def _clips(report: Report) -> str:
    return "<h2>Every motion</h2>" + "".join(_clip(clip) for clip in by_error(report.clips))


def _clip(clip: ClipReport) -> str:
    state = '<span class="pill good">completed</span>' if clip.completed else '<span class="pill bad">failed</span>'
    promised = '<span class="pill plain">promised</span>' if clip.is_promised else ""
    ending = f'<p class="ending">{escape(clip.ending)}</p>' if clip.ending else ""
    joints = ", ".join(f"{name} {np.degrees(error):.1f}°" for name, error in worst_joints(clip))
    facts = [
        ("Worst joints", joints or "not measured"),
        ("Guard clamps", clamp_words(clip)),
        ("Motion", clip.made_by or "not stated"),
    ]
    return (
        f'<article class="clip card" id="{_anchor(clip)}"><header><h3>{escape(clip.name)}</h3>{state}{promised}'
        f'<span class="numbers">{clip.seconds:.1f} s · body <b>{_millimetres(clip.body_error_m)}</b> · '
        f"joints <b>{np.degrees(clip.joint_error_rad):.1f}°</b></span></header>{ending}"
        f'<div class="columns"><div>{_film(clip)}<div class="notes">{_list(facts)}</div></div>'
        f"{clip_figure(clip)}</div></article>"
    )


def _film(clip: ClipReport) -> str:
    video = clip.video
    if video is None:
        return f'<div class="film nofilm">No film: {escape(clip.no_video or "not asked for")}</div>'
    data = f"data:{video.mime};base64,{base64.b64encode(video.data).decode()}"
    if video.mime == MP4:
        options = f'controls muted loop playsinline preload="metadata" data-start="{video.start_s:g}"'
        film = f'<video {options} src="{data}"></video>'
    else:
        film = f'<img class="film" alt="Robot beside its reference" src="{data}">'
    end = video.start_s + video.seconds
    place = f"{video.start_s:.1f} to {end:.1f} s" if video.start_s or end < clip.seconds - 0.2 else "the whole motion"
    caption = f"Robot (left) and reference, {place}. Drawn by {escape(video.source)}."
    return f"<figure>{film}<figcaption>{caption}</figcaption></figure>"


def _footer(report: Report) -> str:
    return (
        "<footer><p>Completed: until the end of the motion the torso stays within 0.25 m of its reference in height "
        "and 0.8 in the direction of gravity, hands and feet within 0.25 m in height, on simulator ground truth, and "
        "no guard stops the robot. Body error: distance of the 14 tracked bodies from the reference, which is moved "
        "with the torso in x, y and yaw; mean until the end or the failure. Guard clamps: joint ticks of 2 ms in which "
        "the guard changed a target.</p>"
        f"<p>{escape(report.made)}</p></footer>"
    )


def _list(facts: Sequence[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(label)}</dt><dd>{escape(value)}</dd>" for label, value in facts) + "</dl>"


def _anchor(clip: ClipReport) -> str:
    """An id made of safe characters only, different for different names."""
    return "clip-" + base64.b32encode(clip.name.encode()).decode().rstrip("=").lower()


def _mark(clip: ClipReport) -> str:
    if clip.completed:
        return '<span class="mark-ok" title="completed">✓</span>'
    return '<span class="mark-bad" title="failed">✕</span>'


def _millimetres(metres: object) -> str:
    value = float(metres) if isinstance(metres, (int, float)) else float("nan")
    return f"{1e3 * value:.0f}<small> mm</small>" if np.isfinite(value) else "–"


def _percent(share: object) -> str:
    return f"{100.0 * float(share):.0f} % of the motions" if isinstance(share, (int, float)) else ""


def _tick(clip: ClipReport, name: str) -> str:
    return f"{clip.tick_ms[name]:.2f}" if name in clip.tick_ms else "–"


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")
