"""A short capture of a gait made long: its best cycle, closed without a seam and repeated along its own path."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import ClipError
from bm_core.rotations import (
    quat_conjugate,
    quat_from_yaw,
    quat_multiply,
    quat_normalize,
    quat_rotate,
    quat_rotate_inverse,
    yaw_from_quat,
)
from bm_training.motions.retarget.capture import HumanCapture
from bm_training.motions.retarget.conditioning import continuous_quat

Array = NDArray[np.floating]

_MIN_CYCLE_SECONDS = 0.5
_MAX_CYCLE_SECONDS = 2.0
_BLEND_SHARE = 0.25
"""Share of the cycle over which its end turns into what came before its start."""
_MAX_MISMATCH = 0.15
"""Distance that the worst body may have between both ends of a cycle, m."""
_VELOCITY_SECONDS = 0.1
"""A velocity difference counts as the distance it makes in this time, s."""


@dataclass(frozen=True)
class _HeadingFrames:
    """A capture cut into what a body does around its own heading, and how that heading travels."""

    pos: Array
    """(T, B, 3) m, relative to the point below the pelvis, heading frame."""
    quat: Array
    """(T, B, 4), relative to the heading."""
    step: Array
    """(T, 2) m, from the frame before to this one, in the heading frame of the one before; the first row is zero."""
    turn: Array
    """(T,) rad, likewise."""


@dataclass(frozen=True)
class GaitCycle:
    """Frames [start, start + length) are one cycle."""

    start: int
    length: int
    mismatch: float
    """Distance between its two ends of the body that is off most, velocity included, m."""


def loop_capture(capture: HumanCapture, seconds: float) -> tuple[HumanCapture, int]:
    """Repeats the best gait cycle straight ahead: at least `seconds` and one cycle more at each end.

    Also returns the frames of those end cycles; cut off after retargeting, they leave a motion without end effects.
    ClipError if no cycle closes well enough.
    """
    frames = _heading_frames(capture)
    cycle = find_cycle(capture)
    closed = _closed_cycle(frames, cycle)
    # A captured walk turns a little; repeated, that would become a circle.
    straight = replace(closed, turn=closed.turn - closed.turn.mean())
    repeats = int(np.ceil((seconds * capture.fps + 1.0) / cycle.length)) + 2
    return _travelled(capture, straight, repeats), cycle.length


def find_cycle(capture: HumanCapture) -> GaitCycle:
    """The pair of frames, 0.5 to 2 s apart, at which pose and velocities agree best. ClipError if none does."""
    pos = _heading_frames(capture).pos
    velocity = np.gradient(pos, 1.0 / capture.fps, axis=0)
    features = np.concatenate([pos, _VELOCITY_SECONDS * velocity], axis=-1)
    shortest, longest = round(_MIN_CYCLE_SECONDS * capture.fps), round(_MAX_CYCLE_SECONDS * capture.fps)
    best: GaitCycle | None = None
    for length in range(shortest, min(longest, capture.num_frames - 1) + 1):
        run_in = _blend_frames(length)
        starts = np.arange(run_in, capture.num_frames - length)
        if len(starts) == 0:
            break
        mismatch = np.linalg.norm(features[starts] - features[starts + length], axis=-1).max(-1)
        index = int(np.argmin(mismatch))
        if best is None or mismatch[index] < best.mismatch:
            best = GaitCycle(int(starts[index]), length, float(mismatch[index]))
    if best is None or best.mismatch > _MAX_MISMATCH:
        found = "too short" if best is None else f"the best one misses its start by {best.mismatch:.2f} m"
        raise ClipError(
            f"{capture.name}: no gait cycle to loop ({found}, limit {_MAX_MISMATCH} m); drop --loop-seconds"
        )
    return best


def _blend_frames(length: int) -> int:
    return max(2, round(_BLEND_SHARE * length))


def _heading_frames(capture: HumanCapture) -> _HeadingFrames:
    root = capture.pos("pelvis") * np.array([1.0, 1.0, 0.0])
    yaw = np.unwrap(yaw_from_quat(capture.quat("pelvis")))
    heading = quat_from_yaw(yaw)
    step = quat_rotate_inverse(heading[:-1], np.diff(root, axis=0))[:, :2]
    return _HeadingFrames(
        pos=quat_rotate_inverse(heading[:, None], capture.body_pos - root[:, None]),
        quat=continuous_quat(quat_multiply(quat_conjugate(heading)[:, None], capture.body_quat)),
        step=np.concatenate([np.zeros((1, 2)), step]),
        turn=np.concatenate([[0.0], np.diff(yaw)]),
    )


def _closed_cycle(frames: _HeadingFrames, cycle: GaitCycle) -> _HeadingFrames:
    """One cycle whose last frames turn into the run-in of its first: repeated, it has no seam."""
    blend = _blend_frames(cycle.length)
    end = cycle.start + cycle.length
    phase = np.arange(1, blend + 1) / (blend + 1)
    weight = phase * phase * (3.0 - 2.0 * phase)

    def closed(values: Array) -> Array:
        result = values[cycle.start : end].copy()
        share = weight.reshape(-1, *[1] * (values.ndim - 1))
        result[-blend:] += share * (values[cycle.start - blend : cycle.start] - result[-blend:])
        return result

    # The first frame's own step leads out of the cycle's last frame, which is the run-in by then.
    return _HeadingFrames(
        closed(frames.pos), quat_normalize(closed(frames.quat)), closed(frames.step), closed(frames.turn)
    )


def _travelled(capture: HumanCapture, cycle: _HeadingFrames, repeats: int) -> HumanCapture:
    """Puts the cycle `repeats` times in a row, from where the capture began."""
    step, turn = np.tile(cycle.step, (repeats, 1)), np.tile(cycle.turn, repeats)
    yaw = float(yaw_from_quat(capture.quat("pelvis")[0])) + np.concatenate([[0.0], np.cumsum(turn[1:])])
    before = quat_from_yaw(np.concatenate([yaw[:1], yaw[:-1]]))
    moved = quat_rotate(before, np.column_stack([step, np.zeros(len(step))]))
    moved[0] = 0.0
    root = capture.pos("pelvis")[0] * np.array([1.0, 1.0, 0.0]) + np.cumsum(moved, axis=0)
    heading = quat_from_yaw(yaw)
    return replace(
        capture,
        name=f"{capture.name}_loop",
        body_pos=root[:, None] + quat_rotate(heading[:, None], np.tile(cycle.pos, (repeats, 1, 1))),
        body_quat=quat_multiply(heading[:, None], np.tile(cycle.quat, (repeats, 1, 1))),
    )
