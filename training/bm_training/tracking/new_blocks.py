"""Normaliser statistics of observation blocks that a warm start adds, without moving those of the others.

The others keep the weight of all samples that formed them (warm_start.py), so that the updates of a run would hardly
ever bring new columns from mean 0 and variance 1 to what they show.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from rsl_rl.modules import EmpiricalNormalization
from torch import Tensor

SETTLING_STEPS = 50
"""Control steps of the rollout that shows them: 1 s, each robot from a start of its own."""

_MIN_VARIANCE = 1.0e-8
"""Below it a column did not vary; divided by its own deviation, the first change would be an enormous input."""


class NewBlocks:
    """Collects what the new columns of one model show, then gives its normaliser their statistics."""

    def __init__(self, normaliser: EmpiricalNormalization, columns: Sequence[int]) -> None:
        """`columns` of the observation that begin anew."""
        device = normaliser._mean.device
        self._normaliser = normaliser
        self._columns = torch.tensor(columns, device=device)
        # rsl-rl's own, because it also pools over ranks.
        self._shown = EmpiricalNormalization(len(columns)).to(device)

    def add(self, observation: Tensor) -> None:
        """What the robots see after a control step, (E, columns of the model)."""
        self._shown.update(observation[:, self._columns])

    def settle(self) -> None:
        """Write mean and deviation; a column that did not vary gets deviation 1."""
        variance = self._shown._var
        variance = torch.where(variance < _MIN_VARIANCE, torch.ones_like(variance), variance)
        self._normaliser._mean[:, self._columns] = self._shown._mean
        self._normaliser._var[:, self._columns] = variance
        self._normaliser._std[:, self._columns] = variance.sqrt()
