"""Between SI units and the space in which the model denoises: normalised, emphasised, clamped to the data's range."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bm_core.diffusion.emphasis import Emphasis
from bm_core.diffusion.normaliser import Normaliser


@dataclass(frozen=True, kw_only=True)
class TokenCodec:
    """Maps (..., D) in SI units to (..., M) and back. Arrays are NumPy's or, after `to`, those of another library."""

    offset: Any
    """(D,)"""
    scale: Any
    """(D,)"""
    low: Any
    """(D,) normalised"""
    high: Any
    """(D,) normalised"""
    project: Any = None
    """(D, M); None: the model sees the normalised numbers themselves."""
    recover: Any = None
    """(M, D)"""

    @classmethod
    def of(cls, normaliser: Normaliser, emphasis: Emphasis | None = None) -> TokenCodec:
        """In NumPy, float64."""
        arrays = {name: np.asarray(value, dtype=np.float64) for name, value in vars(normaliser).items()}
        if emphasis is None or len(emphasis.mixture) == 0:
            return cls(**arrays)
        return cls(**arrays, project=emphasis.matrix.T.copy(), recover=emphasis.inverse.T.copy())

    @property
    def width(self) -> int:
        """D"""
        return len(self.offset)

    @property
    def model_width(self) -> int:
        """M"""
        return self.width if self.project is None else int(self.project.shape[1])

    def to(self, convert: Callable[[Any], Any]) -> TokenCodec:
        """The same codec with every array converted."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return TokenCodec(**{name: None if value is None else convert(value) for name, value in fields.items()})

    def encode(self, values: Any) -> Any:
        """SI units -> model space."""
        return self.expand((values - self.offset) / self.scale)

    def decode(self, tokens: Any) -> Any:
        """Model space -> SI units, by least squares where the tokens are not consistent."""
        return self.to_units(self.reduce(tokens))

    def reduce(self, tokens: Any) -> Any:
        """Model space -> normalised."""
        return tokens if self.recover is None else tokens @ self.recover

    def expand(self, normalised: Any) -> Any:
        """Normalised -> model space."""
        return normalised if self.project is None else normalised @ self.project

    def to_units(self, normalised: Any) -> Any:
        """Normalised -> SI units."""
        return normalised * self.scale + self.offset

    def clamp(self, normalised: Any) -> Any:
        """Into the range that the data had."""
        return normalised.clip(self.low, self.high)
