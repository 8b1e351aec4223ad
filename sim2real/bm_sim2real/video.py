"""Pictures into files: .mp4 and .gif one frame after the other, .png as a contact sheet. Whole files or none."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bm_core.atomic_file import replacing
from bm_core.errors import ConfigError

Image = NDArray[np.uint8]

MOVIES = (".mp4", ".gif")
SHEET = ".png"


def write_movie(path: str | Path, frames: Iterable[Image], fps: float) -> int:
    """Write frames (height, width, 3) as they come; returns how many. ConfigError for another suffix or no frames."""
    path = Path(path)
    if path.suffix not in MOVIES:
        raise ConfigError(f"{path}: movies end in {' or '.join(MOVIES)}")
    import imageio.v2 as imageio

    if path.suffix == ".mp4":
        import imageio_ffmpeg  # noqa: F401  its absence must name the module, imageio's own message does not

        # macro_block_size 2 is what yuv420p needs; imageio's default of 16 would resize the picture.
        options = {"codec": "libx264", "quality": 7, "macro_block_size": 2, "ffmpeg_log_level": "error"}
        options |= {"fps": fps}
    else:
        options = {"duration": 1000.0 / fps, "loop": 0}
    count = 0
    with replacing(path) as partial:
        writer = imageio.get_writer(partial, **options)
        try:
            for frame in frames:
                writer.append_data(frame)
                count += 1
        finally:
            writer.close()  # its own `with` leaves ffmpeg running after an exception, and the file comes back
        if not count:
            raise ConfigError(f"{path}: no frames to write")
    return count


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
