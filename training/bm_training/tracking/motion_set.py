"""The clips of a training run, from a motion set (bm_core.motion_set) or from a list of files and folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from bm_core.errors import ConfigError
from bm_core.motion import MotionClip, find_clips, load_clip
from bm_core.motion_set import load_clips, load_motion_set, motion_set_sha256
from bm_training.comma_list import named_parts

if TYPE_CHECKING:
    from torch import Tensor

    from bm_training.tracking.motion_library import MotionLibrary


class Role(str, Enum):
    """What a clip is for, beside being tracked."""

    STAND = "stand"
    """Robots also start it out of locomotion clips."""
    LOCOMOTION = "locomotion"
    """Its frames serve as such starts."""
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class LoadedMotionSet:
    """Clips with weights and roles, loaded."""

    name: str
    clips: tuple[MotionClip, ...]
    weights: tuple[float, ...]
    """Relative probability per second of motion."""
    roles: tuple[Role, ...]

    @property
    def sha256(self) -> str:
        """Fingerprint of names, weights and motions."""
        return motion_set_sha256(list(zip(self.clips, self.weights, strict=True)))

    def on_device(self, device: str) -> TrainingMotions:
        """As tensors."""
        import torch

        from bm_training.tracking.motion_library import MotionLibrary

        return TrainingMotions(
            library=MotionLibrary(self.clips, self.weights, device),
            is_stand=torch.tensor([role is Role.STAND for role in self.roles], device=device),
            is_locomotion=torch.tensor([role is Role.LOCOMOTION for role in self.roles], device=device),
        )


@dataclass(frozen=True, kw_only=True)
class TrainingMotions:
    """A motion set on a device, M motions."""

    library: MotionLibrary
    is_stand: Tensor
    """(M,) bool"""
    is_locomotion: Tensor
    """(M,) bool"""


def read_motion_set(name_or_file: str, root: Path | None = None) -> LoadedMotionSet:
    """A shipped set by name, or a YAML file; `root` replaces ${MOTIONS}. Raises ConfigError or ClipError."""
    entries = load_motion_set(name_or_file, motion_root=root)
    loaded = load_clips(entries)
    return LoadedMotionSet(
        name=entries.name,
        clips=tuple(clip for clip, _ in loaded),
        weights=tuple(weight for _, weight in loaded),
        roles=tuple(Role(entry.role) for entry in entries.entries),
    )


def repeated(motions: LoadedMotionSet, minutes: float) -> LoadedMotionSet:
    """The clips again and again under new names until they last `minutes`: how a large library behaves."""
    clips, weights, roles, seconds = [], [], [], 0.0
    while seconds < 60.0 * minutes:
        round_number = len(clips) // len(motions.clips)
        for clip, weight, role in zip(motions.clips, motions.weights, motions.roles, strict=True):
            clips.append(replace(clip, name=f"{clip.name}#{round_number}"))
            weights.append(weight)
            roles.append(role)
            seconds += clip.duration
    return LoadedMotionSet(
        name=f"{motions.name}, {minutes:g} min", clips=tuple(clips), weights=tuple(weights), roles=tuple(roles)
    )


def motion_set_of_paths(paths: Sequence[str], root: Path | None = None) -> LoadedMotionSet:
    """Files and folders, below `root` or as they are; weights 1, no roles: those need a motion set.

    Raises ConfigError for an empty path (a comma too many) or two clips of one name, ClipError for a faulty file.
    """
    clips: list[MotionClip] = []
    files: dict[str, Path] = {}
    parts = named_parts("--motions", paths)
    for path in parts:
        below = root / path if root is not None and (root / path).exists() else Path(path)
        for file in find_clips(below):
            clip = load_clip(file)
            if clip.name in files:
                raise ConfigError(
                    f"--motions: {files[clip.name]} and {file} are both named {clip.name}; leave one out or rename it"
                )
            clips.append(clip)
            files[clip.name] = file
    return _plain_set(clips, [Path(path).stem for path in parts])


def motion_set_of_registry(names: str, root: Path | None = None) -> LoadedMotionSet:
    """Registry names between commas, each clip named after its motion; weights 1, no roles.

    Raises ConfigError for an empty or repeated name and a motion that cannot be had, ClipError for a faulty file.
    """
    from bm_training.motions.registry import clip_names, parse_registry_names, resolve

    parsed = parse_registry_names(names)
    called, files = clip_names(parsed), resolve(parsed, root)
    clips = [replace(load_clip(file), name=name) for file, name in zip(files, called, strict=True)]
    return _plain_set(clips, called)


def _plain_set(clips: Sequence[MotionClip], names: Sequence[str]) -> LoadedMotionSet:
    return LoadedMotionSet(
        name="+".join(names)[:60],
        clips=tuple(clips),
        weights=(1.0,) * len(clips),
        roles=(Role.OTHER,) * len(clips),
    )
