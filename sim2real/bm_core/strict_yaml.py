"""YAML that is read strictly: no key twice, no unknown key, the right types, and a message that says where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bm_core.errors import BmError, ConfigError


def read_yaml(file: Path, refusal: type[BmError] = ConfigError) -> Any:
    """The document of a YAML file. `refusal` with one line if it cannot be read or holds a key twice."""
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except OSError as error:
        raise refusal(f"{file}: cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise refusal(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error


def refuse_unknown(where: str, mapping: dict[Any, Any], known: tuple[str, ...]) -> None:
    """ConfigError if a key is none of `known`."""
    unknown = [key for key in mapping if key not in known]
    if unknown:
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(known)}")


def number(where: str, key: str, value: Any) -> float:
    """A finite number. ConfigError for anything else, truth values included."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < float("inf"):
        raise ConfigError(f"{where}: {key} = {value!r}: a number expected")
    return float(value)


class _UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys without a word; this one refuses them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        # `<<` is no key of the mapping, and what it brings in may be overridden: that is its purpose.
        own = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        keys = [self.construct_object(key, deep=True) for key in own]
        doubled = [key for key in keys if keys.count(key) > 1]
        if doubled:
            raise yaml.YAMLError(f"key {doubled[0]!r} twice in one mapping (line {node.start_mark.line + 1})")
        return super().construct_mapping(node, deep)
