"""The motions that an operator can choose from, read once, before the robot moves."""

from __future__ import annotations

from pathlib import Path

from bm_core.data import shipped_folder
from bm_core.errors import ConfigError
from bm_core.motion import MotionClip
from bm_sim2real.clip_files import ClipFile, chosen_clips


class Playlist:
    """Motions by name, one of them selected."""

    def __init__(self, clips: list[MotionClip], first: str = "") -> None:
        """`first` is selected, by default the first clip. ConfigError for no clips, or a name that none has."""
        self._clips = {clip.name: clip for clip in clips}
        if not self._clips:
            raise ConfigError("no motion to play; give a motion or a motion set")
        self._names = tuple(self._clips)
        self._index = 0
        if first:
            self.select(first)

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of `next`."""
        return self._names

    @property
    def selected(self) -> MotionClip:
        """What is played next."""
        return self._clips[self._names[self._index]]

    def select(self, wanted: str) -> MotionClip:
        """By name, or +1 and -1 for the next and the one before, round the end. ConfigError lists close names."""
        if wanted in ("+1", "-1"):
            self._index = (self._index + int(wanted)) % len(self._names)
        elif wanted in self._clips:
            self._index = self._names.index(wanted)
        else:
            raise ConfigError(f"no motion '{wanted}'; known: {', '.join(self._names)}")
        return self.selected


def load_playlist(motion: str, motion_set: str, motion_root: str) -> Playlist:
    """`motion`: a file, or the name of a motion of the set; `motion_set`: a name or YAML, empty for the shipped clips.

    The motion is selected; a file is put in front of the others. ConfigError or ClipError name what is missing.
    """
    files = chosen_clips(None, motion_set or None, Path(motion_root) if motion_root else None)
    if Path(motion).suffix:
        files.insert(0, ClipFile(path=_existing(motion)))
        return Playlist([file.load() for file in files])
    return Playlist([file.load() for file in files], first=motion)


def _existing(motion: str) -> Path:
    """As given, or among the shipped motions."""
    path = Path(motion).expanduser()
    for candidate in (path, shipped_folder("motions") / path):
        if candidate.is_file():
            return candidate
    raise ConfigError(f"{motion}: no such motion file, here or in {shipped_folder('motions')}")
