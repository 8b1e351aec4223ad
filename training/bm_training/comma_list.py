"""Options that take a list between commas."""

from __future__ import annotations

from collections.abc import Sequence

from bm_core.errors import ConfigError


def named_parts(option: str, parts: Sequence[str]) -> list[str]:
    """Without blanks around them. ConfigError for an empty part: as a path it would be the present folder."""
    stripped = [part.strip() for part in parts]
    if not any(stripped):
        raise ConfigError(f"{option}: nothing is named; leave the option out, or name something")
    if "" in stripped:
        raise ConfigError(f"{option} {','.join(parts)}: part {stripped.index('') + 1} is empty; a comma too many?")
    return stripped
