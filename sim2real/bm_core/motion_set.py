"""Motion sets: which clips, how often each, and what for, as a YAML file.

name: example
description: one sentence
include: first_light                # another set or a list: shipped names, or files relative to this one; optional
motions:                            # of a file that an included set has too, what is said here counts
  - path: walk.npz                  # file, relative to this file or to the shipped motions
    weight: 2.0                     # relative probability per second of motion, default 1
  - glob: "${MOTIONS}/csv/*.csv"    # each match is an entry; MOTIONS is --motion-root or the variable BM_MOTIONS
    start: 1.0                      # s, default 0
    end: 6.5                        # s, default: the clip's end
    role: other                     # stand | locomotion | other, default: by the file's name
    policy: dance_expert.onnx       # bundle that plays it, relative to this file or to the shipped policies; optional
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bm_core.data import named_bundle, shipped_folder
from bm_core.errors import ConfigError
from bm_core.motion import MotionClip, load_clip
from bm_core.motion_set_document import ROLES, EntryText, SetDocument, read_set_document

MOTION_ROOT_VARIABLE = "BM_MOTIONS"
_PLACEHOLDER = "${MOTIONS}"
SET_SUFFIXES = (".yaml", ".yml")
"""Of a motion set's file; what has none of them is the name of a shipped set."""
_SETS = "motion_sets"


@dataclass(frozen=True, kw_only=True)
class MotionSetEntry:
    """One file of a motion set."""

    path: Path
    weight: float = 1.0
    """Relative probability per second of motion."""
    start: float = 0.0
    """s"""
    end: float | None = None
    """s; None: the clip's end"""
    role: str = "other"
    """stand, locomotion or other."""
    policy: Path | None = None
    """Bundle of the expert for it; None: whichever policy plays the set."""

    @property
    def clip_name(self) -> str:
        """The file's name; a cut one says where it is from, so that two cuts of one file stay apart."""
        if self.start == 0.0 and self.end is None:
            return self.path.stem
        return f"{self.path.stem}@{self.start:g}-{'end' if self.end is None else format(self.end, 'g')}"


@dataclass(frozen=True, kw_only=True)
class MotionSet:
    """A motion set whose files are all there, in the order of its YAML file; patterns are sorted by name."""

    name: str
    description: str
    entries: tuple[MotionSetEntry, ...]


def known_motion_sets() -> list[str]:
    """Names of the shipped motion sets, sorted."""
    folder = shipped_folder("motions") / _SETS
    return sorted(path.stem for path in folder.glob("*.yaml"))


def shipped_set_file(name: str) -> Path:
    """Where the shipped motion set of that name lies, whether it exists or not."""
    return shipped_folder("motions") / _SETS / f"{name}.yaml"


def load_motion_set(name_or_path: str | Path, *, motion_root: Path | None = None) -> MotionSet:
    """A motion set by the name of a shipped one or as a YAML file.

    `motion_root` replaces ${MOTIONS}; without it the environment variable BM_MOTIONS does. Raises ConfigError naming
    set, entry and remedy for an unknown set or key, a wrong value, a missing file, an empty pattern, a duplicate.
    """
    file = _set_file(name_or_path)
    document = read_set_document(file)
    root = motion_root if motion_root is not None else _root_of_environment()
    entries = _entries(file, document, root, (file.resolve(),))
    return MotionSet(name=document.name, description=document.description, entries=tuple(entries))


def load_clips(motions: MotionSet) -> list[tuple[MotionClip, float]]:
    """Every clip of the set, cut to its range, with its weight. Raises ClipError for a faulty file."""
    loaded = []
    for entry in motions.entries:
        clip = load_clip(entry.path, start_s=entry.start, end_s=entry.end)
        loaded.append((replace(clip, name=entry.clip_name), entry.weight))
    return loaded


def motion_set_sha256(clips: Sequence[tuple[MotionClip, float]]) -> str:
    """Fingerprint of what is trained on: names, weights and motions at 0.01 mm and mrad, not files or their places."""
    digest = hashlib.sha256()
    for clip, weight in clips:
        digest.update(f"{clip.name} {float(weight)!r} {clip.num_frames} {clip.fps!r}\n".encode())
        for values in (clip.joint_pos, clip.root_pos, clip.root_quat):
            # Whole units: the last bits of a resampled file differ from one machine to the next.
            digest.update((values * 1e5).round().astype("<i4").tobytes())
    return digest.hexdigest()


