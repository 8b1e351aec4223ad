"""Noise levels 0 (clean) to K (noise): cosine schedule, the step between two levels, and plans of levels for a loop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Levels = NDArray[np.int64]

_OFFSET = 0.008
_MAX_BETA = 0.999


def cosine_alpha_bar(levels: int) -> Array:
    """(K + 1,) share of signal variance. Level 0 is 1; level k >= 1 is entry k - 1 of the authors' schedule.

    Nichol & Dhariwal's squared cosine with offset 0.008 and beta limited to 0.999.
    """
    edge = np.cos((np.arange(levels + 1) / levels + _OFFSET) / (1.0 + _OFFSET) * np.pi / 2.0) ** 2
    beta = np.minimum(1.0 - edge[1:] / edge[:-1], _MAX_BETA)
    return np.concatenate([[1.0], np.cumprod(1.0 - beta)])


@dataclass(frozen=True)
class StepTables:
    """x_to = from_clean * x0 + from_noisy * x_from + sigma * noise; every table (K + 1, K + 1) by [from, to].

    Only to <= from is meaningful: equal levels change nothing, and level 0 is the prediction itself.
    """

    alpha_bar: Array
    """(K + 1,)"""
    from_clean: Array
    from_noisy: Array
    sigma: Array


def step_tables(alpha_bar: Array, eta: float = 1.0) -> StepTables:
    """DDPM's posterior for eta 1, DDIM for eta 0; levels may be skipped."""
    before, after = alpha_bar[:, None], alpha_bar[None, :]
    noise_before, noise_after = 1.0 - before, 1.0 - after
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (1.0 - before / after) * noise_after / noise_before
        sigma = eta * np.sqrt(np.maximum(variance, 0.0))
        from_noisy = np.sqrt(np.maximum(noise_after - sigma**2, 0.0) / noise_before)
    from_clean = np.sqrt(after) - from_noisy * np.sqrt(before)
    index = np.arange(len(alpha_bar))
    stays, downwards = index[:, None] == index[None, :], index[:, None] > index[None, :]
    return StepTables(
        alpha_bar=alpha_bar,
        from_clean=np.where(downwards, from_clean, 0.0),
        from_noisy=np.where(downwards, from_noisy, np.where(stays, 1.0, 0.0)),
        sigma=np.where(downwards, sigma, 0.0),
    )


def level_plan(start: Levels, passes: int) -> Levels:
    """Levels before each pass and after the last, (passes + 1, ...): every token goes evenly from its start to 0."""
    left = np.arange(passes, -1, -1).reshape(-1, *[1] * np.ndim(start))
    return -(-np.asarray(start) * left // passes)
