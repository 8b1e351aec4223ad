"""Where the shipped policies and motion clips are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from bm_core.errors import ConfigError

Kind = Literal["policies", "motions"]

_SHARE_PACKAGE = "bm_bringup"
"""The ROS package whose share folder holds installed copies."""
_SOURCE_TREE = Path(__file__).resolve().parents[2]


def shipped(kind: Kind, name: str = "") -> Path:
    """Path of a shipped file, such as shipped("policies", "g1_tracker.onnx"); without a name the folder itself.

    Exactly one place is asked: the folder that BM_DATA names, else the installed share of bm_bringup, else the source
    tree. The next one is never tried for a missing file: another policy under the same name would run unnoticed.
    Raises ConfigError that says where it looked.
    """
    folder = shipped_folder(kind)
    path = folder / name
    if not path.exists():
        present = ", ".join(sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))[:8])
        raise ConfigError(f"{path}: no such file; {folder} holds {present or 'nothing'}")
    return path


def named_bundle(name: str, named_in: Path, where: str = "") -> Path:
    """The policy bundle that a clip or a motion set names: beside that file, else among the shipped policies.

    ConfigError, prefixed with `where` (default: the file), if it is in neither.
    """
    places = [named_in.resolve().parent, shipped_folder("policies").resolve()]
    for place in places:
        if (place / name).is_file():
            return (place / name).resolve()
    raise ConfigError(f"{where or named_in}: policy {name}: no such file in {' or '.join(map(str, places))}")


def shipped_folder(kind: Kind) -> Path:
    """The one folder that holds the shipped files of this kind. Raises ConfigError that lists what was searched."""
    chosen = os.environ.get("BM_DATA")
    if chosen:
        folder = Path(chosen).expanduser() / kind
        if not folder.is_dir():
            raise ConfigError(f"BM_DATA={chosen}: has no folder {kind}; correct BM_DATA, or unset it")
        return folder
    searched = [*_installed_shares(), _SOURCE_TREE]
    for root in searched:
        if (root / kind).is_dir():
            return root / kind
    raise ConfigError(
        f"no folder with the shipped {kind} (searched {', '.join(map(str, searched))}); "
        f"set BM_DATA to the folder that contains {kind}/"
    )


def _installed_shares() -> list[Path]:
    """bm_bringup's share in every sourced ROS workspace, the topmost overlay first."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    shares = [Path(prefix) / "share" / _SHARE_PACKAGE for prefix in prefixes if prefix]
    return [share for share in shares if share.is_dir()]
