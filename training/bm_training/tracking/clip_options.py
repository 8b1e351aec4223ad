"""Options that choose clips for training and evaluation; torch-free, so that `--help` stays quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bm_training.tracking.motion_set import LoadedMotionSet


@dataclass(frozen=True, kw_only=True)
class ClipOptions:
    """Which motions, exactly one source of them."""

    motion_set: str | None = None
    """Name of a shipped motion set, or a .yaml file."""
    motions: str | None = None
    """Instead of a set: clips and folders, separated by commas. Weights and roles need a set."""
    registry_name: str | None = None
    """Instead of a set: W&B registry names org/collection/motion:alias between commas; local copies come first. A clip
    has the name of its motion."""
    motion_root: Path | None = None
    """Replaces ${MOTIONS} in a motion set (else the variable BM_MOTIONS does); --motions may be relative to it."""

    def load(self) -> LoadedMotionSet:
        """The clips. Raises ConfigError or ClipError."""
        from bm_core.errors import ConfigError
        from bm_training.tracking.motion_set import motion_set_of_paths, motion_set_of_registry, read_motion_set

        if [self.motion_set, self.motions, self.registry_name].count(None) != 2:
            raise ConfigError("give one of --motion-set, --motions and --registry-name")
        if self.motion_set is not None:
            return read_motion_set(self.motion_set, self.motion_root)
        if self.registry_name is not None:
            return motion_set_of_registry(self.registry_name)
        return motion_set_of_paths(str(self.motions).split(","), self.motion_root)
