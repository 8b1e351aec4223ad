"""The data set on the disk: a folder of HDF5 shards and manifest.json, which alone says what belongs to it.

A frame t holds the state at control step t and the actions computed from it, which act until t + 1.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.atomic_file import atomic_write_bytes, atomic_write_text
from bm_core.errors import ConfigError
from bm_core.g1 import CONTROL_DT, G1

SCHEMA = 2
MANIFEST = "manifest.json"
ROOT_WIDTH = 13
LAYOUT = {
    "root": (
        ROOT_WIDTH,
        "float32",
        "pelvis: position m, quaternion wxyz, linear m/s and angular rad/s velocity; world",
    ),
    "joint_pos": (29, "float16", "rad"),
    "joint_vel": (29, "float16", "rad/s"),
    "action_label": (0, "float16", "what the teacher wants in this state; network units"),
    "action_applied": (0, "float16", "what the robot was given, noise included; network units"),
    "jolted": (1, "uint8", "1: pushed between the frame before and this one; no plan could have known it"),
}
"""Data set -> numbers a frame (0: width of an action), type, unit."""


@dataclass(frozen=True, kw_only=True)
class Rollouts:
    """E episodes of T frames."""

    root: NDArray[np.float32]
    """(E, T, 13) position, quaternion wxyz, linear and angular velocity of the pelvis, world"""
    joint_pos: NDArray[np.float16]
    """(E, T, 29) rad"""
    joint_vel: NDArray[np.float16]
    """(E, T, 29) rad/s"""
    action_label: NDArray[np.float16]
    """(E, T, A) what the teacher wants"""
    action_applied: NDArray[np.float16]
    """(E, T, A) what the robot was given"""
    jolted: NDArray[np.uint8]
    """(E, T, 1) 1 where the robot was pushed between the frame before and this one"""
    source: NDArray[np.int32]
    """(E,) index into the manifest's sources"""

    @property
    def episodes(self) -> int:
        return len(self.root)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One file of a data set."""

    file: str
    episodes: int
    seed: int
    """Of its collection"""
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is in a data set and where it is from."""

    schema: int = SCHEMA
    fps: float = 1.0 / CONTROL_DT
    steps: int
    """Frames per episode"""
    action_width: int = len(G1.joint_names)
    joint_names: tuple[str, ...] = G1.joint_names
    units: dict[str, str] = field(default_factory=lambda: {name: unit for name, (_, _, unit) in LAYOUT.items()})
    sources: tuple[str, ...]
    """Names that `source` indexes: streams, clips."""
    provenance: dict[str, str]
    """How it was made: teacher, commit, noise."""
    shards: tuple[Shard, ...] = ()

    @property
    def episodes(self) -> int:
        return sum(shard.episodes for shard in self.shards)

    @property
    def hours(self) -> float:
        return self.episodes * self.steps / self.fps / 3600.0

    @property
    def sha256(self) -> str:
        """Of the whole set, through its shards."""
        return hashlib.sha256("".join(shard.sha256 for shard in self.shards).encode()).hexdigest()


