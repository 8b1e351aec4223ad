"""Metadata of policies from elsewhere, behind one set of keys: those of whole_body_tracking's exporter.

Values are comma-separated texts (whole_body_tracking, mjlab) or JSON (holosoma). What a file does not say may stand in
a YAML beside it (`policy.onnx` -> `policy.yaml`, the same keys) or in unitree_rl_lab's deploy.yaml.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bm_core.deploy_yaml import deploy_entries, deploy_file
from bm_core.errors import BundleError

_SYNONYMS = {
    "joint_names": ("dof_names",),
    "joint_stiffness": ("kp",),
    "joint_damping": ("kd",),
    "observation_history_lengths": ("observation_terms_history_length",),
}
"""Keys of holosoma and of mjlab for the same things."""


class ForeignMetadata:
    """Typed access that names the key in every error."""

    def __init__(self, entries: Mapping[str, Any], where: str, sources: tuple[str, ...] = ()) -> None:
        self._entries, self._where = entries, where
        self.sources = sources
        """Files beside the policy that were read, too."""

    @classmethod
    def of_file(cls, path: str | Path, inside: Mapping[str, str], where: str) -> ForeignMetadata:
        """What the file says itself goes before what stands beside it. BundleError for an unreadable YAML."""
        path = Path(path)
        entries: dict[str, Any] = {}
        sources = []
        deploy = deploy_file(path)
        if deploy is not None and "joint_names" not in inside and "dof_names" not in inside:
            entries |= deploy_entries(deploy)
            sources.append(str(deploy))
        beside = path.with_suffix(".yaml")
        if beside.is_file() and beside != deploy:
            entries |= _yaml_entries(beside)
            sources.append(str(beside))
        entries |= {key: _parsed(text) for key, text in inside.items()}
        for key, others in _SYNONYMS.items():
            for other in others:
                if key not in entries and other in entries:
                    entries[key] = entries[other]
        return cls(entries, where, tuple(sources))

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def texts(self, key: str) -> tuple[str, ...]:
        """The items of a list. BundleError if the key is missing or empty."""
        items = self._items(key)
        if not items:
            raise BundleError(
                f"{self._where}: no bm.contract and no metadata '{key}'; export the policy with bm export tracking, or "
                "write the key into a YAML beside it (same name, .yaml)"
            )
        return tuple(str(item).strip() for item in items)

    def texts_or(self, key: str, default: tuple[str, ...], warnings: list[str]) -> tuple[str, ...]:
        """Like `texts`, with a default that is said aloud."""
        if key in self._entries:
            return self.texts(key)
        warnings.append(f"metadata '{key}' is missing, assumed {_shortened(','.join(default))}")
        return default

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        """One number for each of `count`; a single one stands for all of them."""
        self.texts(key)
        values = tuple(self._number(key, item) for item in self._items(key))
        if len(values) == 1:
            values *= count
        if len(values) != count:
            raise BundleError(f"{self._where}: metadata '{key}' has {len(values)} numbers, {count} expected")
        return values

    def numbers_or(self, key: str, default: tuple[float, ...], warnings: list[str]) -> tuple[float, ...]:
        """Like `numbers` for as many as the default has, which is said aloud."""
        if key in self._entries:
            return self.numbers(key, len(default))
        warnings.append(f"metadata '{key}' is missing, assumed {_shortened(','.join(map(str, default)))}")
        return default

    def scales(self, key: str, count: int) -> tuple[float, ...]:
        """One factor a term; a term's list of factors (`a;b;c` in mjlab) must hold one value."""
        if key not in self._entries:
            return (1.0,) * count
        factors = []
        for item in self._items(key):
            parts = item if isinstance(item, list) else str(item).split(";")
            values = {self._number(key, part) for part in parts}
            if len(values) != 1:
                raise BundleError(f"{self._where}: metadata '{key}' scales the numbers of one term differently: {item}")
            factors.append(values.pop())
        if len(factors) != count:
            raise BundleError(f"{self._where}: metadata '{key}' has {len(factors)} entries, {count} expected")
        return tuple(factors)

    def clips(self, key: str) -> list[str]:
        """The entries of a clip list that clip anything."""
        parts = [item if isinstance(item, list) else str(item).split(";") for item in self._items(key)]
        limits = [[self._number(key, part, finite=False) for part in entry if part is not None] for entry in parts]
        return [str(entry) for entry in limits if any(math.isfinite(limit) for limit in entry)]

    def _items(self, key: str) -> list[Any]:
        value = self._entries.get(key)
        if value is None or value == "":
            return []
        if isinstance(value, str):
            return value.split(",")
        return list(value) if isinstance(value, (list, tuple)) else [value]

    def _number(self, key: str, item: Any, *, finite: bool = True) -> float:
        try:
            value = float(item)
        except (TypeError, ValueError) as error:
            raise BundleError(f"{self._where}: metadata '{key}' holds '{str(item)[:40]}', numbers expected") from error
        if finite and not math.isfinite(value):
            raise BundleError(f"{self._where}: metadata '{key}' holds NaN or infinity")
        return value


def _parsed(text: str) -> Any:
    """JSON where it is a list, a quoted text or a number by itself; else the text."""
    if text[:1] not in '["' or not text:
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _yaml_entries(path: Path) -> dict[str, Any]:
    from bm_core.strict_yaml import read_yaml

    document = read_yaml(path, BundleError)
    if not isinstance(document, dict):
        raise BundleError(f"{path}: a mapping such as observation_names: [command, ...] expected")
    return {str(key): value for key, value in document.items()}


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
