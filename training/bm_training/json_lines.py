"""Logs of one JSON document a line, read while they are written."""

from __future__ import annotations

import json
from typing import Any


def whole_lines(text: str) -> list[Any]:
    """The documents; half a line, as a full disk or a line just being written leaves it, is left out."""
    documents = []
    for line in text.splitlines():
        try:
            documents.append(json.loads(line))
        except ValueError:
            continue
    return documents
