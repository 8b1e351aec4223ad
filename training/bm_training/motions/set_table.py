"""`bm motion list --set`: what a motion set holds, and how often each entry would be practised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bm_core.motion_set import known_motion_sets, load_clips, load_motion_set, shipped_set_file
from bm_core.motion_set_document import read_set_document

if TYPE_CHECKING:
    from rich.table import Table


def list_set(name_or_file: str, motion_root: Path | None) -> tuple[Table, str]:
    """An entry a line with the share of starts that weight x duration gives it. Raises ConfigError or ClipError."""
    from rich.table import Table

    motions = load_motion_set(name_or_file, motion_root=motion_root)
    clips = load_clips(motions)
    mass = [weight * clip.duration for clip, weight in clips]
    table = Table("clip", "role", title=f"{motions.name}: {motions.description}", title_justify="left")
    for heading in ("seconds", "weight", "share of starts"):
        table.add_column(heading, justify="right")
    for entry, (clip, weight), part in zip(motions.entries, clips, mass, strict=True):
        table.add_row(clip.name, entry.role, f"{clip.duration:.2f}", f"{weight:g}", f"{part / sum(mass):.1%}")
    minutes = sum(clip.duration for clip, _ in clips) / 60.0
    return table, f"{len(clips)} clips, {minutes:.1f} min"


def list_sets() -> tuple[Table, str]:
    """The shipped sets; their clips need not be there."""
    from rich.table import Table

    table = Table("set", "entries", "description")
    names = known_motion_sets()
    for name in names:
        document = read_set_document(shipped_set_file(name))
        table.add_row(name, " + ".join([*document.include, str(len(document.entries))]), document.description)
    return table, f"{len(names)} sets"
