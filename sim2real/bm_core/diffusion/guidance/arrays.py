"""The little that differs between NumPy and torch, so that costs are written once."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


def library(array: Any) -> ModuleType:
    """numpy or torch, whichever the array belongs to; never imports torch."""
    return sys.modules[type(array).__module__.partition(".")[0]]


def as_like(value: Any, like: Any) -> Any:
    """The value as an array of the same library, type of number and device as `like`."""
    if library(like).__name__ == "torch":
        return library(like).as_tensor(value, dtype=like.dtype, device=like.device)
    return library(like).asarray(value, dtype=like.dtype)


def detached(value: Any) -> Any:
    """The value as a constant: autograd, where there is one, does not look through it."""
    return value.detach() if hasattr(value, "detach") else value


def as_index(value: Any) -> Any:
    """Whole numbers in floating point -> indices."""
    xp = library(value)
    return value.to(xp.int64) if xp.__name__ == "torch" else value.astype(xp.int64)


def turned(vector: Any, cos: Any, sin: Any) -> Any:
    """(..., 2 or 3) turned about z by the angle with this cosine and sine (...)."""
    xp = library(vector)
    x, y = vector[..., 0], vector[..., 1]
    rest = [vector[..., axis] for axis in range(2, vector.shape[-1])]
    first, second = cos * x - sin * y, sin * x + cos * y
    return xp.stack([first, second, *(value + 0.0 * first for value in rest)], -1)
