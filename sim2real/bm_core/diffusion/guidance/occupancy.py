"""A 2D occupancy grid as an obstacle: its exact distance transform, interpolated bilinearly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.guidance.arrays import as_index, as_like, library
from bm_core.errors import ConfigError

Array = NDArray[np.float64]

_NO_LENGTH = 1e-9
"""m; keeps 0 / 0 away."""


@dataclass(frozen=True, kw_only=True)
class DistanceGrid:
    """Signed distances at the centres of a grid's cells. Beyond its border the way there is added."""

    values: Any
    """(rows, columns) m; row = y, column = x, as in nav_msgs/OccupancyGrid."""
    origin: tuple[float, float]
    """m, centre of cell [0, 0]"""
    cell: float
    """m"""

    def distance(self, points: Any) -> tuple[Any, Any]:
        """As Shape."""
        xp = library(points)
        values = as_like(self.values, points)
        rows, columns = values.shape
        place = (points[..., :2] - as_like(self.origin, points)) / self.cell
        inner = xp.stack([place[..., 0].clip(0.0, columns - 1.0), place[..., 1].clip(0.0, rows - 1.0)], -1)
        corner = xp.stack(
            [xp.floor(inner[..., 0]).clip(0.0, columns - 2.0), xp.floor(inner[..., 1]).clip(0.0, rows - 2.0)], -1
        )
        part, at = inner - corner, as_index(corner)
        x, y, i, j = part[..., 0], part[..., 1], at[..., 0], at[..., 1]
        v00, v01, v10, v11 = values[j, i], values[j, i + 1], values[j + 1, i], values[j + 1, i + 1]
        value = (1 - y) * ((1 - x) * v00 + x * v01) + y * ((1 - x) * v10 + x * v11)
        slope_x = (1 - y) * (v01 - v00) + y * (v11 - v10)
        slope_y = (1 - x) * (v10 - v00) + x * (v11 - v01)
        beyond = place - inner
        length = ((beyond * beyond).sum(-1) + _NO_LENGTH**2) ** 0.5
        slopes = xp.stack([slope_x, slope_y], -1) / self.cell
        gradient = xp.where(beyond == 0.0, slopes, beyond / length[..., None])
        flat = xp.concatenate([gradient, xp.zeros_like(gradient[..., :1])], -1)
        return value + self.cell * (length - _NO_LENGTH), flat


def distance_grid(occupied: NDArray[np.bool_], origin: tuple[float, float], cell: float) -> DistanceGrid:
    """From cells that are occupied or not, (rows, columns). ConfigError for less than 2 x 2 cells."""
    occupied = np.asarray(occupied, dtype=bool)
    if occupied.ndim != 2 or min(occupied.shape) < 2:
        raise ConfigError(f"occupancy grid of shape {occupied.shape}: at least 2 x 2 cells are needed")
    # Between the centres of a free and of an occupied cell lies the border, half a cell from both.
    values = np.where(occupied, 0.5 - _distance_to(~occupied), _distance_to(occupied) - 0.5)
    return DistanceGrid(values=values * cell, origin=origin, cell=cell)


def _distance_to(cells: NDArray[np.bool_]) -> Array:
    """Of each cell's centre to the nearest true one's, in cells; the grid's diagonal where there is none. Exact."""
    rows, columns = cells.shape
    most = float(np.hypot(rows, columns))
    along_y = np.full(cells.shape, most)
    for step in (1, -1):  # down, then up: the nearest true cell of the same column
        nearest = np.full(columns, most)
        for row in range(rows)[::step]:
            nearest = np.where(cells[row], 0.0, nearest + 1.0)
            along_y[row] = np.minimum(along_y[row], nearest)
    across = (np.arange(columns)[:, None] - np.arange(columns)[None, :]) ** 2
    squared = np.stack([np.min(row[None, :] ** 2 + across, axis=1) for row in along_y])
    return np.minimum(np.sqrt(squared), most)
