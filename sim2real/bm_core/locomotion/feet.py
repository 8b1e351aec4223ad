"""Foot trajectories of a plan: flat on the ground, smooth in the air."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.locomotion.config import SOLE_HEIGHT, GaitConfig
from bm_core.locomotion.footsteps import FootPlace, FootPlan, Step
from bm_core.locomotion.planar import along_arc, bump, ease, fade, place

Array = NDArray[np.floating]

_TOE = 0.142
"""Tip of the sole ahead of the ankle, m."""

_HEEL = 0.064
"""Its end behind the ankle, m."""

_HANGING = 0.75
"""Share of the swing in which the foot may hang."""


@dataclass(frozen=True)
class FootMotion:
    """Both ankles, left first."""

    pos: Array
    """(T, 2, 3) m, ankle-roll origins."""
    yaw: Array
    """(T, 2) rad, not wrapped."""
    pitch: Array
    """(T, 2) rad, positive toes down; zero on the ground."""
    contact: NDArray[np.bool_]
    """(T, 2)"""


def foot_motion(plan: FootPlan, num_frames: int, config: GaitConfig) -> FootMotion:
    """Ankles of frames 0 .. num_frames - 1."""
    pos = np.full((num_frames, 2, 3), SOLE_HEIGHT)
    motion = FootMotion(
        pos=pos,
        yaw=np.empty((num_frames, 2)),
        pitch=np.zeros((num_frames, 2)),
        contact=np.ones((num_frames, 2), dtype=bool),
    )
    for side in (0, 1):
        _stand(plan.initial[side], side, 0, motion)
    for step in plan.steps:
        _swing(step, motion, config)
        _stand(step.end, step.side, step.land, motion)
    return motion


def _stand(foot: FootPlace, side: int, since: int, motion: FootMotion) -> None:
    pose = foot.pose
    motion.pos[since:, side, :2] = pose[:2]
    motion.yaw[since:, side] = pose[2]


def _finish_swing(step: Step, motion: FootMotion, config: GaitConfig) -> None:
    """The rest of a swing that is under way at frame 0: position and velocity go on from where they are."""
    start = step.airborne
    assert start is not None
    offset, rate = (weight[: min(step.land, len(motion.pos))] for weight in fade(step.land, len(motion.pos)))
    end = step.end.pose
    goal = np.array([end[0], end[1], SOLE_HEIGHT])
    frames = slice(0, len(offset))
    motion.pos[frames, step.side] = goal + np.outer(offset, start.pos - goal) + np.outer(rate, start.vel)
    turn = float(np.angle(np.exp(1j * (start.yaw - end[2]))))
    motion.yaw[frames, step.side] = end[2] + offset * turn + rate * start.yaw_rate
    motion.pitch[frames, step.side] = offset * start.pitch
    motion.pos[frames, step.side, 2] = _lifted(motion.pos[frames, step.side, 2], offset * start.pitch, step, config)
    motion.contact[frames, step.side] = False


def _lifted(height: Array, pitch: Array, step: Step, config: GaitConfig) -> Array:
    """Ankle heights (N,) raised to clear the floor, however low and fast the foot came; less just before it lands."""
    arch = bump(np.arange(len(height)) / step.land)
    floor = SOLE_HEIGHT + np.where(pitch > 0.0, _TOE, -_HEEL) * np.sin(pitch)
    clearance = 0.6 * config.swing_clearance * min(1.0, step.land / config.swing_frames)
    middle = arch > 0.1
    missing = (floor - height)[middle] / arch[middle] + clearance
    return np.maximum(height + max(0.0, float(missing.max(initial=0.0))) * arch, floor)


def _swing(step: Step, motion: FootMotion, config: GaitConfig) -> None:
    if step.airborne is not None:
        return _finish_swing(step, motion, config)
    frames = np.arange(step.lift + 1, min(step.land, len(motion.pos)))
    fraction = (frames - step.lift) / (step.land - step.lift)
    moved = ease(fraction)
    base = along_arc(step.start.base, step.end.base, moved)
    offset = step.start.offset + moved[:, None] * (step.end.offset - step.start.offset)
    motion.pos[frames, step.side, :2] = place(base, offset)
    motion.yaw[frames, step.side] = base[:, 2]
    # The foot behind the body hangs toes down: early in a forward step, late in a backward one.
    forward = float(step.velocity[0])
    pitch = config.toe_drop * abs(forward) * bump((fraction if forward > 0.0 else 1.0 - fraction) / _HANGING)
    motion.pitch[frames, step.side] = pitch
    rise = config.swing_clearance * bump(fraction) + _TOE * np.sin(pitch)
    motion.pos[frames, step.side, 2] += rise
    motion.contact[frames, step.side] = False
