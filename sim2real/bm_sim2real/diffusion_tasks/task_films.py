"""Films of task runs: the robot, what is in its way, where it goes."""

from __future__ import annotations

import numpy as np

from bm_core.g1 import CONTROL_DT
from bm_sim2real.diffusion_tasks.recording import RunRecording
from bm_sim2real.rendering import Camera, iter_frames, picture_source
from bm_sim2real.video_clip import GIF, MP4, ClipVideo, encode_gif, encode_mp4, ffmpeg_path

CAMERA = Camera(distance=4.2, azimuth=125.0, elevation=-22.0, height=0.5)
SIZE = (480, 304)
STEP = 4
"""Control steps a picture: 12.5 pictures a second."""
LONGEST_S = 40.0


def film_run(recording: RunRecording) -> ClipVideo | None:
    """Draw and encode the beginning of a run, LONGEST_S at most; None if there is nothing to show."""
    rows = slice(None, round(LONGEST_S / CONTROL_DT), STEP)
    qpos = np.array(recording.qpos[rows])
    if len(qpos) < 2:
        return None
    markers = recording.markers[rows] or None
    frames = iter_frames(qpos, size=SIZE, camera=CAMERA, markers=markers)
    fps = 1.0 / (STEP * CONTROL_DT)
    has_ffmpeg = ffmpeg_path() is not None
    return ClipVideo(
        mime=MP4 if has_ffmpeg else GIF,
        data=encode_mp4(frames, SIZE, fps) if has_ffmpeg else encode_gif(frames, fps),
        start_s=0.0,
        seconds=len(qpos) * STEP * CONTROL_DT,
        source=picture_source(),
    )
