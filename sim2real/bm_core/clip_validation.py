"""What a motion must be to be used at all. Everything less than that is a warning, and `bm motion check` counts it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import ClipError
from bm_core.g1 import G1
from bm_core.resample import time_derivative

Array = NDArray[np.floating]

JOINT_TOLERANCE = 0.1
"""rad outside the range that a joint may lie: retargeters overshoot a little, a wrong column by a lot."""
QUAT_TOLERANCE = 1e-2
"""Deviation from unit length: text files are rounded, other columns are not unit at all."""
FPS_RANGE = (1.0, 1000.0)
CLEAR_SPEED = 1.0
"""rad/s from which positions and velocities can be compared: below it other ways to differentiate disagree, too."""
SPEED_TOLERANCE = 0.45
"""Of the faster of the two speeds. Differences to one side stay within it but at turning points; twice the speed, the
other sign and another joint's do not."""
CLEAR_FRAMES, CLEAR_SHARE = 10, 0.05
"""Frames with a clear speed, and share of all, from which a joint is judged."""
MOST_WRONG = 0.6
"""Share of a joint's clear frames that may contradict. Differences to one side: at most 0.28 in each of 69 motions,
smoothing over 0.1 s: 0.36; velocities of the other side's joints: at least 0.86 [measured]."""
ROOT_HEIGHT_RANGE = (-1.0, 5.0)
"""m, median over the clip; outside it the unit or the axis is another one."""


def check_motion(
    label: str, root_pos: Array, root_quat: Array, joint_pos: Array, fps: float, *, first_frame: int = 0
) -> None:
    """Raise ClipError naming frame, joint, value and limit unless this is a motion of the G1.

    root_pos (T, 3) m, root_quat (T, 4) wxyz, joint_pos (T, 29) rad in canonical order. `first_frame` is added to the
    frame numbers of the messages, for a motion cut out of a longer file.
    """
    check_layout(label, root_pos, root_quat, joint_pos, fps)
    components = {
        "root position": (root_pos, "xyz"),
        "root quaternion": (root_quat, "wxyz"),
        "": (joint_pos, G1.joint_names),
    }
    for quantity, (values, names) in components.items():
        _check_finite(label, quantity, values, names, first_frame)
    _check_unit(label, root_quat, first_frame)
    _check_height(label, root_pos)
    _check_ranges(label, joint_pos, first_frame)


def check_velocities(label: str, joint_pos: Array, joint_vel: Array, fps: float) -> None:
    """Raise ClipError naming frame, joint and both speeds if a joint's velocities are not those of its positions.

    Both (T, 29), rad and rad/s. A joint is refused for most of its moving frames only: differences of another kind, a
    filter or a jump in the motion are no reason.
    """
    expected = time_derivative(joint_pos, fps)
    moves, contradicts = _clear_frames(joint_vel, expected)
    share = _share_of_clear(moves, contradicts)
    joint = int(np.argmax(share))
    if share[joint] <= MOST_WRONG:
        return
    error = np.where(contradicts[:, joint], np.abs(joint_vel - expected)[:, joint], -1.0)
    frame = int(np.argmax(error))
    raise ClipError(
        f"{label}: frame {frame}: {G1.joint_names[joint]} moves at {expected[frame, joint]:.2f} rad/s, but joint_vel "
        f"says {joint_vel[frame, joint]:.2f} rad/s ({contradicts[:, joint].sum()} of {moves[:, joint].sum()} such "
        "frames contradict); check unit, sign and order of joint_vel, or convert the source again"
    )


def contradiction(joint_pos: Array, joint_vel: Array, fps: float) -> Array:
    """(29,) share of each joint's moving frames in which its velocity is not that of its positions; 0 if it rests."""
    return _share_of_clear(*_clear_frames(joint_vel, time_derivative(joint_pos, fps)))


def _share_of_clear(moves: NDArray[np.bool_], contradicts: NDArray[np.bool_]) -> Array:
    clear = moves.sum(axis=0)
    is_judged = clear >= max(CLEAR_FRAMES, CLEAR_SHARE * len(moves))
    return np.where(is_judged, contradicts.sum(axis=0) / np.maximum(clear, 1), 0.0)


