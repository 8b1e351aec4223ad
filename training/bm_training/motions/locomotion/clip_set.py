"""A folder of clips with a manifest that says how to make it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bm_core.atomic_file import atomic_write_text
from bm_core.motion import MotionClip
from bm_training.motions.staging import move_into_place, save_staged, staging_folder

MANIFEST = "generated.json"


@dataclass(frozen=True)
class WrittenClip:
    """One line of the manifest."""

    file: str
    seconds: float


def write_set(
    folder: Path, clips: Iterable[MotionClip], recipe: dict[str, Any], on_clip: Callable[[int], None]
) -> list[WrittenClip]:
    """Saves the clips, then the manifest; calls `on_clip` with the number done. ConfigError if it cannot.

    All of them or none: clips lie in a hidden folder until the last one is done, for an interruption would otherwise
    leave a mixture of two sets, and no word of it in the manifest.
    """
    written: list[WrittenClip] = []
    with staging_folder(folder) as staging:
        for clip in clips:
            file = f"{clip.name}.npz"
            save_staged(clip, staging / file, folder / file)
            written.append(WrittenClip(file, round(clip.duration, 2)))
            on_clip(len(written))
        for entry in written:
            move_into_place(staging / entry.file, folder / entry.file)
    manifest = {"made_by": "bm motion generate", "licence": "Apache-2.0", **recipe, "clips": [vars(w) for w in written]}
    atomic_write_text(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    return written
