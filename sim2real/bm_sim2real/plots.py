"""Plots as inline SVG and HTML: they follow the page's light or dark colours and any width, and need no library.

The SVG is stretched to the width that there is; text stands beside it as HTML, so that it never is.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

WIDTH = 1000
HEIGHT = 100
"""Of every plot's own coordinates, whatever its size on the page."""
MAX_BINS = 360
"""Columns that a curve is reduced to; each keeps its smallest and its largest value, so no peak is lost."""
HEAT_LEVELS = 32
HEAT_RGB = (222, 82, 40)
"""Colour of the heat map; its strength is transparency, so it is right on a light and on a dark page."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line of a plot."""

    values: Array
    """(T,) in the panel's unit; NaN leaves a gap."""
    style: str
    """CSS class of the line: robot, reference or worst."""
    label: str
    """For the legend."""


def line_panel(
    title: str, unit: str, curves: Sequence[Curve], *, low: float | None = None, high: float | None = None
) -> str:
    """Curves over a common time axis. The range is that of the data, widened to include `low` and `high`."""
    bottom, top = _value_range([curve.values for curve in curves], low, high)
    ticks = nice_ticks(bottom, top, 4)
    bottom, top = min(bottom, ticks[0]), max(top, ticks[-1])
    lines = "".join(
        f'<path class="line {escape(curve.style)}" d="{curve_path(curve.values, bottom, top)}"/>' for curve in curves
    )
    grid = "".join(_rule(_y(tick, bottom, top)) for tick in ticks)
    labels = "".join(_tick_label(_y(tick, bottom, top), f"{tick:g}") for tick in ticks)
    return _panel(
        title,
        unit,
        _legend([(c.style, c.label) for c in curves]),
        f'<div class="plot tall">{_svg(grid + lines)}{labels}</div>',
    )


def strip_panel(title: str, legend: Sequence[tuple[str, str]], rows: Sequence[tuple[str, str, ArrayLike]]) -> str:
    """Rows (label, CSS class, (T,) of booleans) over a common time axis: a bar wherever the value is true.

    `legend` is (CSS class, label) pairs.
    """
    bars = []
    for label, style, flags in rows:
        values = np.asarray(flags, dtype=bool)
        spans = "".join(
            f'<rect class="{escape(style)}" x="{_num(first * WIDTH / len(values))}" y="0" '
            f'width="{_num((last - first) * WIDTH / len(values))}" height="{HEIGHT}"/>'
            for first, last in true_spans(values)
        )
        bars.append(f'<div class="plot strip">{_svg(spans)}<span class="row-label">{escape(label)}</span></div>')
    return _panel(title, "", _legend(legend), "".join(bars))


def heat_panel(title: str, unit: str, values: Array, groups: Sequence[tuple[str, int]], top: float) -> str:
    """(T, N) as a heat map of N rows, clear at 0, coloured at `top`; groups (label, size) name rows side by side."""
    picture = heat_png(values, top)
    share = 100.0 / values.shape[1]
    labels, rules, row = [], [], 0
    for label, size in groups:
        labels.append(f'<span class="row-label" style="top:{_num((row + size / 2) * share)}%">{escape(label)}</span>')
        rules.append(f'<i class="cut" style="top:{_num(row * share)}%"></i>' if row else "")
        row += size
    image = f'<img alt="" src="data:image/png;base64,{base64.b64encode(picture).decode()}">'
    scale = f'<span class="legend"><i class="ramp"></i>0 to {top:g} {escape(unit)} or more</span>'
    return _panel(title, "", scale, f'<div class="plot heat">{image}{"".join(rules + labels)}</div>')


def time_axis(seconds: float) -> str:
    """The axis below a stack of panels."""
    ticks = [tick for tick in nice_ticks(0.0, seconds, 7) if tick <= seconds * 1.0001]
    marks = "".join(
        f'<span style="left:{_num(100.0 * tick / seconds if seconds else 0.0)}%">{tick:g}</span>' for tick in ticks
    )
    return f'<div class="time-axis">{marks}<em>s</em></div>'


def histogram(values: ArrayLike, unit: str, *, marks: Sequence[tuple[str, float]] = (), bins: int = 60) -> str:
    """How often each value occurs, on a logarithmic count axis, so that the rare slow ones can be seen.

    `marks` are (label, value) verticals; those beyond the data are left out.
    """
    data = np.asarray(values, dtype=np.float64)
    data = data[np.isfinite(data)]
    if not data.size:
        return '<p class="muted">Nothing was measured.</p>'
    ticks = nice_ticks(0.0, float(data.max()), 6)
    right = max(ticks[-1], float(data.max()))
    counts, _ = np.histogram(data, bins=bins, range=(0.0, right or 1.0))
    tallest = np.log10(counts.max() + 1.0)
    heights = np.log10(counts + 1.0) / tallest * HEIGHT
    step = WIDTH / bins
    bars = "".join(
        f'<rect class="bar" x="{_num(index * step)}" y="{_num(HEIGHT - height)}" width="{_num(step * 0.86)}" '
        f'height="{_num(height)}"/>'
        for index, height in enumerate(heights)
        if height > 0
    )
    decades = [10**power for power in range(int(np.log10(counts.max())) + 1)]
    places = [(count, HEIGHT - np.log10(count + 1.0) / tallest * HEIGHT) for count in decades]
    labels = "".join(_tick_label(place, f"{count:g}") for count, place in places)
    grid = "".join(_rule(place) for _, place in places)
    below = "".join(f'<span style="left:{_num(100 * tick / right)}%">{tick:g}</span>' for tick in ticks)
    shown = [(label, value) for label, value in marks if value <= right]
    verticals = "".join(
        f'<span class="mark" style="left:{_num(100 * value / right)}%"><b>{escape(label)}</b></span>'
        for label, value in shown
    )
    plot = f'<div class="plot histogram">{_svg(grid + bars)}{labels}{verticals}</div>'
    return f'{plot}<div class="time-axis">{below}<em>{escape(unit)}</em></div>'


