"""Which clips a command plays: files, folders, a motion set, or the shipped ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bm_core.data import shipped_folder
from bm_core.errors import ConfigError
from bm_core.motion import MotionClip, find_clips, load_clip


@dataclass(frozen=True, kw_only=True)
class ClipFile:
    """A motion file, or a cut of it."""

    path: Path
    start_s: float = 0.0
    end_s: float | None = None
    """None: to the clip's end."""
    name: str | None = None
    """None: the clip's own."""

    def load(self) -> MotionClip:
        """The clip. Raises ClipError as load_clip does."""
        clip = load_clip(self.path, start_s=self.start_s, end_s=self.end_s)
        return clip if self.name is None else replace(clip, name=self.name)


def chosen_clips(motions: str | None, motion_set: str | None, motion_root: Path | None) -> list[ClipFile]:
    """`motions`: files and folders between commas; `motion_set`: a name or a YAML file; neither: the shipped clips.

    ConfigError if both are given, or as the motion set's loader raises; ClipError for a file that is not there.
    """
    if motions is not None and motion_set is not None:
        raise ConfigError("give --motions or --motion-set, not both")
    if motion_set is not None:
        from bm_core.motion_set import load_motion_set

        entries = load_motion_set(motion_set, motion_root=motion_root).entries
        return [ClipFile(path=e.path, start_s=e.start, end_s=e.end, name=e.clip_name) for e in entries]
    places = [shipped_folder("motions")] if motions is None else [Path(part.strip()) for part in motions.split(",")]
    paths = [path for place in places for path in find_clips(place)]
    stems = [path.stem for path in paths]
    # Results are counted by name: two files of one name must not look like one clip.
    return [ClipFile(path=p, name=None if stems.count(p.stem) == 1 else str(p.with_suffix(""))) for p in paths]
