"""A folder of clips with a manifest that says how to make it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bm_core.atomic_file import atomic_write_text
from bm_core.motion import MotionClip, save_clip

MANIFEST = "generated.json"


@dataclass(frozen=True)
class WrittenClip:
    """One line of the manifest."""

    file: str
    seconds: float


def write_set(
    folder: Path, clips: Iterable[MotionClip], recipe: dict[str, Any], on_clip: Callable[[int], None]
) -> list[WrittenClip]:
    """Saves the clips one by one, then the manifest; calls `on_clip` with the number done. ConfigError if it cannot."""
    written: list[WrittenClip] = []
    for clip in clips:
        file = f"{clip.name}.npz"
        save_clip(clip, folder / file)
        written.append(WrittenClip(file, round(clip.duration, 2)))
        on_clip(len(written))
    manifest = {"made_by": "bm motion generate", "licence": "Apache-2.0", **recipe, "clips": [vars(w) for w in written]}
    atomic_write_text(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    return written
