"""Which clips are trained on: a motion set (YAML) or a list of files and folders.

name: locomotion
description: streams, stand and stops
motions:
  - path: streams/*.npz        # below the motion root; a file, a folder or a pattern
    weight: 1.0                # probability per second of motion, relative to the others
    role: locomotion           # stand | locomotion | other
  - path: walk1.csv
    start: 0.0                 # s
    end: 12.5
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bm_core.data import shipped_folder
from bm_core.errors import ConfigError
from bm_core.motion import MotionClip, find_clips, load_clip

if TYPE_CHECKING:
    from torch import Tensor

    from bm_training.tracking.motion_library import MotionLibrary

_LOG = logging.getLogger(__name__)
_SETS = "motion_sets"


class Role(str, Enum):
    """What a clip is for, beside being tracked."""

    STAND = "stand"
    """Robots also start it out of locomotion clips."""
    LOCOMOTION = "locomotion"
    """Its frames serve as such starts."""
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class SetEntry:
    """One line of a motion set; a pattern stands for several clips."""

    path: str
    weight: float = 1.0
    """Relative probability per second of motion."""
    start: float = 0.0
    """s"""
    end: float | None = None
    """s; None: to the clip's end"""
    role: Role | None = None
    """None: by the file's name (stand*, walk*, stream*, stop*)."""


@dataclass(frozen=True, kw_only=True)
class MotionSet:
    """Clips with weights and roles, loaded."""

    name: str
    clips: tuple[MotionClip, ...]
    weights: tuple[float, ...]
    roles: tuple[Role, ...]

    @property
    def sha256(self) -> str:
        """Of names, weights, roles and motions: equal sets train alike."""
        digest = hashlib.sha256()
        for clip, weight, role in zip(self.clips, self.weights, self.roles, strict=True):
            digest.update(f"{clip.name} {weight!r} {role.value} {clip.num_frames}\n".encode())
            digest.update(clip.joint_pos.astype("<f4").tobytes() + clip.body_pos_w.astype("<f4").tobytes())
        return digest.hexdigest()

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


def read_motion_set(name_or_file: str, root: Path | None = None) -> MotionSet:
    """A set by the name of a shipped one or as a YAML file; paths are below `root` (default: the shipped motions).

    Raises ConfigError for an unknown set or key, ClipError for a faulty clip.
    """
    file = Path(name_or_file)
    if file.suffix not in (".yaml", ".yml"):
        file = shipped_folder("motions") / _SETS / f"{name_or_file}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in file.parent.glob("*.yaml"))) or "none"
        raise ConfigError(f"{name_or_file}: no such motion set; known in {file.parent}: {known}; or give a .yaml file")
    name, entries = _parse(file)
    return _load(name, entries, [root] if root else [file.parent.parent, file.parent, shipped_folder("motions")])


def motion_set_of_paths(paths: Sequence[str], root: Path | None = None) -> MotionSet:
    """A set of files, folders and patterns, weights 1; what is not below `root` is taken as it is."""
    entries = [SetEntry(path=path) for path in paths]
    return _load("+".join(Path(path).stem for path in paths)[:60], entries, [root, Path()] if root else [Path()])


def _parse(file: Path) -> tuple[str, list[SetEntry]]:
    import yaml

    try:
        document = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"{file.name}: not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(document, dict) or not isinstance(document.get("motions"), list):
        raise ConfigError(f"{file.name}: a mapping with the keys name, description, motions expected")
    unknown = set(document) - {"name", "description", "motions"}
    if unknown:
        raise ConfigError(f"{file.name}: unknown key {sorted(unknown)[0]!r}; known: name, description, motions")
    return str(document.get("name", file.stem)), [_entry(file.name, item) for item in document["motions"]]


def _entry(where: str, item: Any) -> SetEntry:
    if isinstance(item, str):
        return SetEntry(path=item)
    known = [field.name for field in fields(SetEntry)]
    if not isinstance(item, dict) or "path" not in item or set(item) - set(known):
        raise ConfigError(f"{where}: {item}: a path, or a mapping of {', '.join(known)} expected")
    values = dict(item)
    if values.get("role") is not None:
        try:
            values["role"] = Role(values["role"])
        except ValueError as error:
            raise ConfigError(f"{where}: role {item['role']!r}: must be one of stand, locomotion, other") from error
    entry = SetEntry(**values)
    if not entry.weight > 0.0:
        raise ConfigError(f"{where}: {entry.path}: weight {entry.weight} must be > 0")
    return entry


def _load(name: str, entries: Sequence[SetEntry], roots: Sequence[Path]) -> MotionSet:
    clips: list[MotionClip] = []
    weights: list[float] = []
    roles: list[Role] = []
    for entry in entries:
        for path in _files(entry.path, roots):
            clips.append(load_clip(path, start_s=entry.start, end_s=entry.end))
            weights.append(entry.weight)
            roles.append(entry.role or _role_of(path.stem))
    seen = [clip.name for clip in clips]
    doubled = {clip_name for clip_name in seen if seen.count(clip_name) > 1}
    if doubled:
        raise ConfigError(f"motion set {name}: clip {sorted(doubled)[0]} occurs twice; name each once")
    if not clips:
        raise ConfigError(f"motion set {name}: no clips")
    seconds = sum(clip.duration for clip in clips)
    _LOG.info("motion set %s: %d clips, %.1f min", name, len(clips), seconds / 60.0)
    return MotionSet(name=name, clips=tuple(clips), weights=tuple(weights), roles=tuple(roles))


def _files(pattern: str, roots: Sequence[Path]) -> list[Path]:
    for root in roots:
        if any(sign in pattern for sign in "*?["):
            found = sorted(path for path in root.glob(pattern) if path.is_file())
            if found:
                return found
        elif (root / pattern).exists():
            return find_clips(root / pattern)
    raise ConfigError(f"{pattern}: no such motion file or folder below {', '.join(str(root) for root in roots)}")


def _role_of(stem: str) -> Role:
    if stem.startswith("stand"):
        return Role.STAND
    return Role.LOCOMOTION if any(word in stem for word in ("walk", "stream", "stop")) else Role.OTHER
