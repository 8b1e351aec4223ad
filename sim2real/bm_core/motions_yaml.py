"""motions.yaml: what a 36-column CSV cannot say about itself, pattern by pattern.

    csv/kimodo_*.csv: {fps: 30, quat: wxyz}
    "*.csv": {fps: 60, quat: xyzw}

Patterns are relative to the folder of the motions.yaml (`*` also crosses folders); the first one that matches counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bm_core.errors import ClipError

FILE_NAME = "motions.yaml"
QUAT_ORDERS = ("wxyz", "xyzw")


@dataclass(frozen=True, kw_only=True)
class CsvConventions:
    """Rate and quaternion order of a CSV file; None where nobody said."""

    fps: float | None = None
    """Frames per second."""
    quat: str | None = None
    """"wxyz" or "xyzw"."""


def conventions_for(path: Path) -> CsvConventions:
    """What the nearest motions.yaml (folder of the file, then its parents) says about `path`. Raises ClipError."""
    path = path.resolve()
    for folder in path.parents:
        listing = folder / FILE_NAME
        if not listing.is_file():
            continue
        relative = path.relative_to(folder).as_posix()
        for pattern, conventions in read_motions_yaml(listing).items():
            if fnmatchcase(relative, pattern):
                return conventions
    return CsvConventions()


def read_motions_yaml(path: Path) -> dict[str, CsvConventions]:
    """Pattern -> conventions, in the file's order. Raises ClipError for anything unknown."""
    try:
        from bm_core.strict_yaml import read_yaml
    except ImportError as error:
        raise ClipError(f"{path}: reading it needs PyYAML: pip install pyyaml (or give --fps and --quat)") from error
    document = read_yaml(path, ClipError)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ClipError(f"{path}: must be lines of the form  pattern: {{fps: 30, quat: xyzw}}")
    return {str(pattern): _conventions(f"{path}: {pattern}", entry) for pattern, entry in document.items()}


def _conventions(where: str, entry: Any) -> CsvConventions:
    if not isinstance(entry, dict) or set(entry) - {"fps", "quat"}:
        raise ClipError(f"{where}: {entry!r} must have the keys fps and quat only, such as {{fps: 30, quat: xyzw}}")
    fps, quat = entry.get("fps"), entry.get("quat")
    if fps is not None and (isinstance(fps, bool) or not isinstance(fps, (int, float))):
        raise ClipError(f"{where}: fps = {fps!r}, a number expected")
    if quat is not None and quat not in QUAT_ORDERS:
        raise ClipError(f"{where}: quat = {quat!r}, must be wxyz or xyzw")
    return CsvConventions(fps=None if fps is None else float(fps), quat=quat)