def _set_file(name_or_path: str | Path) -> Path:
    given = Path(name_or_path)
    if given.suffix in SET_SUFFIXES:
        if not given.is_file():
            raise ConfigError(f"{given}: no such motion set file")
        return given
    file = shipped_set_file(str(given))
    if not file.is_file():
        known = ", ".join(known_motion_sets()) or "none"
        raise ConfigError(f"{given}: no such motion set; shipped: {known}; or give a .yaml file")
    return file


def _entries(
    file: Path, document: SetDocument, root: Path | None, open_files: tuple[Path, ...]
) -> list[MotionSetEntry]:
    """Those of included sets first, without the files that this one names itself. `open_files`: the sets above it."""
    own: list[MotionSetEntry] = []
    for text in document.entries:
        for entry in _entries_of(text, file, root):
            _refuse_duplicate(text.where, entry, own)
            own.append(entry)
    named_here = {entry.path for entry in own}
    entries: list[MotionSetEntry] = []
    for name in document.include:
        where = f"{file.stem}: include {name}"
        other = _included_file(name, file)
        if other.resolve() in open_files:
            raise ConfigError(f"{where}: {other.name} includes this set, or is it; a set cannot hold itself")
        for entry in _entries(other, read_set_document(other), root, (*open_files, other.resolve())):
            if entry.path not in named_here:
                _refuse_duplicate(where, entry, entries, "name it here as well, to say how it counts")
                entries.append(entry)
    for entry in own:
        _refuse_duplicate(file.stem, entry, entries)
        entries.append(entry)
    return entries


def _included_file(name: str, file: Path) -> Path:
    return _set_file(file.parent / name if Path(name).suffix in SET_SUFFIXES else name)


def _entries_of(text: EntryText, file: Path, root: Path | None) -> list[MotionSetEntry]:
    bases = [file.parent.resolve(), shipped_folder("motions").resolve()]
    if root is not None:
        bases.append(root.expanduser().resolve())
    policy = None if text.policy is None else named_bundle(text.policy, file, text.where)
    return [
        MotionSetEntry(
            path=path,
            weight=text.weight,
            start=text.start,
            end=text.end,
            role=text.role or _role_of(path.stem),
            policy=policy,
        )
        for path in _files(text, bases, root)
    ]


def _root_of_environment() -> Path | None:
    value = os.environ.get(MOTION_ROOT_VARIABLE)
    return Path(value) if value else None


def _files(text: EntryText, bases: list[Path], root: Path | None) -> list[Path]:
    """The files an entry stands for, from the first base that has any."""
    pattern = text.pattern
    if pattern.startswith(_PLACEHOLDER):
        if root is None:
            raise ConfigError(
                f"{text.where}: {pattern}: where MOTIONS is was not said; "
                f"give --motion-root DIR or set {MOTION_ROOT_VARIABLE}"
            )
        bases, pattern = [root.expanduser().resolve()], pattern.removeprefix(_PLACEHOLDER).lstrip("/")
    elif Path(pattern).is_absolute():
        bases, pattern = [Path(Path(pattern).anchor)], str(Path(pattern).relative_to(Path(pattern).anchor))
    for base in bases:
        matches = base.glob(pattern) if text.is_glob else [base / pattern]
        found = sorted(path.resolve() for path in matches if path.is_file())
        if found:
            return found
    kind = "no file matches" if text.is_glob else "no such file"
    looked = ", ".join(map(str, bases))
    raise ConfigError(f"{text.where}: {text.pattern}: {kind} below {looked}; correct it, or give --motion-root DIR")


def _refuse_duplicate(
    where: str, entry: MotionSetEntry, before: Sequence[MotionSetEntry], remedy: str = "raise its weight instead"
) -> None:
    for other in before:
        if other.path == entry.path and _overlap(other, entry):
            raise ConfigError(f"{where}: {entry.path.name} is in the set already; {remedy}")
        if other.path != entry.path and other.clip_name == entry.clip_name:
            raise ConfigError(f"{where}: {entry.path} and {other.path} have one name; rename one of them")


def _overlap(first: MotionSetEntry, second: MotionSetEntry) -> bool:
    ends = [float("inf") if entry.end is None else entry.end for entry in (first, second)]
    return first.start < ends[1] and second.start < ends[0]


def _role_of(stem: str) -> str:
    if stem.startswith("stand"):
        return ROLES[0]
    return ROLES[1] if any(word in stem for word in ("walk", "stream", "stop")) else ROLES[2]
