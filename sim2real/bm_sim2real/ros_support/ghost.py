"""The reference beside the robot: where to draw it, and how far the robot is from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import ANCHOR_BODY, G1, TARGET_BODY_INDICES
from bm_core.kinematics import g1_kinematics
from bm_core.reference import ReferenceFrame, retarget_bodies
from bm_core.state import RobotState

Array = NDArray[np.float64]

_ANCHOR = G1.body_index[ANCHOR_BODY]
_TARGETS = np.array(TARGET_BODY_INDICES)


@dataclass(frozen=True, kw_only=True)
class Ghost:
    """The reference of one control step, moved with the robot's torso in x, y and yaw."""

    joint_pos: Array
    """(29,) rad"""
    root_pos_w: Array
    """(3,) m, world of the reading (pelvis at the origin where nothing estimates its position)"""
    root_quat_w: Array
    """(4,) wxyz"""
    error: float
    """m, mean distance of the 14 target bodies; heights only as good as the estimate of the pelvis"""


def ghost_of(state: RobotState, joint_pos: Array, body_pos_w: Array, body_quat_w: Array) -> Ghost:
    """Of a reading, and the joints (29,) and bodies (30, 3), (30, 4) of its reference frame."""
    zero = np.zeros_like(body_pos_w)
    frame = ReferenceFrame(joint_pos, joint_pos, body_pos_w, body_quat_w, zero, zero)
    root = np.zeros(3) if state.pelvis_pos_w is None else state.pelvis_pos_w
    pos, quat = g1_kinematics().forward(root, state.pelvis_quat_w, state.joint_pos)
    target_pos, target_quat = retarget_bodies(frame, pos[_ANCHOR], quat[_ANCHOR])
    distance = target_pos[_TARGETS] - pos[_TARGETS]
    if state.pelvis_pos_w is None:  # the pelvis is at height 0: only heights relative to the torso mean something
        distance[:, 2] -= target_pos[_ANCHOR, 2] - pos[_ANCHOR, 2]
    return Ghost(
        joint_pos=joint_pos,
        root_pos_w=target_pos[0],
        root_quat_w=target_quat[0],
        error=float(np.linalg.norm(distance, axis=-1).mean()),
    )
