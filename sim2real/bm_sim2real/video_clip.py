"""The short film of a clip in a report: the robot beside its reference, small enough to stand inside a web page."""

from __future__ import annotations

import io
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import CONTROL_DT
from bm_sim2real.process_signals import temporary_folder
from bm_sim2real.rendering import Camera, iter_frames, picture_source
from bm_sim2real.video import encode_h264

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

CAMERA = Camera(distance=2.5, azimuth=115.0, elevation=-10.0, height=0.7)
BESIDE = 0.9
"""m between robot and reference, across the line of sight."""
FRAME_STEPS = (4, 5, 8, 10, 20)
"""Control steps a picture: 12.5 pictures a second down to 2.5."""
MP4, GIF = "video/mp4", "image/gif"


@dataclass(frozen=True, kw_only=True)
class VideoJob:
    """What to film, at the control rate."""

    name: str
    """Of the clip."""
    start_s: float
    """Of the first row in the clip's time, s."""
    robot_qpos: Array
    """(T, 36): root position m, quaternion wxyz, joints rad"""
    reference_qpos: Array
    """(T, 36)"""
    draw_s: float = 10.0
    """What it may take, s; a slow machine draws fewer pictures."""
    size: tuple[int, int] = (400, 252)
    """Width, height; even. As wide as the page shows it."""


@dataclass(frozen=True, kw_only=True)
class ClipVideo:
    """A finished film."""

    mime: str
    """video/mp4, or image/gif where there is no ffmpeg."""
    data: bytes
    start_s: float
    """Where in the clip it begins, s."""
    seconds: float
    source: str
    """What drew it, in words."""


def film(job: VideoJob) -> ClipVideo:
    """Draw and encode one film; runs in any process."""
    cost = drawing_s(job)
    step = next((step for step in FRAME_STEPS if cost / step <= job.draw_s), FRAME_STEPS[-1])
    fps = 1.0 / (step * CONTROL_DT)
    frames = _frames(job, slice(None, None, step))
    has_ffmpeg = ffmpeg_path() is not None
    data = encode_mp4(frames, job.size, fps) if has_ffmpeg else encode_gif(frames, fps)
    return ClipVideo(
        mime=MP4 if has_ffmpeg else GIF,
        data=data,
        start_s=job.start_s,
        seconds=len(job.robot_qpos) * CONTROL_DT,
        source=picture_source(),
    )


def drawing_s(job: VideoJob) -> float:
    """What drawing every control step would take on this machine, s; measured on one picture."""
    trial = _frames(job, slice(0, 2))
    next(trial)  # also opens OpenGL
    begun = time.perf_counter()
    next(trial)
    cost = (time.perf_counter() - begun) * len(job.robot_qpos)
    next(trial, None)  # two rows were asked for: running off the end closes OpenGL
    return cost


def _frames(job: VideoJob, rows: slice) -> Iterator[Image]:
    azimuth = np.radians(CAMERA.azimuth)
    right = BESIDE * np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
    return iter_frames(
        job.robot_qpos[rows], job.reference_qpos[rows], size=job.size, camera=CAMERA, reference_offset=right.tolist()
    )


def ffmpeg_path() -> str | None:
    """The ffmpeg that imageio-ffmpeg brings or finds; None without one."""
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):  # RuntimeError: the package is there, a binary for this platform is not
        return None


def encode_mp4(frames: Iterator[Image], size: tuple[int, int], fps: float) -> bytes:
    """H.264 that every browser plays, with its index in front so that it starts at once."""
    # One thread: the other core is measuring the tick of the policy.
    first = next(frames)  # before ffmpeg is started: what is wrong with the job shows here
    options = ["-crf", "29", "-preset", "veryfast", "-movflags", "+faststart", "-threads", "1"]
    with temporary_folder() as folder:
        path = folder / "film.mp4"
        encode_h264(path, itertools.chain([first], frames), size, fps, options)
        return path.read_bytes()


def encode_gif(frames: Iterator[Image], fps: float) -> bytes:
    """An animated GIF at half size: what is left where there is no ffmpeg."""
    from PIL import Image as Pillow

    pictures = [Pillow.fromarray(frame).reduce(2) for frame in frames]
    # One palette for all: palettes of their own would make the floor flicker.
    samples = [np.asarray(picture) for picture in pictures[:: max(1, len(pictures) // 4)]]
    palette = Pillow.fromarray(np.concatenate(samples)).quantize(64)
    indexed = [picture.quantize(palette=palette, dither=Pillow.Dither.NONE) for picture in pictures]
    out = io.BytesIO()
    indexed[0].save(out, "GIF", save_all=True, append_images=indexed[1:], duration=round(1000 / fps), loop=0)
    return out.getvalue()
