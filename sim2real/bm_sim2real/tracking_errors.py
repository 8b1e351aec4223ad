"""How far a simulated robot is from its reference, and when it counts as lost: the definitions of every evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bm_core import rotations_single as single
from bm_core.g1 import END_EFFECTORS, G1, ROOT_BODY, TARGET_BODY_INDICES
from bm_core.reference import ReferenceFrame, retarget_bodies
from bm_sim2real.robots.ground_truth import GroundTruth

_TARGETS = np.array(TARGET_BODY_INDICES)
_ROOT = G1.body_index[ROOT_BODY]
_END_EFFECTORS = np.array([G1.body_index[name] for name in END_EFFECTORS])


@dataclass(frozen=True, kw_only=True)
class Terminations:
    """When a run has failed. Source: whole_body_tracking (tracking_env_cfg.py); evaluated on ground truth."""

    anchor_pos: float = 0.25
    """m, height error of the torso."""
    anchor_ori: float = 0.8
    """Difference of the z components of gravity seen in the torso, unit vectors."""
    ee_body_pos: float = 0.25
    """m, height error of any hand or foot against the re-anchored target."""


@dataclass(frozen=True, kw_only=True)
class TrackingErrors:
    """Of one frame, re-anchored with the robot's torso at that moment."""

    body: float
    """m, |p_b - p_b*|, mean over the 14 target bodies."""
    anchor: float
    """m, |p - p_ref| of the torso in the world, drift included."""
    joint: float
    """rad, mean over the 29 joints."""
    mpkpe_global: float
    """m, |p_b - p_b_ref| in the world, drift included, mean over the 14 target bodies."""
    mpkpe_root: float
    """m, the same with both pelvises at the origin."""
    joint_velocity: float
    """rad/s, mean over the 29 joints."""
    body_velocity: float
    """m/s, of the target bodies' origins in the world."""
    failure: str
    """anchor_pos, anchor_ori or ee_body_pos; empty if none trips."""


def tracking_errors(truth: GroundTruth, frame: ReferenceFrame, limits: Terminations) -> TrackingErrors:
    """Errors of the robot at the end of a control step against the frame that the step aimed at."""
    anchor_pos, anchor_quat = truth.anchor_pos_w, truth.anchor_quat_w
    target_pos, _ = retarget_bodies(frame, anchor_pos, anchor_quat)
    gravity = _up_z(anchor_quat) - _up_z(frame.anchor_quat_w)
    ee_height = truth.body_pos_w[_END_EFFECTORS, 2] - target_pos[_END_EFFECTORS, 2]
    # Written so that NaN, a diverged simulation, fails.
    if not abs(anchor_pos[2] - frame.anchor_pos_w[2]) <= limits.anchor_pos:
        failure = "anchor_pos"
    elif not abs(gravity) <= limits.anchor_ori:
        failure = "anchor_ori"
    elif not np.abs(ee_height).max() <= limits.ee_body_pos:
        failure = "ee_body_pos"
    else:
        failure = ""
    offset = truth.body_pos_w[_TARGETS] - frame.body_pos_w[_TARGETS]
    from_root = offset - (truth.body_pos_w[_ROOT] - frame.body_pos_w[_ROOT])
    velocity = truth.body_lin_vel_w[_TARGETS] - frame.body_lin_vel_w[_TARGETS]
    return TrackingErrors(
        body=float(np.linalg.norm(truth.body_pos_w[_TARGETS] - target_pos[_TARGETS], axis=-1).mean()),
        anchor=float(np.linalg.norm(anchor_pos - frame.anchor_pos_w)),
        joint=float(np.abs(truth.joint_pos - frame.joint_pos).mean()),
        mpkpe_global=float(np.linalg.norm(offset, axis=-1).mean()),
        mpkpe_root=float(np.linalg.norm(from_root, axis=-1).mean()),
        joint_velocity=float(np.abs(truth.joint_vel - frame.joint_vel).mean()),
        body_velocity=float(np.linalg.norm(velocity, axis=-1).mean()),
        failure=failure,
    )


def _up_z(quat: np.ndarray) -> float:
    """z of the world's up direction seen in a body: minus that of gravity."""
    return single.rotate_inverse(quat.tolist(), (0.0, 0.0, 1.0))[2]
