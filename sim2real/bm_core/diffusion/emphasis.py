"""Emphasis projection s' = [A B; I] s: random mixtures, in which the root counts more, beside the state itself.

Source: BeyondMimic v4 (P = [A B, I]^T, factor 6) and the authors' block-wise symmetric A of the v1/v3 period.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.mirror import Mirror, chain

Array = NDArray[np.floating]

DECIMALS = 6
"""Of the mixture: short in the contract, and the same numbers after a round trip through it."""


@dataclass(frozen=True, kw_only=True)
class Emphasis:
    """Linear map from D normalised state numbers to E + D numbers of the model's space."""

    mixture: Array
    """(E, D) A"""
    weight: Array
    """(D,) diagonal of B"""

    @property
    def matrix(self) -> Array:
        """(E + D, D)"""
        return np.concatenate([self.mixture * self.weight, np.eye(len(self.weight))])

    @property
    def inverse(self) -> Array:
        """(D, E + D) pseudo-inverse of the matrix."""
        return np.linalg.pinv(self.matrix)


def no_emphasis(width: int) -> Emphasis:
    """The identity."""
    return Emphasis(mixture=np.zeros((0, width)), weight=np.ones(width))


def random_emphasis(width: int, boosted: slice, factor: float, seed: int, mirror: Mirror | None = None) -> Emphasis:
    """E = D mixtures, `boosted` dimensions times `factor`.

    With `mirror` no mixture holds both numbers that stay and numbers that change sign in the mirror: the first half of
    them is even, the rest odd. Deterministic in `seed`.
    """
    weight = np.ones(width)
    weight[boosted] = factor
    gauss = np.random.default_rng(seed).standard_normal((width, width))
    if mirror is not None:
        parity = np.where(np.arange(width) < width // 2, 1.0, -1.0)[:, None]
        gauss = np.sqrt(0.5) * (gauss + parity * gauss @ mirror.matrix)
    return Emphasis(mixture=np.round(gauss / np.sqrt(width), DECIMALS) + 0.0, weight=weight)


def projected_mirror(mirror: Mirror) -> Mirror:
    """The mirror in the space of a symmetric emphasis."""
    width = len(mirror.index)
    parity = np.where(np.arange(width) < width // 2, 1.0, -1.0)
    return chain(Mirror(np.arange(width), parity), mirror)
