"""When a robot has fallen: the gate of this project, and the paper's weaker definition beside it."""

from __future__ import annotations

import numpy as np

from bm_core.body_state import BodyState
from bm_core.g1 import FEET, HEAD_IN_ANCHOR
from bm_core.rotations import quat_rotate
from bm_sim2real.robots.mujoco import MujocoRobot

FALL_HEIGHT = 0.45
"""m; a pelvis below it has fallen, as has a robot that touches the floor but with its feet."""
HEAD_HEIGHT = 0.2
"""m; the paper's fall is a head below it."""


def fall_of(robot: MujocoRobot) -> str:
    """What says that the robot has fallen, such as "pelvis at 0.31 m"; empty if nothing does."""
    height = robot.pelvis_height()
    if not height >= FALL_HEIGHT:
        return f"pelvis at {height:.2f} m"
    others = robot.floor_contacts() - set(FEET)
    return f"{sorted(others)[0]} on the floor" if others else ""


def is_head_down(truth: BodyState) -> bool:
    """The paper's fall."""
    head = truth.anchor_pos_w + quat_rotate(truth.anchor_quat_w, np.array(HEAD_IN_ANCHOR))
    return bool(head[2] < HEAD_HEIGHT)
