"""Finds files whose columns are in another order than declared, although every single value looks fine.

A humanoid nearly always stands on something, so the lowest point of its feet and hands hardly moves. Read in the wrong
order, the same numbers slide that point over the floor. [M] On 46 clips of walks, kicks, flips and cartwheels, turned
to 11 headings each, a swapped quaternion raises its median speed at least 2.9 times, a breadth-first joint order at
least 2.2 times, and in none of their 1 s windows does the wrong quaternion order halve it. Where the pelvis points
proves less: a robot that faces +x in xyzw stands upright in wxyz too, facing -x.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import ClipError
from bm_core.g1 import FEET, G1
from bm_core.joint_order import ISAAC_JOINT_NAMES
from bm_core.kinematics import g1_kinematics
from bm_core.rotations import gravity_in_body, quat_rotate, quat_wxyz_from_xyzw, quat_xyzw_from_wxyz

Array = NDArray[np.floating]

SUSPICIOUS_RATIO = 2.0
"""The declared order is refused when another one lets the lowest point slide less than 1/2 as fast."""
STILL_SPEED = 0.03
"""m/s; below it nothing moves enough to tell orders apart."""

# Corners of the sole in the ankle_roll frame and the middle of the hand in the wrist_yaw frame, m.
_SOLE = np.array([(x, y, -0.035) for x in (-0.05, 0.13) for y in (-0.026, 0.026)])
_HAND = np.array([(0.1, 0.0, 0.0)])
_CONTACT_POINTS = {FEET[0]: _SOLE, FEET[1]: _SOLE, "left_wrist_yaw_link": _HAND, "right_wrist_yaw_link": _HAND}


def check_plausible(
    label: str, root_pos: Array, root_quat: Array, joint_pos: Array, fps: float, *, declared: str = "wxyz"
) -> None:
    """Raise ClipError when the motion makes sense only in another order of its quaternion or its joints.

    root_pos (T, 3) m, root_quat (T, 4) wxyz unit, joint_pos (T, 29) rad in canonical order; `declared` is the order
    that root_quat had in the file.
    """
    other_order, other_quat = _other_quat_order(root_quat, declared)
    quat_finding = f"the root quaternion seems to be {other_order}, not {declared}"
    speed = lowest_point_speed(root_pos, root_quat, joint_pos, fps)
    if speed < STILL_SPEED:
        # Nothing slides, so only gravity is left to tell.
        if _up(root_quat) < -0.5 and _up(other_quat) > 0.8:
            raise ClipError(f"{label}: {quat_finding} (as declared the pelvis is upside down); {_REMEDY}")
        return
    others = (
        (quat_finding, other_quat, joint_pos),
        ("the joints seem to be in Isaac's breadth-first order", root_quat, joint_pos[:, _FROM_ISAAC]),
        ("left and right leg seem to be swapped", root_quat, joint_pos[:, _LEGS_SWAPPED]),
    )
    for finding, quat, joints in others:
        other = lowest_point_speed(root_pos, quat, joints, fps)
        if speed > SUSPICIOUS_RATIO * other:
            raise ClipError(
                f"{label}: {finding} (the lowest hand or foot slides at {speed:.2f} m/s as declared, {other:.2f} m/s "
                f"so); {_REMEDY}"
            )


def lowest_point_speed(root_pos: Array, root_quat: Array, joint_pos: Array, fps: float) -> float:
    """Median speed of whichever point of soles and hands is lowest, m/s."""
    points = []
    for body, offsets in _CONTACT_POINTS.items():
        pos, quat = g1_kinematics().body_pose(body, root_pos, root_quat, joint_pos)
        points.append(pos[:, None] + quat_rotate(quat[:, None], offsets))
    stacked = np.concatenate(points, axis=1)
    speed = np.linalg.norm(np.diff(stacked, axis=0), axis=-1) * fps
    lowest = np.argmin(stacked[1:, :, 2], axis=1)
    return float(np.median(np.take_along_axis(speed, lowest[:, None], axis=1)))


def better_quat_order(root_pos: Array, quat: Array, joint_pos: Array, fps: float) -> str:
    """Which order the raw quaternion columns (T, 4) seem to be in: "wxyz" or "xyzw"."""
    as_wxyz = lowest_point_speed(root_pos, quat, joint_pos, fps)
    as_xyzw = lowest_point_speed(root_pos, quat_wxyz_from_xyzw(quat), joint_pos, fps)
    return "wxyz" if as_wxyz <= as_xyzw else "xyzw"


def _other_quat_order(root_quat: Array, declared: str) -> tuple[str, Array]:
    """The order that was not declared, and what the same file means in it."""
    if declared == "wxyz":
        return "xyzw", quat_wxyz_from_xyzw(root_quat)
    return "wxyz", quat_xyzw_from_wxyz(root_quat)


def _up(quat: Array) -> float:
    """Height of the tip of the pelvis's unit z axis, median over the clip: 1 upright, -1 upside down."""
    return float(np.median(-gravity_in_body(quat)[:, 2]))


_REMEDY = "correct --quat, motions.yaml or the file; if it is right, convert it with --trust-order"
_FROM_ISAAC = np.array([ISAAC_JOINT_NAMES.index(name) for name in G1.joint_names])
_LEGS_SWAPPED = np.array([*range(6, 12), *range(6), *range(12, len(G1.joints))])
