"""How alike motions are: for each frame of one clip the nearest frame of another, in features of pose and velocity.

Two frames are as far apart as the feature in which they differ most: who walks as upright as somebody stands does not
stand. A clip that lies inside another one is near to it but not the other way round; what two clips share may be
anywhere in them, in any order. Where and to which side a clip walks does not count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import ConfigError
from bm_core.g1 import G1, ROOT_BODY
from bm_core.motion import MotionClip
from bm_core.rotations import quat_rotate_inverse, yaw_quat

Array = NDArray[np.float64]

JOINT_POS, JOINT_VEL, HEIGHT, TILT, LIN_VEL, ANG_VEL = 0.3, 3.0, 0.1, 0.3, 0.5, 1.0
"""Units of the features, rad, rad/s, m, sine of the tilt, m/s, rad/s: one unit is a clearly other pose or speed.

Joints: root mean square over all 29. Pelvis: length of the difference.
"""
SAMPLE_S = 0.1
"""Ten frames a second of a clip are looked for, among all frames of the other: so a part is found in the whole."""
THRESHOLD = 0.5
"""units; frames nearer than this count as the same.

Medians over the development clips: retargets of one capture 0.3 to 0.5, walks of one person 0.6, of two people 0.7, the
shipped walk from standing 2.3. The slowest of the shipped command streams lies to 73 % in standing.
"""
_CHUNK = 512


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """M motions against each other."""

    names: tuple[str, ...]
    seconds: tuple[float, ...]
    distance: Array
    """(M, M): row i, column j: median over the frames of i of the distance to the nearest frame of j, units."""
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


def similarity(clips: Sequence[MotionClip], threshold: float = THRESHOLD) -> Similarity:
    """Compare every clip with every other. ConfigError for fewer than two, or a threshold that is not above 0."""
    if len(clips) < 2:
        raise ConfigError(f"similarity: {len(clips)} clip(s); at least two to compare")
    if not 0.0 < threshold < math.inf:
        raise ConfigError(f"similarity: threshold {threshold:g}; a number of units above 0 expected")
    every = [features(clip) for clip in clips]
    steps = [max(1, round(SAMPLE_S * clip.fps)) for clip in clips]
    distance, covered = np.zeros((2, len(clips), len(clips)))
    for i, step in enumerate(steps):
        sampled = [block[::step] for block in every[i]]
        for j, others in enumerate(every):
            nearest = np.zeros(len(sampled[0])) if i == j else _nearest(sampled, others)
            distance[i, j], covered[i, j] = np.median(nearest), np.mean(nearest <= threshold)
    return Similarity(
        names=tuple(clip.name for clip in clips),
        seconds=tuple(clip.duration for clip in clips),
        distance=distance,
        covered=covered,
        threshold=threshold,
    )


def features(clip: MotionClip) -> list[Array]:
    """Blocks (T, D) in units: joints, their speeds, then height, tilt and speeds of the pelvis in its own yaw frame.

    The distance of two rows of a block is how far two frames are apart in it.
    """
    root = G1.body_index[ROOT_BODY]
    quat = clip.body_quat_w[:, root].astype(np.float64)
    yaw = yaw_quat(quat)
    up = quat_rotate_inverse(quat, np.tile([0.0, 0.0, 1.0], (len(quat), 1)))
    # By their number: 1 unit is 0.3 rad in all joints, or 1.6 rad in one.
    per_joint = math.sqrt(clip.joint_pos.shape[1])
    blocks = [
        clip.joint_pos / (JOINT_POS * per_joint),
        clip.joint_vel / (JOINT_VEL * per_joint),
        clip.body_pos_w[:, root, 2:] / HEIGHT,
        up / TILT,
        quat_rotate_inverse(yaw, clip.body_lin_vel_w[:, root]) / LIN_VEL,
        quat_rotate_inverse(yaw, clip.body_ang_vel_w[:, root]) / ANG_VEL,
    ]
    return [np.asarray(block, dtype=np.float64) for block in blocks]


def _nearest(first: Sequence[Array], second: Sequence[Array]) -> Array:
    """(N,) units: each frame of `first` from its nearest of `second`; the block in which two differ most counts."""
    # |a - b|^2 = (a^2, 1, -2a) . (1, b^2, b): one matrix product a block.
    left = [np.column_stack([(a**2).sum(1), np.ones(len(a)), -2.0 * a]) for a in first]
    right = [np.column_stack([np.ones(len(b)), (b**2).sum(1), b]).T for b in second]
    nearest = np.empty(len(first[0]))
    for start in range(0, len(nearest), _CHUNK):
        part = slice(start, start + _CHUNK)
        apart = left[0][part] @ right[0]
        for a, b in zip(left[1:], right[1:], strict=True):
            np.maximum(apart, a[part] @ b, out=apart)
        nearest[part] = np.sqrt(np.maximum(apart.min(1), 0.0))
    return nearest
