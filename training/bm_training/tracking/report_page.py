"""A training run as one HTML page: figures of the day, curves, the sampler's heat map, motions, the hardest seconds."""

from __future__ import annotations

import base64
import math
from html import escape
from typing import TYPE_CHECKING

from bm_sim2real.report_style import STYLE
from bm_training.tracking.report_curves import curves_png
from bm_training.tracking.run_record import RunRecord, top_bins

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOP_BINS = 12
_EXTRA_STYLE = """
.picture { padding: 12px; background: #fff }
.picture img { width: 100%; display: block }
"""


def report_html(record: RunRecord, made: str) -> str:
    """The whole page; `made` says when and by what."""
    parts = [_head(record), _tiles(record), _section("Curves", _picture(curves_png(record), "training curves"))]
    if record.axis is not None and record.snapshots:
        from bm_training.sampling.heatmap import heatmap_png

        caption = (
            "A row is one bin of a clip, time runs to the right. Left: how often an episode that passes a bin fails "
            "in it. Right: how much likelier than by its weight then and its duration it is drawn as a start; grey: "
            "not known."
        )
        picture = _picture(heatmap_png(record.axis, record.snapshots), "failure rate and probability of each bin")
        parts.append(_section("Bins of the sampler", picture + f"<p class=muted>{escape(caption)}</p>"))
        parts.append(_section(f"Likeliest starts at iteration {record.snapshots[-1].iteration}", _bins_table(record)))
    if record.motions:
        parts.append(_section(f"Motions at iteration {record.motions_iteration}", _motions_table(record)))
    body = "".join(parts)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(record.name)}</title><style>{STYLE}{_EXTRA_STYLE}</style>"
        f"<main>{body}<footer>{escape(made)}</footer></main></html>\n"
    )


def _head(record: RunRecord) -> str:
    training = record.training
    facts = [f"motion set {training['motion_set']}"] if training.get("motion_set") else []
    facts += [f"commit {training['commit'][:8]}"] if training.get("commit") else []
    line = escape(", ".join(facts))
    return f"<div class=eyebrow>Training run</div><h1>{escape(record.name)}</h1><p class=muted>{line}</p>"


def _tiles(record: RunRecord) -> str:
    last = record.lines[-1]
    tiles = [
        ("iterations", f"{int(last['iteration']):,}", f"{last.get('time/steps', 0.0) / 1e6:.1f} million steps"),
        ("speed", f"{record.last('time/steps_per_second') / 1e3:.1f} k/s", "environment steps, in training"),
        ("reward a second", f"{record.last('reward/total'):.2f}", "mean of the last 20 iterations"),
        ("episodes that failed", f"{record.last('episode/failed'):.1%}", "with noise, pushes, hard starts"),
        ("body error", f"{1e3 * record.last('error/body_pos_m'):.1f} mm", "14 bodies, re-anchored"),
        ("entropy of starts", f"{record.last('sampler/entropy'):.3f}", "1: every bin alike"),
    ]
    cells = "".join(
        f"<div class='card tile'><span>{escape(name)}</span><b>{escape(value.replace('nan', '-'))}</b>"
        f"<small class=muted>{escape(note)}</small></div>"
        for name, value, note in tiles
    )
    return f"<div class=tiles>{cells}</div>"


def _section(title: str, inner: str) -> str:
    return f"<h2>{escape(title)}</h2>{inner}"


def _picture(png: bytes, text: str) -> str:
    data = base64.b64encode(png).decode()
    return f"<figure class='card picture'><img alt='{escape(text)}' src='data:image/png;base64,{data}'></figure>"


def _bins_table(record: RunRecord) -> str:
    rows = [
        (str(rank), escape(name), f"{probability:.2%}", f"{rate:.1%}")
        for rank, (name, probability, rate) in enumerate(top_bins(record, _TOP_BINS), start=1)
    ]
    return _table(("", "second of a clip", "probability", "failure rate"), rows)


def _motions_table(record: RunRecord) -> str:
    rows = []
    for rank, motion in enumerate(record.motions, start=1):
        errors = motion.errors
        share = (
            f"{motion.failure_rate:.1%}<span class=meter><i style='width:{100 * motion.failure_rate:.0f}%'></i></span>"
        )
        cells = (
            (1e3 * errors.get("body_pos_m", math.nan), ".1f"),
            (errors.get("body_ori_rad", math.nan), ".3f"),
            (errors.get("joint_pos_rad", math.nan), ".3f"),
            (errors.get("body_lin_vel_m_s", math.nan), ".2f"),
        )
        values = ["-" if math.isnan(value) else format(value, form) for value, form in cells]
        rows.append((str(rank), escape(motion.name), share, *values))
    return _table(("", "motion", "failure rate of its bins", "body mm", "body rad", "joints rad", "body m/s"), rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class='card scroll'><table><tr>{head}</tr>{body}</table></div>"
