"""Heat map of the sampler over training: failure rate and probability of every bin, clip under clip."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bm_core.errors import ConfigError
from bm_training.sampling.adaptive_sampler import SamplerSnapshot
from bm_training.sampling.bin_history import BinAxis, BinSnapshot

_MAX_LABELS = 40
_DPI = 100


def heatmap_png(axis: BinAxis, snapshots: Sequence[SamplerSnapshot]) -> bytes:
    """PNG file contents, for an HTML page. Raises ConfigError for no snapshots or those of another table."""
    buffer = io.BytesIO()
    _draw(axis, snapshots).print_png(buffer)
    return buffer.getvalue()


def heatmap_image(axis: BinAxis, snapshots: Sequence[SamplerSnapshot]) -> np.ndarray:
    """(H, W, 3) uint8, for `SummaryWriter.add_image(..., dataformats="HWC")`. Raises as `heatmap_png`."""
    canvas = _draw(axis, snapshots)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw(axis: BinAxis, snapshots: Sequence[SamplerSnapshot]) -> FigureCanvasAgg:
    num_bins = axis.num_bins
    if not snapshots or any(len(snapshot.probability) != num_bins for snapshot in snapshots):
        raise ConfigError(f"heat map: needs at least one snapshot, each of the table's {num_bins} bins")
    iterations = np.array([snapshot.iteration for snapshot in snapshots], dtype=float)
    rate = np.stack([snapshot.failure_rate for snapshot in snapshots], axis=1)
    emphasis = np.stack([_emphasis(axis, snapshot) for snapshot in snapshots], axis=1)

    # A figure of its own, not pyplot's: no global state, no display.
    canvas = FigureCanvasAgg(Figure(figsize=(12.0, 7.0), dpi=_DPI, layout="constrained"))
    left, right = canvas.figure.subplots(1, 2, sharey=True)
    _panel(left, iterations, rate, title="failure rate")
    _panel(right, iterations, emphasis, title="probability / (weight x duration)")
    _label_motions(left, axis)
    return canvas


def _emphasis(axis: BinAxis, snapshot: SamplerSnapshot) -> np.ndarray:
    """(B,) probability against plain weight x duration: a bare one would show mostly which bins are short.

    0 where nothing is drawn, NaN where something is although the base says nothing: by hand, or in a file of an older
    version, which knew only the weights of a curriculum's first stage.
    """
    base = snapshot.base if isinstance(snapshot, BinSnapshot) else np.array(axis.base)
    probability = snapshot.probability.astype(float)
    unknown = np.where(probability > 0.0, np.nan, 0.0)
    return np.where(base > 0.0, probability / np.where(base > 0.0, base, 1.0), unknown)


def _panel(axes: Axes, iterations: np.ndarray, values: np.ndarray, *, title: str) -> None:
    # Cell borders half-way between snapshots, so that uneven spacing keeps its place on the axis.
    middle = 0.5 * (iterations[1:] + iterations[:-1])
    edges = np.concatenate([[iterations[0] - 0.5], middle, [iterations[-1] + 0.5]])
    rows = np.arange(len(values) + 1)
    # Square root: late in training rates of some percent are what matters, beside early ones near 1.
    highest = float(np.nanmax(values, initial=0.0)) or 1.0
    shown = np.ma.masked_invalid(values)
    mesh = axes.pcolormesh(edges, rows, shown, norm=PowerNorm(0.5, 0.0, highest), cmap="magma")
    axes.set_facecolor("lightgrey")  # of what is not known
    axes.set(title=title, xlabel="iteration", ylim=(len(values), 0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.figure.colorbar(mesh, ax=axes)


def _label_motions(axes: Axes, axis: BinAxis) -> None:
    edges = np.append(axis.first_bin, axis.num_bins)
    middle = 0.5 * (edges[1:] + edges[:-1])
    shown, last = [], -np.inf
    for number, place in enumerate(middle):
        if place - last >= axis.num_bins / _MAX_LABELS:  # no two names over each other
            shown.append(number)
            last = place
    axes.set_yticks(middle[shown], [axis.names[i] for i in shown], fontsize=7)
    axes.set_ylabel("clips, a row per bin")
