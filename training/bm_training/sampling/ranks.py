"""The little that sampling needs from torch.distributed; without it a run is rank 0 of 1."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor


def rank() -> int:
    """Rank of this process under torchrun, else 0."""
    return dist.get_rank() if _is_distributed() else 0


def sum_over_ranks(counts: Tensor) -> Tensor:
    """Elementwise sum over all ranks, same shape; every rank must call it."""
    if not _is_distributed():
        return counts
    total = counts.clone()
    dist.all_reduce(total)
    return total


def _is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized()