class RolloutWriter:
    """Adds shards, whole or not at all. An existing folder is continued if it was begun alike."""

    def __init__(
        self,
        folder: Path,
        *,
        steps: int,
        sources: Sequence[str],
        provenance: dict[str, str],
        action_width: int = len(G1.joint_names),
    ) -> None:
        """ConfigError if the folder holds another data set."""
        self.folder = folder
        fresh = Manifest(steps=steps, sources=tuple(sources), provenance=dict(provenance), action_width=action_width)
        if not (folder / MANIFEST).exists():
            self.manifest = fresh
            return
        self.manifest = read_manifest(folder)
        for name in ("steps", "action_width", "sources", "provenance"):
            if _comparable(getattr(self.manifest, name)) != _comparable(getattr(fresh, name)):
                raise ConfigError(f"{folder}: was begun with other {name}; continue it alike, or choose another folder")
        known = {shard.file for shard in self.manifest.shards}
        # Written but not yet in the manifest when the collection was cut off: its episodes will be made again.
        for stray in set(folder.glob("shard_*.h5")) - {folder / name for name in known}:
            stray.unlink()

    @property
    def num_shards(self) -> int:
        """Finished ones; a resumed collection goes on with this index."""
        return len(self.manifest.shards)

    def write_shard(self, rollouts: Rollouts, seed: int) -> None:
        """Append one file; it counts once the manifest names it. ConfigError for wrong shapes or numbers."""
        import h5py

        _check(rollouts, self.manifest)
        path = self.folder / f"shard_{self.num_shards:05d}.h5"
        # In memory first: HDF5 does not survive a full disk, bytes do.
        with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
            for name, (_, kind, unit) in LAYOUT.items():
                file.create_dataset(name, data=getattr(rollouts, name).astype(kind), chunks=True).attrs["unit"] = unit
            file.create_dataset("source", data=rollouts.source.astype(np.int32))
            file.attrs["seed"] = seed
            file.flush()
            atomic_write_bytes(path, file.id.get_file_image())
        shard = Shard(file=path.name, episodes=rollouts.episodes, seed=seed, sha256=_sha256(path))
        self.manifest = dataclasses.replace(self.manifest, shards=(*self.manifest.shards, shard))
        document = {**dataclasses.asdict(self.manifest), "episodes": self.manifest.episodes}
        atomic_write_text(self.folder / MANIFEST, json.dumps(document, indent=1) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """ConfigError if there is none, or one of another schema or robot."""
    path = folder / MANIFEST
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        document.pop("episodes")
        shards = tuple(Shard(**shard) for shard in document.pop("shards"))
        document = {name: tuple(value) if isinstance(value, list) else value for name, value in document.items()}
        manifest = Manifest(**document, shards=shards)
    except OSError as error:
        raise ConfigError(f"{folder}: no data set there ({error.strerror}: {path.name})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: not a manifest of a data set ({error})") from error
    if manifest.schema != SCHEMA:
        raise ConfigError(f"{path}: schema {manifest.schema}, this program reads {SCHEMA}; collect it again")
    if manifest.joint_names != G1.joint_names:
        raise ConfigError(f"{path}: other joints, or in another order, than this program's")
    return manifest


def load_rollouts(folder: Path, *, verify: bool = True) -> tuple[Manifest, Rollouts]:
    """All episodes. `verify` compares the files with the manifest's hashes. ConfigError for a damaged data set."""
    import h5py

    manifest = read_manifest(folder)
    if not manifest.shards:
        raise ConfigError(f"{folder}: the data set has no episodes")
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in (*LAYOUT, "source")}
    for shard in manifest.shards:
        path = folder / shard.file
        if not path.is_file() or (verify and _sha256(path) != shard.sha256):
            raise ConfigError(f"{path}: missing or not the file that the manifest names; collect the data set again")
        try:
            with h5py.File(path, "r") as file:
                for name, parts in columns.items():
                    parts.append(np.asarray(file[name]))
        except (OSError, KeyError) as error:  # without `verify` it may be anything
            raise ConfigError(f"{path}: not a shard of a data set ({error}); collect the data set again") from error
    rollouts = Rollouts(**{name: np.concatenate(parts) for name, parts in columns.items()})
    _check(rollouts, manifest)
    return manifest, rollouts


def load_collections(folders: Sequence[Path], *, verify: bool = True) -> tuple[list[Manifest], Rollouts]:
    """All episodes of several data sets; `source` then counts through all manifests' sources.

    ConfigError if they do not fit together, or one is named twice.
    """
    manifests, parts, known = [], [], 0
    places = [folder.resolve() for folder in folders]
    for folder in folders:
        if places.count(folder.resolve()) > 1:
            raise ConfigError(
                f"{folder}: is named twice; its episodes would be trained on and validated with, too; name it once"
            )
        manifest, rollouts = load_rollouts(folder, verify=verify)
        for name in ("steps", "action_width"):
            if manifests and getattr(manifest, name) != getattr(manifests[0], name):
                raise ConfigError(f"{folder}: {name} is not that of {folders[0]}; train on sets that are alike")
        parts.append(dataclasses.replace(rollouts, source=rollouts.source + known))
        known += len(manifest.sources)
        manifests.append(manifest)
    return manifests, joined(parts)


def joined(parts: Sequence[Rollouts]) -> Rollouts:
    """Several lots as one."""
    if len(parts) == 1:
        return parts[0]
    names: list[str] = list(vars(parts[0]))
    arrays: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Rollouts(**arrays)


def _check(rollouts: Rollouts, manifest: Manifest) -> None:
    for name, (width, _, _) in LAYOUT.items():
        values, expected = getattr(rollouts, name), (manifest.steps, width or manifest.action_width)
        if values.shape != (rollouts.episodes, *expected):
            raise ConfigError(
                f"rollouts.{name} has shape {values.shape}, (episodes, {expected[0]}, {expected[1]}) expected"
            )
        # fp16 ends at 65504: a wild number becomes infinite here and would poison the scaling.
        finite = np.isfinite(values.astype(LAYOUT[name][1])).all(axis=(1, 2))
        if not finite.all():
            raise ConfigError(f"rollouts.{name}: episode {int(np.argmin(finite))} holds numbers that are not finite")


def _comparable(value: Any) -> Any:
    """A later commit may continue a collection; anything else of its provenance must be the same."""
    return {key: text for key, text in value.items() if key != "commit"} if isinstance(value, dict) else value


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
