"""Walker's alias method: a draw costs the same for ten bins and for ten million."""

from __future__ import annotations

import torch
from torch import Tensor


class AliasTable:
    """Draws from B fixed probabilities with one look-up each; built without a loop.

    Bucket b keeps its own bin with probability `threshold` and gives the rest to one other bin, its alias. Light bins
    (B p < 1) are filled up in order by the heavy ones; a heavy bin that gives more than it has to spare is filled up by
    the next heavy one. With running sums of what is missing (D) and of what is to spare (E) each place in that sweep is
    a binary search. Source: Walker 1977; the sweep by prefix sums: Huebschle-Schneider and Sanders, Parallel Weighted
    Random Sampling, 2019.
    """

    def __init__(self, probabilities: Tensor) -> None:
        """`probabilities` (B,) float64, sum 1, not negative. A bin of probability 0 is never drawn."""
        num = len(probabilities)
        height = probabilities * num
        light, heavy = (height < 1.0).nonzero().squeeze(-1), (height >= 1.0).nonzero().squeeze(-1)
        missing, spare = (1.0 - height[light]).cumsum(0), (height[heavy] - 1.0).cumsum(0)
        self._threshold, self._alias = height.clamp(max=1.0), torch.arange(num, device=probabilities.device)
        last = len(heavy) - 1
        if last < 0 or len(light) == 0:  # all equal, up to rounding
            self._threshold.fill_(1.0)
            return
        # Light bin i is served by the first heavy bin that has something left after the lights before it.
        before = torch.cat([missing.new_zeros(1), missing[:-1]])
        self._alias[light] = heavy[torch.searchsorted(spare, before, right=True).clamp(max=last)]
        # Heavy bin j ends with the first light bin that takes the running sum past E_j, or level with it just before.
        ends = torch.searchsorted(missing, spare, right=True)
        is_followed = (ends < len(light)) & (torch.arange(last + 1, device=height.device) < last)
        ends = ends.clamp(max=len(light) - 1)
        overdrawn = is_followed & (before[ends] < spare)
        lacking = missing[ends] - spare
        self._threshold[heavy] = torch.where(overdrawn, (1.0 - lacking).clamp(0.0, 1.0), 1.0)
        self._alias[heavy[:-1]] = heavy[1:]

    def draw(self, uniform: Tensor) -> Tensor:
        """Bins (n,) int64 for draws `uniform` (n,) float64 in [0, 1)."""
        num = len(self._alias)
        scaled = uniform * num
        # u * B can round up to B although u < 1.
        bucket = scaled.long().clamp(max=num - 1)
        return torch.where(scaled - bucket < self._threshold[bucket], bucket, self._alias[bucket])
