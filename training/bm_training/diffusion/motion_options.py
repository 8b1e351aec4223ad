"""Options that say which motions the tracker is to follow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bm_training.tracking.motion_set import LoadedMotionSet


@dataclass(frozen=True, kw_only=True)
class MotionOptions:
    """Which motions, exactly one source of them."""

    motion_set: str | None = None
    """Name of a shipped motion set, or a .yaml file."""
    motions: str | None = None
    """Instead of a set: clips and folders, separated by commas."""
    motion_root: Path | None = None
    """Replaces ${MOTIONS} in a motion set (else the variable BM_MOTIONS does); --motions may be relative to it."""

    def load(self) -> LoadedMotionSet:
        """The clips. Raises ConfigError or ClipError."""
        from bm_core.errors import ConfigError
        from bm_training.tracking.motion_set import motion_set_of_paths, read_motion_set

        if (self.motion_set is None) == (self.motions is None):
            raise ConfigError("give either --motion-set or --motions")
        if self.motion_set is not None:
            return read_motion_set(self.motion_set, self.motion_root)
        return motion_set_of_paths(str(self.motions).split(","), self.motion_root)


@dataclass(frozen=True, kw_only=True)
class StartMotionOptions(MotionOptions):
    """Which motions, where another policy acts in between."""

    motion_set: str | None = None
    """Motions to start from and to be picked up by: name of a shipped set, or a .yaml file."""