def _clear_frames(joint_vel: Array, expected: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(T, 29) where either speed is a clear one, and where the two contradict there."""
    faster = np.maximum(np.abs(joint_vel), np.abs(expected))
    moves = faster > CLEAR_SPEED
    return moves, moves & (np.abs(joint_vel - expected) > SPEED_TOLERANCE * faster)


def check_layout(label: str, root_pos: Array, root_quat: Array, joint_pos: Array, fps: float) -> None:
    """Raise ClipError unless rate and shapes are those of a motion; the values are not looked at."""
    check_fps(label, fps)
    _check_shapes(label, root_pos, root_quat, joint_pos)


def check_fps(label: str, fps: float) -> None:
    """Raise ClipError unless the rate is a plausible number of frames per second."""
    if not (np.isfinite(fps) and FPS_RANGE[0] <= fps <= FPS_RANGE[1]):
        raise ClipError(f"{label}: fps = {fps:g}, must be in {FPS_RANGE[0]:g}..{FPS_RANGE[1]:g}; give the right --fps")


def check_frames(label: str, frames: int) -> None:
    """Raise ClipError for fewer frames than a motion has."""
    if frames < 2:
        raise ClipError(
            f"{label}: {frames} frame{'s' * (frames != 1)}, at least 2 needed to be a motion; "
            "give a longer file, or a longer cut of it"
        )


def _check_shapes(label: str, root_pos: Array, root_quat: Array, joint_pos: Array) -> None:
    frames = len(joint_pos) if joint_pos.ndim else 0
    expected = {"joint_pos": (joint_pos, len(G1.joints)), "root_pos": (root_pos, 3), "root_quat": (root_quat, 4)}
    for name, (values, width) in expected.items():
        if values.shape != (frames, width):
            raise ClipError(
                f"{label}: {name} has shape {values.shape}, expected ({frames}, {width}); "
                f"this is not a motion of the {len(G1.joints)}-joint G1"
            )
    check_frames(label, frames)


def _check_finite(label: str, quantity: str, values: Array, names: tuple[str, ...] | str, first_frame: int) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        frame, column = bad[0]
        what = " ".join(part for part in (quantity, names[column]) if part)
        raise ClipError(
            f"{label}: frame {frame + first_frame}: {what} is {values[frame, column]} ({len(bad)} such values); "
            "repair the source, or cut with --start/--end"
        )


def _check_unit(label: str, quat: Array, first_frame: int) -> None:
    norm = np.linalg.norm(quat, axis=-1)
    frame = int(np.argmax(np.abs(norm - 1.0)))
    if abs(norm[frame] - 1.0) > QUAT_TOLERANCE:
        raise ClipError(
            f"{label}: frame {frame + first_frame}: root quaternion has length {norm[frame]:.3f}, "
            f"must be 1 within {QUAT_TOLERANCE:g}; check which columns hold the quaternion"
        )


def _check_height(label: str, root_pos: Array) -> None:
    height = float(np.median(root_pos[:, 2]))
    if not ROOT_HEIGHT_RANGE[0] <= height <= ROOT_HEIGHT_RANGE[1]:
        raise ClipError(
            f"{label}: root height is {height:.1f} m (median), must be in {ROOT_HEIGHT_RANGE[0]:g}.."
            f"{ROOT_HEIGHT_RANGE[1]:g}; positions are in m, z up, the floor at 0"
        )


def _check_ranges(label: str, joint_pos: Array, first_frame: int) -> None:
    over = limit_overshoot(joint_pos)
    if over.max() <= JOINT_TOLERANCE:
        return
    frame, joint = np.unravel_index(int(np.argmax(over > JOINT_TOLERANCE)), over.shape)
    worst = over.max()
    in_degrees = np.abs(joint_pos).max() > 4.0 * np.pi
    remedy = "angles are in rad" if in_degrees else "check the joint order, or cut with --start/--end"
    raise ClipError(
        f"{label}: frame {frame + first_frame}: {G1.joint_names[joint]} = {joint_pos[frame, joint]:.2f} rad, range "
        f"{G1.lower[joint]:.2f}..{G1.upper[joint]:.2f} ({JOINT_TOLERANCE:g} tolerated; worst overshoot {worst:.2f}); "
        f"{remedy}"
    )


def limit_overshoot(joint_pos: Array) -> Array:
    """How far each joint lies outside its range, rad; 0 inside. (..., 29) -> (..., 29)."""
    return np.maximum(np.maximum(G1.lower - joint_pos, joint_pos - G1.upper), 0.0)
