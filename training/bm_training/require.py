"""Checks of settings."""

from __future__ import annotations

from bm_core.errors import ConfigError


def require(holds: bool, field: str, value: float | str | None, limit: str) -> None:
    """ConfigError saying what `field` must be, unless it holds."""
    if not holds:
        raise ConfigError(f"{field} = {value}: must be {limit}")
