"""Corrections over time that are given at some frames, and bend and die away smoothly at the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

Array = NDArray[np.floating]


def hold_values(value: Array, weight: Array, bend_frames: float) -> Array:
    """The correction x (T,) that minimises sum x^2 + s^4 x''^2 + weight (x - value)^2, with s = `bend_frames`."""
    matrix = _bending_matrix(len(value), bend_frames)
    matrix[2] += weight
    return solveh_banded(matrix, weight * value)


def hold_steps(step: Array, weight: Array, bend_frames: float) -> Array:
    """The same with weight (x[t + 1] - x[t] - step[t])^2; step and weight are (T - 1,), the result (T,)."""
    matrix = _bending_matrix(len(step) + 1, bend_frames)
    matrix[2, :-1] += weight
    matrix[2, 1:] += weight
    matrix[1, 1:] -= weight
    right = np.zeros(len(step) + 1)
    right[:-1] -= weight * step
    right[1:] += weight * step
    return solveh_banded(matrix, right)


def _bending_matrix(num_frames: int, bend_frames: float) -> Array:
    """Upper bands (second, first, diagonal) of the normal equations of sum x^2 + s^4 x''^2, (3, T)."""
    matrix = np.zeros((3, num_frames))
    matrix[2] = 1.0
    stencil = np.array([1.0, -2.0, 1.0])
    for row in range(3):
        for column in range(row, 3):
            # Frames t + row and t + column meet in the second difference that starts at t.
            band = matrix[2 - (column - row)]
            band[column : num_frames - 2 + column] += bend_frames**4 * stencil[row] * stencil[column]
    return matrix