def curve_path(values: Array, bottom: float, top: float) -> str:
    """SVG path of (T,) values over the plot's whole width; values outside bottom..top are cut at the border."""
    values = np.asarray(values, dtype=np.float64)
    times = (np.arange(len(values)) + 0.5) * WIDTH / max(len(values), 1)
    times, values = _reduced(times, values)
    heights = np.clip(_y(values, bottom, top), 0.0, HEIGHT)
    words, is_down = [], False
    for x, y in zip(times, heights, strict=True):
        if np.isnan(y):
            is_down = False
            continue
        words.append(f"{'L' if is_down else 'M'}{_num(x)} {_num(y)}")
        is_down = True
    return "".join(words)


def heat_png(values: Array, top: float) -> bytes:
    """(T, N) as a PNG of N rows: one colour, more opaque where the value is larger. Each column keeps its largest."""
    from PIL import Image

    columns = min(len(values), MAX_BINS)
    edges = np.linspace(0, len(values), columns + 1).astype(int)[:-1]
    largest = np.maximum.reduceat(np.nan_to_num(np.asarray(values, dtype=np.float64)), edges, axis=0)
    levels = np.round(np.clip(largest.T / top, 0.0, 1.0) * (HEAT_LEVELS - 1)).astype(np.uint8)
    picture = Image.frombytes("P", (levels.shape[1], levels.shape[0]), levels.tobytes())
    picture.putpalette(list(HEAT_RGB) * HEAT_LEVELS)
    opacity = bytes(round(255 * level / (HEAT_LEVELS - 1)) for level in range(HEAT_LEVELS))
    out = io.BytesIO()
    picture.save(out, "PNG", transparency=opacity)
    return out.getvalue()


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers inside low..high: steps of 1, 2, 2.5 or 5 times a power of ten."""
    span = high - low
    if not span > 0.0:
        return [float(low)]
    raw = span / count
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= raw * 0.999)
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [float(round(index * step, 10)) + 0.0 for index in np.arange(first, last + 1)]  # + 0.0: no "-0"


def true_spans(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[first, last) of every run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _reduced(times: Array, values: Array) -> tuple[Array, Array]:
    """At most two points a bin, its smallest and largest in the order in which they came."""
    if len(values) <= 2 * MAX_BINS:
        return times, values
    edges = np.linspace(0, len(values), MAX_BINS + 1).astype(int)
    keep: list[int] = []
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        part = values[first:last]
        if np.isnan(part).all():
            keep.append(int(first))
            continue
        keep.extend(sorted({int(first + np.nanargmin(part)), int(first + np.nanargmax(part))}))
    return times[keep], values[keep]


def _value_range(arrays: Sequence[Array], low: float | None, high: float | None) -> tuple[float, float]:
    finite = np.concatenate([np.asarray(a, dtype=np.float64)[np.isfinite(a)] for a in arrays] or [np.zeros(0)])
    known = [finite.min(), finite.max()] if finite.size else []
    known += [bound for bound in (low, high) if bound is not None]
    if not known:
        return 0.0, 1.0
    bottom, top = float(min(known)), float(max(known))
    return (bottom, top) if top > bottom else (bottom - 0.5, top + 0.5)


def _y(value, bottom: float, top: float):
    return HEIGHT * (1.0 - (value - bottom) / (top - bottom))


def _num(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _svg(content: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">{content}</svg>'


def _rule(y: float) -> str:
    return f'<path class="grid" d="M0 {_num(y)}H{WIDTH}"/>'


def _tick_label(y: float, text: str) -> str:
    return f'<span class="tick" style="top:{_num(y)}%">{escape(text)}</span>'


def _legend(keys: Sequence[tuple[str, str]]) -> str:
    marks = "".join(f'<span><i class="key {escape(style)}"></i>{escape(label)}</span>' for style, label in keys)
    return f'<span class="legend">{marks}</span>'


def _panel(title: str, unit: str, legend: str, body: str) -> str:
    head = f"<b>{escape(title)}</b>" + (f" <small>{escape(unit)}</small>" if unit else "")
    return f'<div class="panel"><div class="panel-head"><span>{head}</span>{legend}</div>{body}</div>'
