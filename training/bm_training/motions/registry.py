"""Motions by registry name (org/collection/motion:alias), as whole_body_tracking keeps them in W&B; offline first.

A motion that lies in the local folder is used as it is, and nothing asks a server. Folder layout, also for files that
somebody carried over by hand:  ROOT/org/collection/motion/alias/<one motion file>
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bm_core.errors import ConfigError, one_line
from bm_core.motion import find_clips
from bm_training.comma_list import named_parts

ROOT_VARIABLE = "BM_REGISTRY"
_DEFAULT_ALIAS = "latest"
_NAME = re.compile(r"(?P<organisation>[\w.-]+)/(?P<collection>[\w.-]+)/(?P<motion>[\w.-]+)(:(?P<alias>[\w.-]+))?")


@dataclass(frozen=True, kw_only=True)
class RegistryName:
    """One motion of a registry."""

    organisation: str
    collection: str
    motion: str
    alias: str = _DEFAULT_ALIAS

    @property
    def artifact(self) -> str:
        """As W&B wants it."""
        return f"{self.organisation}/{self.collection}/{self.motion}:{self.alias}"

    def folder(self, root: Path) -> Path:
        """Where it lies locally."""
        return root / self.organisation / self.collection / self.motion / self.alias


def parse_registry_name(text: str) -> RegistryName:
    """Raises ConfigError for anything but org/collection/motion[:alias]."""
    match = _NAME.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"registry name {text!r}: write org/collection/motion:alias, the alias may be missing")
    parts = {key: value for key, value in match.groupdict().items() if value is not None}
    return RegistryName(**parts)


def registry_root() -> Path:
    """BM_REGISTRY, else a folder in the user's cache."""
    given = os.environ.get(ROOT_VARIABLE)
    return Path(given) if given else Path.home() / ".cache" / "beyondmimic" / "registry"


def resolve(names: Sequence[RegistryName], root: Path | None = None) -> list[Path]:
    """Their motion files, downloaded only if they are not there yet.

    Raises ConfigError naming the folder that was looked in and what would fill it.
    """
    folder = root or registry_root()
    return [_file(name, folder) for name in names]


def parse_registry_names(names: str) -> list[RegistryName]:
    """Registry names between commas. Raises ConfigError for an empty one and for one that is named twice."""
    parsed = [parse_registry_name(text) for text in named_parts("--registry-name", names.split(","))]
    doubled = [name.artifact for name in parsed if parsed.count(name) > 1]
    if doubled:
        raise ConfigError(f"--registry-name: {doubled[0]} is named twice; name each motion once")
    return parsed


def clip_names(names: Sequence[RegistryName]) -> list[str]:
    """What their clips are called: the motion, with the alias where several are called so, then with the collection.

    The files say nothing: each is motion.npz. Raises ConfigError if even that leaves two alike.
    """
    ways: tuple[Callable[[RegistryName], str], ...] = (
        lambda name: name.motion,
        lambda name: f"{name.motion}_{name.alias}",
        lambda name: f"{name.collection}_{name.motion}_{name.alias}",
        lambda name: f"{name.organisation}_{name.collection}_{name.motion}_{name.alias}",
    )
    chosen = [ways[0](name) for name in names]
    for way in ways[1:]:
        chosen = [way(name) if chosen.count(own) > 1 else own for name, own in zip(names, chosen, strict=True)]
    for name, own in zip(names, chosen, strict=True):
        if chosen.count(own) > 1:
            raise ConfigError(f"--registry-name {name.artifact}: another clip is called {own}, too; take one of them")
    return chosen


def _file(name: RegistryName, root: Path) -> Path:
    folder = name.folder(root)
    if not folder.is_dir() or not any(folder.iterdir()):
        _download(name, folder)
    found = find_clips(folder)
    if len(found) != 1:
        raise ConfigError(
            f"{folder}: {len(found)} motion files, one expected; leave only that of {name.artifact} there"
        )
    return found[0]


def _download(name: RegistryName, folder: Path) -> None:
    remedy = f"put its motion file into {folder}, or name the folder of all with {ROOT_VARIABLE}"
    try:
        import wandb
    except ImportError as error:
        raise ConfigError(f"{name.artifact}: not here, and wandb is not installed; {remedy}") from error
    # Beside its place first: half a download would be taken for the motion the next time.
    staging = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    try:
        wandb.Api().artifact(name.artifact).download(root=str(staging))
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()  # an empty one was no motion
        staging.rename(folder)
    except Exception as error:  # wandb and requests have many classes for one thing: it could not be had
        raise ConfigError(
            f"{name.artifact}: not here, and W&B does not give it ({one_line(error)}); {remedy}"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
