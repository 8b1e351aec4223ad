"""Scaling to about +-1 by percentiles, and the range of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.mirror import Mirror

Array = NDArray[np.floating]

PERCENTILES = (0.5, 99.5)
NO_SPREAD = 1e-5
"""Half a range below this (SI units) is numerical noise: scaling it up would make it a feature."""


@dataclass(frozen=True, kw_only=True)
class Normaliser:
    """normalised = (value - offset) / scale, per dimension."""

    offset: Array
    """(D,) middle of the percentiles"""
    scale: Array
    """(D,) half their distance; 1 where the data has no spread"""
    low: Array
    """(D,) smallest normalised value in the data"""
    high: Array
    """(D,) largest"""

    @classmethod
    def fit(cls, samples: Array, mirror: Mirror | None = None) -> Normaliser:
        """From samples (M, D). With `mirror` their images count as well, so that scaling and mirroring commute."""
        floor, ceiling = np.percentile(samples, PERCENTILES, axis=0)
        least, most = samples.min(axis=0).astype(np.float64), samples.max(axis=0).astype(np.float64)
        if mirror is not None:
            # The mean of both halves' percentiles: within the noise of those of all together, and exactly symmetric.
            low, high = _mirrored_interval(mirror, floor, ceiling)
            floor, ceiling = 0.5 * (floor + low), 0.5 * (ceiling + high)
            low, high = _mirrored_interval(mirror, least, most)
            least, most = np.minimum(least, low), np.maximum(most, high)
        offset, scale = 0.5 * (floor + ceiling), 0.5 * (ceiling - floor)
        scale = np.where(scale < NO_SPREAD, 1.0, scale)
        return cls(offset=offset, scale=scale, low=(least - offset) / scale, high=(most - offset) / scale)

    def normalise(self, values: Array) -> Array:
        """(..., D) in SI units -> (..., D)."""
        return (values - self.offset) / self.scale

    def denormalise(self, values: Array) -> Array:
        """The way back."""
        return values * self.scale + self.offset


def _mirrored_interval(mirror: Mirror, low: Array, high: Array) -> tuple[Array, Array]:
    """Interval [low, high] of every dimension after mirroring: a negative sign exchanges the ends."""
    is_kept = mirror.sign > 0.0
    low, high = low[mirror.index], high[mirror.index]
    return np.where(is_kept, low, -high), np.where(is_kept, high, -low)
