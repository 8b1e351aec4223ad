"""How alike motions are: for each frame of one clip the nearest frame of another, in features of pose and velocity.

A clip that lies inside another one is near to it but not the other way round; what two clips share may be anywhere in
them, in any order. Where and to which side a clip walks does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import ConfigError
from bm_core.g1 import G1, ROOT_BODY
from bm_core.motion import MotionClip
from bm_core.rotations import quat_rotate_inverse, yaw_quat

Array = NDArray[np.float64]

JOINT_POS, JOINT_VEL, HEIGHT, TILT, LIN_VEL, ANG_VEL = 0.3, 3.0, 0.1, 0.3, 0.5, 1.5
"""Units of the features, rad, rad/s, m, sine of the tilt, m/s, rad/s: one unit is a clearly other pose or speed."""
SAMPLE_S = 0.1
"""Frames are compared ten times a second."""
_CHUNK = 512


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """M motions against each other."""

    names: tuple[str, ...]
    seconds: tuple[float, ...]
    distance: Array
    """(M, M): row i, column j: median over the frames of i of the distance to the nearest frame of j, in units."""
    covered: Array
    """(M, M): share of the frames of i that have a frame of j within `threshold`."""
    threshold: float
    """units"""

    def nearest(self, i: int) -> int:
        """The other motion that covers most of motion i, and among equals the nearest."""
        others = [j for j in range(len(self.names)) if j != i]
        return min(others, key=lambda j: (-self.covered[i, j], self.distance[i, j]))

    def redundant(self, share: float) -> list[tuple[int, int]]:
        """(i, j): at least `share` of i lies in j. Shorter ones first; none that stands in for another."""
        stands_in: dict[int, int] = {}
        for i in sorted(range(len(self.names)), key=lambda i: self.seconds[i]):
            kept = [j for j in range(len(self.names)) if j != i and j not in stands_in]
            best = max(kept, key=lambda j: self.covered[i, j], default=i)
            if best != i and self.covered[i, best] >= share and i not in stands_in.values():
                stands_in[i] = best
        return sorted(stands_in.items())


def similarity(clips: Sequence[MotionClip], threshold: float = 0.35) -> Similarity:
    """Compare every clip with every other. ConfigError for fewer than two."""
    if len(clips) < 2:
        raise ConfigError(f"similarity: {len(clips)} clip(s); at least two to compare")
    rows = [features(clip) for clip in clips]
    distance, covered = np.zeros((2, len(clips), len(clips)))
    for i, first in enumerate(rows):
        for j, second in enumerate(rows):
            nearest = np.zeros(len(first)) if i == j else _nearest(first, second)
            distance[i, j], covered[i, j] = np.median(nearest), np.mean(nearest <= threshold)
    return Similarity(
        names=tuple(clip.name for clip in clips),
        seconds=tuple(clip.duration for clip in clips),
        distance=distance,
        covered=covered,
        threshold=threshold,
    )


def features(clip: MotionClip) -> Array:
    """(N, D), root mean square over the features of a frame; those of the pelvis in its own yaw frame."""
    step = max(1, round(SAMPLE_S * clip.fps))
    root = G1.body_index[ROOT_BODY]
    quat = clip.body_quat_w[::step, root].astype(np.float64)
    yaw = yaw_quat(quat)
    up = quat_rotate_inverse(quat, np.tile([0.0, 0.0, 1.0], (len(quat), 1)))
    blocks = [
        (clip.joint_pos[::step], JOINT_POS),
        (clip.joint_vel[::step], JOINT_VEL),
        (clip.body_pos_w[::step, root, 2:], HEIGHT),
        (up, TILT),
        (quat_rotate_inverse(yaw, clip.body_lin_vel_w[::step, root]), LIN_VEL),
        (quat_rotate_inverse(yaw, clip.body_ang_vel_w[::step, root]), ANG_VEL),
    ]
    # Each block counts alike, whatever its number of columns: 29 joints must not drown the pelvis.
    scaled = [np.asarray(values) / (unit * np.sqrt(values.shape[1] * len(blocks))) for values, unit in blocks]
    return np.concatenate(scaled, axis=1)


def _nearest(first: Array, second: Array) -> Array:
    """(N,) distance of each row of `first` to its nearest row of `second`."""
    squares = (second**2).sum(1)
    nearest = np.empty(len(first))
    for start in range(0, len(first), _CHUNK):
        part = first[start : start + _CHUNK]
        apart = (part**2).sum(1)[:, None] + squares - 2.0 * part @ second.T
        nearest[start : start + _CHUNK] = np.sqrt(np.maximum(apart.min(1), 0.0))
    return nearest
