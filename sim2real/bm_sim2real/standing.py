"""The references that need no clip: standing, starting to walk, and stopping from the present motion."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import RobotError
from bm_core.g1 import CONTROL_DT
from bm_core.locomotion.gait_state import GaitState
from bm_core.locomotion.generator import GeneratedMotion, generate
from bm_core.locomotion.stop import stand_reference, stop_reference
from bm_core.motion import MotionClip, clip_from_qpos
from bm_core.reference import MotionReference, ReferenceFrame
from bm_core.rotations import quat_rotate
from bm_core.state import RobotState

MAX_IK_ERROR = 0.02
"""m + rad at an ankle; stops that can be done stay below 1e-4, others are off by 1 [measured on 64 states]."""


@lru_cache(maxsize=1)
def standing_frame() -> ReferenceFrame:
    """The pose of STAND: feet flat and parallel, weight centred, at the origin."""
    return MotionReference(_clip("stand", stand_reference(0.1))).frame(0)


def plan_stop(state: RobotState, frame: ReferenceFrame) -> MotionReference:
    """A stop from the robot's own posture and speed, in the world of the reference followed so far (frame 0 is now).

    Takes some 35 ms [measured, x86]. `frame` is what the robot should be doing: it tells where it stands.
    Raises RobotError or ClipError if no foothold of this moment can be reached.
    """
    position = state.pelvis_pos_w
    velocity = state.pelvis_lin_vel_b
    quat = state.pelvis_quat_w
    start = GaitState(
        root_quat=quat,
        root_ang_vel=np.asarray(quat_rotate(quat, state.pelvis_gyro_b), dtype=np.float64),
        joint_pos=state.joint_pos,
        joint_vel=state.joint_vel,
        root_xy=(frame.body_pos_w[0] if position is None else position)[:2],
        root_lin_vel=None if velocity is None else np.asarray(quat_rotate(quat, velocity), dtype=np.float64),
    )
    motion = stop_reference(start)
    if not motion.ik_error <= MAX_IK_ERROR:
        raise RobotError(f"stop: a foot misses its place by {motion.ik_error:.2f} (limit {MAX_IK_ERROR}); try later")
    return MotionReference(_clip("stop", motion))


def plan_start(velocity: NDArray[np.floating], seconds: float) -> MotionReference:
    """The first steps of a walk at `velocity` (3,) m/s, m/s, rad/s, from the pose of STAND at the origin.

    Takes some 60 ms [measured, x86].
    """
    steps = round(seconds / CONTROL_DT)
    return MotionReference(_clip("start", generate(np.tile(np.asarray(velocity, dtype=np.float64), (steps, 1)))))


def _clip(name: str, motion: GeneratedMotion) -> MotionClip:
    return clip_from_qpos(
        name, motion.root_pos, motion.root_quat, motion.joint_pos, 1.0 / CONTROL_DT, made_by="bm_core.locomotion"
    )
