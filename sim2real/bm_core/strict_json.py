"""Frozen dataclasses to JSON and back, strictly: every key present, no key unknown, no type bent, no number rounded.

Only a field made by `younger` may be missing.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from bm_core.errors import BundleError

T = TypeVar("T")

_YOUNGER = "younger"


def younger(default: T) -> T:
    """A field that the first documents do not have: there it takes its default."""
    return dataclasses.field(default=default, metadata={_YOUNGER: True})


def dump(value: Any) -> str:
    """A dataclass as JSON text: floats at full precision, keys in field order, so equal values give equal bytes."""
    return json.dumps(dataclasses.asdict(value), indent=1, allow_nan=False) + "\n"


def parse_object(text: str, where: str) -> dict[str, Any]:
    """JSON text -> dict. BundleError for anything else: broken text, a list, NaN or Infinity, a key given twice."""

    def no_constant(name: str) -> float:
        raise BundleError(f"{where}: holds {name}, which is no JSON number; export the bundle again")

    def no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, value in pairs:
            if key in seen:
                raise BundleError(f"{where}: key '{key}' is given twice; export the bundle again")
            seen[key] = value
        return seen

    try:
        document = json.loads(text, parse_constant=no_constant, object_pairs_hook=no_twins)
    except json.JSONDecodeError as error:
        raise BundleError(f"{where}: not JSON (line {error.lineno}: {error.msg}); export the bundle again") from error
    if not isinstance(document, dict):
        raise BundleError(f"{where}: a JSON object expected, found a {type(document).__name__}")
    return document


def build(cls: type[T], data: Any, where: str) -> T:
    """Dict -> dataclass `cls`, recursively. BundleError names the first missing, unknown or mistyped key by path."""
    if not isinstance(data, Mapping):
        raise BundleError(f"{where}: an object expected, found {_shown(data)}")
    hints = get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    unknown = sorted(set(data) - set(names))
    if unknown:
        raise BundleError(f"{where}: unknown key '{unknown[0]}'; known are {', '.join(names)}")
    needed = [field.name for field in dataclasses.fields(cls) if _YOUNGER not in field.metadata]  # type: ignore[arg-type]
    missing = [name for name in needed if name not in data]
    if missing:
        raise BundleError(f"{where}: key '{missing[0]}' is missing; export the bundle again")
    return cls(**{name: _value(hints[name], data[name], f"{where}.{name}") for name in names if name in data})


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise BundleError(f"{where}: a list expected, found {_shown(value)}")
        item = get_args(hint)[0]
        return tuple(_value(item, entry, f"{where}[{index}]") for index, entry in enumerate(value))
    if hint is float:
        # bool is an int to Python, but `"scale": true` is a mistake.
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise BundleError(f"{where}: a finite number expected, found {_shown(value)}")
        return float(value)
    if hint not in (int, str):
        raise TypeError(f"{where}: fields of type {hint} are not supported")
    if isinstance(value, bool) or not isinstance(value, hint):
        raise BundleError(f"{where}: {'an integer' if hint is int else 'a text'} expected, found {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"a {type(value).__name__}"
