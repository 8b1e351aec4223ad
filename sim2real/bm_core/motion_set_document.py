"""The text of a motion set, checked: known keys, right types, no key twice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bm_core.errors import ConfigError
from bm_core.strict_yaml import number, read_yaml, refuse_unknown

ROLES = ("stand", "locomotion", "other")
_SET_KEYS = ("name", "description", "include", "motions")
_ENTRY_KEYS = ("path", "glob", "weight", "start", "end", "role", "policy")
_SUFFIX = ".onnx"


@dataclass(frozen=True, kw_only=True)
class EntryText:
    """One line of a motion set as written."""

    where: str
    """For messages: set and number of the entry."""
    pattern: str
    is_glob: bool
    weight: float
    start: float
    """s"""
    end: float | None
    """s"""
    role: str | None
    policy: str | None
    """Bundle of the expert for this motion."""


@dataclass(frozen=True, kw_only=True)
class SetDocument:
    """A motion set as written."""

    name: str
    description: str
    include: tuple[str, ...]
    """Names or files of other sets."""
    entries: tuple[EntryText, ...]


def read_set_document(file: Path) -> SetDocument:
    """Parses and checks a motion set. ConfigError names file, entry, key and what is allowed."""
    document = read_yaml(file)
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: must be a mapping with the keys {', '.join(_SET_KEYS)}")
    refuse_unknown(str(file), document, _SET_KEYS)
    for key in ("name", "description"):
        if not isinstance(document.get(key), str) or not document[key].strip():
            raise ConfigError(f"{file}: {key} = {document.get(key)!r}, a text expected")
    include = _included(file, document.get("include", []))
    motions = document.get("motions", [] if include else None)
    if not isinstance(motions, list) or not (motions or include):
        raise ConfigError(f"{file}: motions must be a list of entries such as {{path: walk.npz, weight: 1.0}}")
    entries = tuple(_entry(f"{file.stem}: motions[{index}]", item) for index, item in enumerate(motions))
    description = " ".join(document["description"].split())
    return SetDocument(name=document["name"], description=description, include=include, entries=entries)


def _included(file: Path, value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        raise ConfigError(f"{file}: include = {value!r}: the name or file of a motion set expected, or a list of them")
    return tuple(names)


def _entry(where: str, item: Any) -> EntryText:
    if not isinstance(item, dict):
        raise ConfigError(f"{where}: {item!r}: write it as {{path: FILE}} or {{glob: PATTERN}}")
    refuse_unknown(where, item, _ENTRY_KEYS)
    if ("path" in item) == ("glob" in item):
        raise ConfigError(f"{where}: needs either path or glob")
    pattern = item.get("path", item.get("glob"))
    if not isinstance(pattern, str) or not pattern:
        raise ConfigError(f"{where}: {pattern!r}: a file name or a pattern expected")
    weight = number(where, "weight", item.get("weight", 1.0))
    start = number(where, "start", item.get("start", 0.0))
    end = None if item.get("end") is None else number(where, "end", item["end"])
    if weight <= 0.0:
        raise ConfigError(f"{where}: weight = {weight:g}: must be > 0; drop the entry to leave the clip out")
    if start < 0.0 or (end is not None and end <= start):
        raise ConfigError(f"{where}: start = {start:g}, end = {item.get('end')}: 0 <= start < end needed, in s")
    role = item.get("role")
    if role is not None and role not in ROLES:
        raise ConfigError(f"{where}: role = {role!r}: must be {', '.join(ROLES)}")
    policy = item.get("policy")
    if policy is not None and (not isinstance(policy, str) or not policy.endswith(_SUFFIX)):
        raise ConfigError(f"{where}: policy = {policy!r}: the name of a policy bundle ({_SUFFIX}) expected")
    return EntryText(
        where=where,
        pattern=pattern,
        is_glob="glob" in item,
        weight=weight,
        start=start,
        end=end,
        role=role,
        policy=policy,
    )
