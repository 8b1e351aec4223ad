"""Arrays as text in a bundle's contract: a base64 npz with its hash."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import BundleError
from bm_core.npz_file import CORRUPT_NPZ


def pack_arrays(arrays: Mapping[str, NDArray]) -> dict[str, str]:
    """{"sha256", "npz"}; equal arrays give equal text."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(arrays))  # type: ignore[arg-type]
    data = buffer.getvalue()
    return {"sha256": hashlib.sha256(data).hexdigest(), "npz": base64.b64encode(data).decode("ascii")}


def unpack_arrays(document: object, where: str) -> dict[str, NDArray]:
    """Read what `pack_arrays` wrote. BundleError, prefixed with `where`, if it is damaged."""
    if not isinstance(document, dict) or set(document) != {"sha256", "npz"}:
        raise BundleError(f"{where} must hold sha256 and npz; export the bundle again")
    try:
        data = base64.b64decode(document["npz"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise BundleError(f"{where} is not base64; export the bundle again") from error
    if hashlib.sha256(data).hexdigest() != document["sha256"]:
        raise BundleError(f"{where} does not have its sha256; copy or export the bundle again")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except CORRUPT_NPZ as error:
        raise BundleError(f"{where} is no npz archive; export the bundle again") from error
