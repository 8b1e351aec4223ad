"""The other joint order in use: breadth-first, that of Isaac's articulations and of whole_body_tracking's files."""

from __future__ import annotations

from bm_core.g1 import ROOT_BODY

_LEVELS = (
    ("left_hip_pitch", "right_hip_pitch", "waist_yaw"),
    ("left_hip_roll", "right_hip_roll", "waist_roll"),
    ("left_hip_yaw", "right_hip_yaw", "waist_pitch"),
    ("left_knee", "right_knee", "left_shoulder_pitch", "right_shoulder_pitch"),
    ("left_ankle_pitch", "right_ankle_pitch", "left_shoulder_roll", "right_shoulder_roll"),
    ("left_ankle_roll", "right_ankle_roll", "left_shoulder_yaw", "right_shoulder_yaw"),
    ("left_elbow", "right_elbow"),
    ("left_wrist_roll", "right_wrist_roll"),
    ("left_wrist_pitch", "right_wrist_pitch"),
    ("left_wrist_yaw", "right_wrist_yaw"),
)

_STEMS = tuple(stem for level in _LEVELS for stem in level)

ISAAC_JOINT_NAMES = tuple(f"{stem}_joint" for stem in _STEMS)
"""29 joints, level by level from the pelvis. Source: Isaac Lab, and so whole_body_tracking."""

ISAAC_BODY_NAMES = (ROOT_BODY, *("torso_link" if stem == "waist_pitch" else f"{stem}_link" for stem in _STEMS))
"""30 bodies: the pelvis, then the child of each joint."""
