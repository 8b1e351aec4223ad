"""The machine-readable half of a model card: which clips a policy promises to complete.

`g1_tracker.json` lies beside `g1_tracker.onnx` (and `g1_tracker.md`, for readers):

    {"schema": 1, "graph_sha256": "9f0c...", "promised_clips": ["stand", "walk"]}

`graph_sha256` ties it to one network (`bm check --json` tells it): a card cannot outlive its policy unnoticed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bm_core.errors import ConfigError

SCHEMA = 1
_KEYS = {"schema", "graph_sha256", "promised_clips"}


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What the makers of a policy stand for."""

    graph_sha256: str
    """Of the network that the card is about, as in the bundle's contract."""
    promised_clips: tuple[str, ...]
    """Names of clips that it completes in nominal simulation, without pushes."""


def card_path(policy: str | Path) -> Path:
    """Where the card of a policy lies: the same name, ending in .json."""
    return Path(policy).with_suffix(".json")


def read_card(policy: str | Path, graph_sha256: str) -> ModelCard | None:
    """The card beside a policy file; None if there is none. ConfigError if it is broken or about another network."""
    path = card_path(policy)
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as JSON: {error}; correct it or remove it") from error
    card = _checked(path, document)
    if card.graph_sha256 != graph_sha256:
        raise ConfigError(
            f"{path}: is about the network {card.graph_sha256[:12]}, but {Path(policy).name} holds "
            f"{graph_sha256[:12]}; evaluate the policy and write its card anew, or remove the card"
        )
    return card


def _checked(path: Path, document: Any) -> ModelCard:
    if not isinstance(document, dict) or set(document) != _KEYS:
        found = ", ".join(sorted(document)) if isinstance(document, dict) else type(document).__name__
        raise ConfigError(f"{path}: the keys must be {', '.join(sorted(_KEYS))}; found {found or 'none'}")
    if document["schema"] != SCHEMA:
        raise ConfigError(f"{path}: schema {document['schema']!r}, this version reads {SCHEMA}; write the card anew")
    clips = document["promised_clips"]
    if not isinstance(clips, list) or not all(isinstance(name, str) and name for name in clips):
        raise ConfigError(f"{path}: promised_clips must be a list of clip names")
    if len(set(clips)) != len(clips):
        raise ConfigError(f"{path}: promised_clips names a clip twice")
    if not isinstance(document["graph_sha256"], str):
        raise ConfigError(f"{path}: graph_sha256 must be a text; `bm check --json FILE` tells it")
    return ModelCard(graph_sha256=document["graph_sha256"], promised_clips=tuple(clips))
