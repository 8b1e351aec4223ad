"""Motion sets: defined in bm_core.motion_set, because `bm eval tracking --motion-set` runs without the training part."""

from bm_core.motion_set import (
    MOTION_ROOT_VARIABLE,
    MotionSet,
    MotionSetEntry,
    known_motion_sets,
    load_clips,
    load_motion_set,
    motion_set_sha256,
)

__all__ = [
    "MOTION_ROOT_VARIABLE",
    "MotionSet",
    "MotionSetEntry",
    "known_motion_sets",
    "load_clips",
    "load_motion_set",
    "motion_set_sha256",
]
