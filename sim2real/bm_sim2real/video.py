"""Pictures into files: .mp4 and .gif one frame after the other, .png as a contact sheet. Whole files or none."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bm_core.atomic_file import CANNOT_WRITE, replacing
from bm_core.errors import ConfigError
from bm_sim2real.process_signals import children_ignore_sigint

Image = NDArray[np.uint8]

MOVIES = (".mp4", ".gif")
SHEET = ".png"


def write_movie(path: str | Path, frames: Iterable[Image], fps: float) -> int:
    """Write frames (height, width, 3) as they come; returns how many. ConfigError for another suffix or no frames."""
    path = Path(path)
    if path.suffix not in MOVIES:
        raise ConfigError(f"{path}: movies end in {' or '.join(MOVIES)}")
    if path.suffix == ".mp4":
        import imageio_ffmpeg  # noqa: F401  its absence must name the module before anything is drawn
    images = iter(frames)
    with replacing(path) as partial:
        first = next(images, None)
        if first is None:
            raise ConfigError(f"{path}: no frames to write")
        images = itertools.chain([first], images)
        if path.suffix == ".mp4":
            return encode_h264(partial, images, (first.shape[1], first.shape[0]), fps, ["-crf", "15"])
        return _write_gif(partial, images, fps)


def encode_h264(
    path: Path, frames: Iterable[Image], size: tuple[int, int], fps: float, options: Sequence[str] = ()
) -> int:
    """Write a film of even `size` (width, height) that every player plays; returns how many frames.

    OSError with ffmpeg's words if it failed. Not imageio's writer, which does not look at how ffmpeg ended: on a full
    disk half a film would pass for a whole one.
    """
    import imageio_ffmpeg

    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", f"{fps:.9g}", "-i", "-"]
    target = ["-an", "-vcodec", "libx264", "-pix_fmt", "yuv420p", *options, "-v", "error", str(path)]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", *source, *target]
    count = 0
    with tempfile.TemporaryFile() as words:
        with children_ignore_sigint():
            ffmpeg = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=words)
        try:
            assert ffmpeg.stdin is not None
            # A pipe that breaks is ffmpeg giving up; why stands in its words.
            with contextlib.suppress(BrokenPipeError), ffmpeg.stdin as pipe:
                for frame in frames:
                    pipe.write(np.ascontiguousarray(frame).data)
                    count += 1
            if ffmpeg.wait() == 0:
                return count
            if ffmpeg.returncode == -signal.SIGXFSZ:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        finally:
            ffmpeg.kill()  # it has ended, or nobody wants its film any more
            ffmpeg.wait()
        words.seek(0)
        raise _ffmpeg_error(words.read().decode(errors="replace").strip())


def _ffmpeg_error(words: str) -> OSError:
    """The system's own error where ffmpeg names one: a full disk is to be told like any other full disk."""
    number = next((number for number in sorted(CANNOT_WRITE) if os.strerror(number) in words), errno.EIO)
    known = os.strerror(number)
    last = words.splitlines()[-1] if words else "it said nothing"
    return OSError(number, known if known in words else f"ffmpeg failed: {last}")


def _write_gif(path: Path, frames: Iterable[Image], fps: float) -> int:
    """With Pillow, which makes a palette for each picture; returns how many frames."""
    from PIL import Image as Pillow

    pictures = [Pillow.fromarray(frame) for frame in frames]
    pictures[0].save(path, "GIF", save_all=True, append_images=pictures[1:], duration=1000.0 / fps, loop=0)
    return len(pictures)


def write_contact_sheet(path: str | Path, frames: Iterable[Image], columns: int = 4) -> None:
    """Write the frames (height, width, 3) as one .png, row by row. ConfigError for another suffix or no frames."""
    path = Path(path)
    if path.suffix != SHEET:
        raise ConfigError(f"{path}: a contact sheet ends in {SHEET}")
    from PIL import Image as Pillow

    sheet = contact_sheet(list(frames), columns)
    with replacing(path) as partial:
        Pillow.fromarray(sheet).save(partial)


def contact_sheet(frames: list[Image], columns: int = 4) -> Image:
    """All frames in one picture, row by row, the last row filled up with white."""
    if not frames:
        raise ConfigError("contact sheet: no frames")
    columns = min(columns, len(frames))
    missing = -len(frames) % columns
    tiles = np.stack([*frames, *[np.full_like(frames[0], 255)] * missing])
    rows, (height, width) = len(tiles) // columns, frames[0].shape[:2]
    return tiles.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)
