"""Exponential moving average of the weights: what is validated, saved and exported."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


class WeightAverage(Generic[Model]):
    """Averages slowly later, quickly at first: decay = min(max_decay, 1 - (1 + updates)^-power)."""

    def __init__(self, model: Model, power: float = 0.75, max_decay: float = 0.9999) -> None:
        """Power and limit: BeyondMimic Table S7 (v4)."""
        self.model: Model = copy.deepcopy(model).eval().requires_grad_(False)
        self.power, self.max_decay, self.updates = power, max_decay, 0

    @property
    def decay(self) -> float:
        """Of the next update."""
        return min(self.max_decay, 1.0 - (1.0 + self.updates) ** -self.power)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights after an optimiser step."""
        averages: list[torch.Tensor] = list(self.model.parameters())
        weights = [weight.detach() for weight in model.parameters()]
        torch._foreach_lerp_(averages, weights, 1.0 - self.decay)  # pyright: ignore[reportPrivateImportUsage]
        self.updates += 1
