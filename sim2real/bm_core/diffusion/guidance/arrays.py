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
