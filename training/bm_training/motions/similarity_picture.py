"""The table of all pairs of motions as a picture."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from bm_training.motions.similarity import Similarity


def similarity_png(result: Similarity) -> bytes:
    """PNG file contents: share of the row's clip that lies in the column's; like clips stand together."""
    order = _order(result.distance)
    names = [result.names[i] for i in order]
    side = max(4.0, 0.17 * len(names) + 2.5)
    canvas = FigureCanvasAgg(Figure(figsize=(side + 1.0, side), dpi=100, layout="constrained"))
    axes = canvas.figure.subplots()
    image = axes.imshow(result.covered[np.ix_(order, order)], vmin=0.0, vmax=1.0, cmap="magma")
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
    axes.set_yticks(range(len(names)), names, fontsize=6)
    axes.set_title(f"share of the row's clip with a frame of the column's within {result.threshold:g}", fontsize=9)
    canvas.figure.colorbar(image, ax=axes, shrink=0.7)
    buffer = io.BytesIO()
    canvas.print_png(buffer)
    return buffer.getvalue()


def _order(distance: np.ndarray) -> list[int]:
    """From clip to nearest clip that is left, from the one most like all others."""
    apart = 0.5 * (distance + distance.T)
    order = [int(apart.sum(1).argmin())]
    left = set(range(len(apart))) - set(order)
    while left:
        order.append(min(left, key=lambda j: (apart[order[-1], j], j)))
        left.remove(order[-1])
    return order
