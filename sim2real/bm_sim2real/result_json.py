"""The one JSON document that every measuring command writes with --json."""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from bm_core.atomic_file import atomic_write_text
from bm_core.errors import ConfigError

DISTRIBUTION = "beyondmimic-g1"
_SOURCE_TREE = Path(__file__).resolve().parents[2]
_MEASURED_PACKAGES = ("numpy", "mujoco", "onnxruntime", "onnxruntime-gpu", "torch", "isaaclab", "newton")
"""Versions that can move a result; those that are not installed are left out."""


def write_result(
    path: str | Path, *, command: str, rows: Sequence[Mapping[str, Any]], summary: Mapping[str, Any], passed: bool
) -> None:
    """Write `command, version, machine, rows, summary, passed` as one JSON document, whole or not at all.

    NumPy values become numbers and lists, paths strings, and what is not finite null (JSON has no NaN).
    Raises ConfigError if `path` cannot be written, which says where the document is instead: it may be worth hours.
    TypeError for a value that JSON cannot hold.
    """
    document = {
        "command": command,
        "version": version(),
        "machine": machine(),
        "rows": list(rows),
        "summary": summary,
        "passed": bool(passed),
    }
    write_or_keep(path, json.dumps(jsonable(document), indent=2, allow_nan=False) + "\n")


def write_or_keep(path: str | Path, text: str) -> None:
    """Write what a measurement has found, whole or not at all; if that fails, into the temporary files or to stdout.

    The ConfigError says why it failed and where the text is.
    """
    try:
        atomic_write_text(path, text)
    except ConfigError as error:
        raise ConfigError(f"{error}; {_keep(Path(path), text)}") from error


def jsonable(value: Any) -> Any:
    """The value in terms of JSON: NumPy and paths converted, NaN and infinities null. Raises TypeError otherwise."""
    if hasattr(value, "tolist"):  # NumPy arrays and scalars, without importing NumPy
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_key(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"a result cannot hold {type(value).__name__} {value!r}; give numbers, strings, lists or dicts")


def version() -> str:
    """Version of this distribution; in a git checkout with the commit behind a plus, `.dirty` if it was changed."""
    try:
        release = metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        release = "0"
    commit = _commit()
    return f"{release}+{commit}" if commit else release


def machine() -> dict[str, Any]:
    """What a reader needs to judge a timing: processor, cores, memory, system, versions. Names no host and no user."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": _package_versions(),
    }


def place_to_keep(path: Path) -> Path:
    """Where among the temporary files that may go which cannot be written to `path`; its folder is not made yet."""
    return Path(tempfile.gettempdir()) / f"bm-kept-{secrets.token_hex(4)}" / path.name


def _keep(path: Path, text: str) -> str:
    """Put the text somewhere else, and say where."""
    with contextlib.suppress(ConfigError, OSError):
        kept = place_to_keep(path)
        atomic_write_text(kept, text)
        return f"the result is kept in {kept}"
    sys.stdout.write(text)
    return "the result has gone to stdout"


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a result's keys are strings, not {type(key).__name__} {key!r}")
    return key


def _commit() -> str | None:
    """Short commit of the source tree, None where there is none (an installed copy) or no git."""
    if not (_SOURCE_TREE / ".git").exists():
        return None
    describe = ["git", "-C", str(_SOURCE_TREE), "describe", "--always", "--exclude=*", "--abbrev=9", "--dirty=.dirty"]
    try:
        answer = subprocess.run(describe, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def _cpu_model() -> str:
    """Model name as Linux tells it; elsewhere what the platform module knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):  # not a POSIX system
        return None


def _package_versions() -> dict[str, str]:
    versions = {}
    for package in _MEASURED_PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
