"""The G1 model inside mjlab's wheel: a second opinion on the robot, and meshes for pictures. mjlab is not imported."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_MODEL = "asset_zoo/robots/unitree_g1/xmls/g1.xml"
_SOURCE_TREE = Path(__file__).resolve().parents[2]


def installed_model() -> Path | None:
    """Of the mjlab in this environment; None without one."""
    spec = importlib.util.find_spec("mjlab")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / _MODEL
    return path if path.is_file() else None


def any_model() -> Path | None:
    """Of this environment's mjlab, else of the one in .venv-peers (`make install-peers`); None without either."""
    found = sorted((_SOURCE_TREE / ".venv-peers").glob(f"lib/python*/site-packages/mjlab/{_MODEL}"))
    return installed_model() or (found[0] if found else None)
