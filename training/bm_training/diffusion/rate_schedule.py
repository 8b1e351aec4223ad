"""The learning rate of a run that ends after so many steps or at a moment of time, whichever comes first."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from bm_training.tracking.distributed import Ranks

_MAX_WARMUP = 0.1
"""Of a run; the cosine begins there."""
_RESUME_WARMUP = 200
"""Steps in which a fresh optimiser collects its moments before it may move averaged weights at full rate."""


@dataclass(kw_only=True)
class RateSchedule:
    """Linear warm-up of at most a tenth of the run, then a cosine to 0; a short second warm-up follows a resume."""

    peak: float
    warmup_steps: int
    max_steps: int
    deadline: float | None
    """time.monotonic(): a cosine over the steps alone would be cut off there at full rate."""
    ranks: Ranks
    first_step: int = 0
    """Above 0 after a resume."""
    begun: float = 0.0
    """time.monotonic() when the steps began"""
    done: float = 0.0
    """Share of the run that is over, at the last look at the clock."""

    def look_at_clock(self, step: int) -> None:
        """How far the run is, 0..1; the same on every rank. One synchronisation with several ranks."""
        share = step / self.max_steps
        if self.deadline is not None:
            share = max(share, (time.monotonic() - self.begun) / max(self.deadline - self.begun, 1e-9))
        self.done = min(share, 1.0)
        if self.ranks.world_size > 1:
            shared = torch.tensor(self.done, device=self.ranks.device)
            torch.distributed.all_reduce(shared, op=torch.distributed.ReduceOp.MAX)
            self.done = float(shared)

    def rate(self, step: int) -> float:
        """Of the step after `step` finished ones."""
        share = min(1.0, max((step + 1) / max(self.warmup_steps, 1), self.done / _MAX_WARMUP))
        if self.first_step > 0:
            share *= min(1.0, (step + 1 - self.first_step) / _RESUME_WARMUP)
        past = max(0.0, (self.done - _MAX_WARMUP) / (1.0 - _MAX_WARMUP))
        return self.peak * share * 0.5 * (1.0 + math.cos(math.pi * past))
