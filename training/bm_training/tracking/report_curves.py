"""Curves of a training run as one picture."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from bm_training.tracking.run_record import RunRecord

_PANELS = (
    ("reward a second", (("reward/total", "reward", 1.0),), False),
    ("share of episodes that failed", (("episode/failed", "share", 1.0),), False),
    ("episode length, s", (("episode/length", "s", 0.02),), False),
    ("body error (re-anchored), mm", (("error/body_pos_m", "mm", 1e3),), False),
    ("joint error, rad", (("error/joint_pos_rad", "rad", 1.0),), False),
    (
        "sampler",
        (
            ("sampler/entropy", "entropy", 1.0),
            ("sampler/mean_failure_rate", "mean failure rate", 1.0),
            ("sampler/top1_probability", "likeliest bin", 1.0),
        ),
        False,
    ),
    ("standard deviation of actions", (("policy/std", "std", 1.0),), False),
    ("learning rate", (("policy/learning_rate", "lr", 1.0),), True),
    ("thousand environment steps a second", (("time/steps_per_second", "steps", 1e-3),), False),
)
"""Title; scalars with their names and factors; whether the axis is logarithmic."""
_SMOOTH = 100
"""A curve is smoothed over this part of its length; the raw one stands behind it, pale."""
_DPI = 100


def curves_png(record: RunRecord) -> bytes:
    """PNG file contents; panels without values are left out."""
    panels = [panel for panel in _PANELS if any(len(record.curve(name)[0]) for name, _, _ in panel[1])]
    rows = -(-len(panels) // 3)
    canvas = FigureCanvasAgg(Figure(figsize=(13.5, 2.9 * rows), dpi=_DPI, layout="constrained"))
    axes = np.atleast_1d(canvas.figure.subplots(rows, 3)).ravel()
    for place, (title, scalars, is_log) in zip(axes, panels, strict=False):
        for name, label, factor in scalars:
            _draw(place, *record.curve(name), label, factor)
        place.set_title(title, fontsize=10, loc="left")
        place.tick_params(which="both", labelsize=8)  # a logarithmic axis may have minor ticks alone
        place.grid(alpha=0.25)
        place.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if is_log:
            place.set_yscale("log")
        if len(scalars) > 1:
            place.legend(fontsize=8, frameon=False)
    for place in axes[len(panels) :]:
        place.set_axis_off()
    for place in axes[-3:]:
        place.set_xlabel("iteration", fontsize=8)
    buffer = io.BytesIO()
    canvas.print_png(buffer)
    return buffer.getvalue()


def _draw(axes: Axes, iterations: np.ndarray, values: np.ndarray, label: str, factor: float) -> None:
    values = factor * values
    (line,) = axes.plot(iterations, smoothed(values, len(values) // _SMOOTH), linewidth=1.4, label=label)
    axes.plot(iterations, values, linewidth=0.6, alpha=0.25, color=line.get_color())


def smoothed(values: np.ndarray, width: int) -> np.ndarray:
    """Running mean over `width` values to each side, fewer at the ends; as many values."""
    width = min(width, (len(values) - 1) // 2)
    if width < 1:
        return values
    kernel = np.ones(2 * width + 1)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")
