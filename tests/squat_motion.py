"""A small motion of the G1 made here, so that tests need no data: knee bends on fixed soles, arms swinging.

The soles stay where they are: hip, knee and ankle pitch cancel out, and the root follows from the left foot's pose.
"""

import numpy as np

from bm_core.g1 import G1
from bm_core.kinematics import g1_kinematics
from bm_core.rotations import quat_from_yaw, quat_rotate

SOLE_HEIGHT = 0.035
"""m from the floor to the origin of ankle_roll_link when the sole is flat."""


def squat(frames=61, fps=30.0, yaw=0.4, depth=0.9):
    """root_pos (T, 3), root_quat wxyz (T, 4), joint_pos (T, 29) of about one knee bend in 2 s."""
    times = np.arange(frames) / fps
    bend = 0.2 + depth * 0.5 * (1.0 - np.cos(np.pi * times))
    joint_pos = np.tile(G1.default_joint_pos, (frames, 1))
    for side in ("left", "right"):
        joint_pos[:, G1.joint_index[f"{side}_hip_pitch_joint"]] = -0.5 * bend
        joint_pos[:, G1.joint_index[f"{side}_knee_joint"]] = bend
        joint_pos[:, G1.joint_index[f"{side}_ankle_pitch_joint"]] = -0.5 * bend
        joint_pos[:, G1.joint_index[f"{side}_shoulder_pitch_joint"]] = 0.6 * np.sin(3.0 * times)
    joint_pos[:, G1.joint_index["waist_yaw_joint"]] = 0.3 * np.sin(2.0 * times)
    root_quat = np.tile(quat_from_yaw(yaw), (frames, 1))
    foot, _ = g1_kinematics().body_pose("left_ankle_roll_link", np.zeros((frames, 3)), root_quat, joint_pos)
    stand = quat_rotate(quat_from_yaw(yaw), np.array([0.0, 0.1, 0.0])) + np.array([0.3, -0.2, SOLE_HEIGHT])
    return stand - foot, root_quat, joint_pos
