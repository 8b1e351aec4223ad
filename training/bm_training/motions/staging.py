"""Several clips that appear together: first in a hidden folder beside their place, then moved."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bm_core.atomic_file import atomic_write_bytes, cannot_be_written
from bm_core.errors import ClipError, ConfigError
from bm_core.motion import MotionClip, save_clip
from bm_sim2real.process_signals import temporary_folder


@contextmanager
def staging_folder(out: Path) -> Iterator[Path]:
    """A hidden folder in `out`, or in the nearest folder above that exists: on the same disk, so moves are atomic."""
    existing = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise ClipError(f"{out}: {existing} is a file, not a folder; choose another --out")
    with ExitStack() as ends:
        try:
            folder = ends.enter_context(temporary_folder(prefix=".unfinished-", beside=existing))
        except OSError as error:
            raise ClipError(f"{out}: cannot be written: {error.strerror or error}; choose another --out") from error
        yield folder


def save_staged(clip: MotionClip, place: Path, target: Path) -> None:
    """Saves to `place`; an error names `target`, because nobody has heard of the hidden folder."""
    try:
        save_clip(clip, place)
    except ConfigError as error:
        raise ConfigError(str(error).replace(str(place), str(target))) from error


def move_into_place(place: Path, target: Path) -> None:
    """Out of the staging folder; missing folders are made. ConfigError if that fails."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(place, target)
    except OSError as error:
        if error.errno != errno.EXDEV:  # another disk is mounted below --out
            raise cannot_be_written(target, error) from error
        atomic_write_bytes(target, place.read_bytes())
