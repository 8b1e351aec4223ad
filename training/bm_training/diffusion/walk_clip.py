"""A steady walk as the reference that trials start from."""

from __future__ import annotations

import numpy as np

from bm_core.g1 import CONTROL_DT
from bm_core.locomotion.config import GaitConfig
from bm_core.locomotion.generator import generate
from bm_core.motion import MotionClip
from bm_training.motions.locomotion.clips import to_clip
from bm_training.tracking.motion_set import LoadedMotionSet, Role

SPEED = 0.6
"""m/s, of Walk + Perturb's start."""
_WALK_IN_S = 3.0
_RUN_OUT_S = 40.0
"""For which a tracker can follow it from the last start on."""
STARTS = 100
"""Frames to start from: two strides."""


def steady_walk(speed: float = SPEED) -> MotionClip:
    """Straight ahead at `speed` m/s, from when it is steady; the first STARTS frames are starts."""
    frames = round((_WALK_IN_S + _RUN_OUT_S) / CONTROL_DT) + STARTS
    motion = generate(np.tile([speed, 0.0, 0.0], (frames, 1)), GaitConfig())
    return to_clip(f"walk_{speed:.1f}", motion, round(_WALK_IN_S / CONTROL_DT))


def walk_motions() -> LoadedMotionSet:
    """The walk alone, as the motions of a task."""
    return LoadedMotionSet(name="walk", clips=(steady_walk(),), weights=(1.0,), roles=(Role.OTHER,))
