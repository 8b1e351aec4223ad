"""From failure rates to the probability of every bin: the formulas of the sampler, without its bookkeeping.

Source: BeyondMimic 3.1 (v4): look-ahead kernel, uniform floor. The choice of the motion before the bin is ours.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bm_training.sampling.bins import BinTable
from bm_training.sampling.config import AdaptiveSamplerConfig, MotionChoice, SamplingMode


class BinProbabilities:
    """Functions of motion weights (M,) and failure rates (B,); float64, no loop over motions. Results (B,) sum to 1."""

    def __init__(self, config: AdaptiveSamplerConfig, bins: BinTable) -> None:
        self._config, self._bins = config, bins
        self._ahead, self._ahead_weight = bins.look_ahead(config.kernel_size, config.kernel_gamma)
        self._steps = bins.steps.double()
        self._motion_steps = self._per_motion(self._steps)

    def motion_share(self, weight: Tensor) -> Tensor:
        """(M,) probability of each motion before anything is known about it."""
        choice = self._config.motion_choice
        if choice is MotionChoice.TABLE:
            share = weight * self._motion_steps
        elif choice is MotionChoice.UNIFORM:
            share = (weight > 0.0).double()
        else:
            share = weight
        return share / share.sum()

    def base(self, weight: Tensor) -> Tensor:
        """q: by motion, then by duration."""
        return (self.motion_share(weight) / self._motion_steps)[self._bins.motion] * self._steps

    def start(self, weight: Tensor) -> Tensor:
        """First bin of each motion only. Durations do not count: each start plays one clip."""
        share = weight if self._config.motion_choice is MotionChoice.TABLE else self.motion_share(weight)
        probability = torch.zeros_like(self._steps)
        probability[self._bins.motion_first_bin] = share / share.sum()
        return probability

    def adaptive(self, weight: Tensor, failure_rate: Tensor) -> Tensor:
        """p' = lambda q + (1 - lambda) p."""
        base = self.base(weight)
        smoothed = base * (self._ahead_weight * failure_rate[self._ahead]).sum(-1)
        if self._config.motion_choice is MotionChoice.TABLE:
            adaptive = smoothed
        else:
            share = self.motion_share(weight)
            if self._config.motion_choice is MotionChoice.FAILURE:
                share = share * self.motion_failure_rate(failure_rate)
            total = self._per_motion(smoothed)
            adaptive = (share / total.where(total > 0.0, 1.0))[self._bins.motion] * smoothed
        ratio = self._config.uniform_ratio
        return ratio * base + (1.0 - ratio) * adaptive / adaptive.sum()

    def target(self, weight: Tensor, failure_rate: Tensor, iteration: int) -> Tensor:
        """By mode; adaptive sampling begins after `adaptive_after` iterations."""
        mode = self._config.mode
        if mode is SamplingMode.START:
            return self.start(weight)
        if mode is SamplingMode.UNIFORM or iteration < self._config.adaptive_after:
            return self.base(weight)
        return self.adaptive(weight, failure_rate)

    def motion_failure_rate(self, failure_rate: Tensor) -> Tensor:
        """(M,): mean over a motion's bins, weighted by duration."""
        return self._per_motion(self._steps * failure_rate) / self._motion_steps

    def _per_motion(self, values: Tensor) -> Tensor:
        """Sum of (B,) over the bins of each motion, (M,)."""
        total = torch.zeros(self._bins.num_motions, dtype=torch.float64, device=values.device)
        return total.index_add_(0, self._bins.motion, values)
