"""Quaternion products and matrices as one matrix product each: two kernels instead of thirty.

In the step of thousands of small environments the GPU waits for launches, not for arithmetic. Same conventions as
bm_training.rotations (wxyz), against which the tests hold them; float32, and TF32 must be off.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from bm_training import rotations

_BASIS = torch.eye(4, dtype=torch.float64)


@lru_cache(maxsize=4)
def _product_table(device: torch.device) -> Tensor:
    """(16, 4): row 4 i + j is the Hamilton product of the basis quaternions e_i and e_j."""
    table = rotations.quat_multiply(_BASIS[:, None], _BASIS[None])
    return table.reshape(16, 4).float().to(device)


@lru_cache(maxsize=4)
def _matrix_table(device: torch.device) -> Tensor:
    """(16, 9): the matrix of q is bilinear in q for unit quaternions; read off from sums of two basis quaternions."""

    def homogeneous(quat: Tensor) -> Tensor:
        # matrix_from_quat writes the diagonal as 1 - 2 (...), where the 1 stands for |q|^2.
        correction = (quat.square().sum(-1) - 1.0)[..., None, None] * torch.eye(3, dtype=quat.dtype)
        return rotations.matrix_from_quat(quat) + correction

    alone = homogeneous(_BASIS)
    together = homogeneous(_BASIS[:, None] + _BASIS[None])
    # Polarisation: B(i, j) = (B(i + j) - B(i) - B(j)) / 2, and B(i, i) = B(2 e_i) / 4 agrees with it.
    table = 0.5 * (together - alone[:, None] - alone[None])
    return table.reshape(16, 9).float().to(device)


def quat_multiply(first: Tensor, second: Tensor) -> Tensor:
    """Hamilton product, broadcasting, (..., 4)."""
    return (first[..., :, None] * second[..., None, :]).flatten(-2) @ _product_table(first.device)


def matrix_from_quat(quat: Tensor) -> Tensor:
    """(..., 4) unit -> (..., 3, 3)."""
    outer = (quat[..., :, None] * quat[..., None, :]).flatten(-2)
    return (outer @ _matrix_table(quat.device)).unflatten(-1, (3, 3))
