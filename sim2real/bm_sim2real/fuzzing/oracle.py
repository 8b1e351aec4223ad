"""What may leave for the motors, told apart from the guard's code: limits from the MJCF, torque law by its definition.

A frame is harmless if it damps (no target, no stiffness, no torque, small damping), or if it is finite and the torque
that it asks for at the reading is within the effort limit and does not push further out near a joint's end.
"""

from __future__ import annotations

from functools import lru_cache
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import G1, mjcf_path

Array = NDArray[np.float64]

MOST_DAMPING = 8.0
"""kd of a damping frame, N m s/rad."""
END_MARGIN = 0.05
"""rad from a joint's end."""
ENTRY_STEP = 0.01
"""rad from the measured position within which the first target after damping lies: 0.1 rad in 20 ms, a tick's share."""
_ROUNDING = 2e-3
"""Of the effort limit: commands travel as 32-bit floats."""


@lru_cache(maxsize=1)
def mjcf_limits() -> tuple[Array, Array, Array]:
    """(29,) lower and upper end, rad, and effort, N m, in canonical order."""
    joints = {joint.get("name"): joint for joint in ElementTree.parse(mjcf_path()).iter("joint")}
    rows = []
    for name in G1.joint_names:
        low, high = (float(x) for x in (joints[name].get("range") or "").split())
        rows.append((low, high, float((joints[name].get("actuatorfrcrange") or "").split()[1])))
    low, high, effort = np.array(rows).T
    return low, high, effort


def harmful(
    q: Array, dq: Array, tau: Array, kp: Array, kd: Array, joint_pos: Array, joint_vel: Array
) -> NDArray[np.bool_]:
    """(N,) True for frames that must not leave; all arguments (N, 29), the last two as measured."""
    low, high, effort = mjcf_limits()
    with np.errstate(over="ignore"):
        frames = [np.asarray(a, dtype=np.float32).astype(np.float64) for a in (q, dq, tau, kp, kd)]
    q, dq, tau, kp, kd = frames
    is_finite = np.all([np.isfinite(a).all(axis=1) for a in frames], axis=0)
    damps = ~np.any([a.any(axis=1) for a in (dq, tau, kp)], axis=0) & (kd >= 0.0).all(axis=1)
    damps &= (kd <= MOST_DAMPING).all(axis=1)
    with np.errstate(all="ignore"):
        torque = kp * (q - joint_pos) + kd * (dq - joint_vel) + tau
    slack = _ROUNDING * effort + 1e-6 * kp
    within = (np.abs(torque) <= effort + slack).all(axis=1)
    within &= ((joint_pos <= high - END_MARGIN) | (torque <= slack)).all(axis=1)
    within &= ((joint_pos >= low + END_MARGIN) | (torque >= -slack)).all(axis=1)
    within &= (kp >= 0.0).all(axis=1) & (kd >= 0.0).all(axis=1)
    return ~(is_finite & (damps | within))


def jumps_on_entry(
    q: Array, dq: Array, tau: Array, kp: Array, kd: Array, joint_pos: Array, joint_vel: Array
) -> NDArray[np.bool_]:
    """(N,) True for first frames after damping with a target that is not where the robot is; arguments as `harmful`.

    A target that was moved for the sake of the torque may lie further away: the torque is then at one of its limits.
    """
    low, high, effort = mjcf_limits()
    with np.errstate(all="ignore"):
        torque = kp * (q - joint_pos) + kd * (dq - joint_vel) + tau
        slack = _ROUNDING * effort + 1e-6 * kp
        is_limited = np.abs(torque) >= effort - slack
        is_limited |= ((joint_pos > high - END_MARGIN) | (joint_pos < low + END_MARGIN)) & (np.abs(torque) <= slack)
        is_near = np.abs(q - joint_pos) <= ENTRY_STEP + 1e-9
    return (~(is_near | is_limited | (kp == 0.0))).any(axis=1)
