"""Reading foreign .npz files: plain arrays only (a pickle can run code), and every defect becomes one clear line."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import ClipError, one_line

CORRUPT_NPZ = (
    ValueError, OSError, EOFError, KeyError, OverflowError, MemoryError, NotImplementedError, SyntaxError,
    tokenize.TokenError, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
"""What NumPy and zipfile raise for damaged bytes: headers are Python text, and sizes are believed."""


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of the file. Raises ClipError for a file that is missing, empty, truncated, corrupt or pickled."""
    require_file(path)
    if not zipfile.is_zipfile(path):
        raise ClipError(f"{path.name}: not an .npz archive (truncated, or another format); copy it again")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except CORRUPT_NPZ as error:
        if "pickle" in str(error):
            raise ClipError(
                f"{path.name}: holds Python objects, which are not read because they can run code; "
                "save plain arrays (numbers and strings)"
            ) from error
        raise ClipError(f"{path.name}: corrupt .npz archive ({one_line(error)}); copy it again") from error


def require_file(path: Path) -> None:
    """Raise ClipError unless `path` is a readable, non-empty file."""
    if not path.exists():
        raise ClipError(f"{path}: no such file")
    if not path.is_file():
        raise ClipError(f"{path}: not a file")
    try:
        with path.open("rb") as stream:
            first = stream.read(1)
    except OSError as error:
        raise ClipError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not first:
        raise ClipError(f"{path.name}: empty file")


def number_array(label: str, arrays: dict[str, NDArray[Any]], key: str) -> NDArray[np.float64]:
    """The array of that key as float64. Raises ClipError if it is missing or holds no numbers."""
    if key not in arrays:
        raise ClipError(f"{label}: has no {key!r}; it holds {', '.join(sorted(arrays)) or 'nothing'}")
    values = arrays[key]
    if values.dtype.kind not in "fiub":
        raise ClipError(f"{label}: {key} holds {values.dtype}, numbers expected")
    return values.astype(np.float64)


def one_number(label: str, arrays: dict[str, NDArray[Any]], key: str) -> float:
    """The one value of that key. Raises ClipError if it is missing, several, or not finite."""
    values = number_array(label, arrays, key).ravel()
    if values.size != 1:
        raise ClipError(f"{label}: {key} has {values.size} values, one expected")
    value = float(values[0])
    if not np.isfinite(value):
        raise ClipError(f"{label}: {key} is {value}, a finite number expected")
    return value
