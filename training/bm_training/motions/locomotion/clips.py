"""Generated motions as clips, and the plans of a whole set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import CONTROL_DT
from bm_core.locomotion.config import GaitConfig
from bm_core.locomotion.generator import GeneratedMotion, generate
from bm_core.locomotion.stop import state_at, stop_reference
from bm_core.motion import MotionClip, clip_from_qpos
from bm_training.motions.locomotion.streams import StreamConfig, sample_stream

Array = NDArray[np.float64]

_META = {"source": "generated", "licence": "Apache-2.0", "made_by": "bm motion generate"}

STOP_SPEEDS = (
    (0.4, 0.0, 0.0),
    (0.8, 0.0, 0.0),
    (1.1, 0.0, 0.0),
    (-0.5, 0.0, 0.0),
    (0.0, 0.35, 0.0),
    (0.0, -0.35, 0.0),
    (0.0, 0.0, 0.8),
    (0.0, 0.0, -0.8),
    (0.7, 0.0, 0.5),
    (0.5, -0.2, 0.0),
)
"""Velocities that are stopped from: m/s, m/s, rad/s."""

_WALK_IN = 3.0
"""s from the command until the walk is steady."""
_WALK = 1.2
"""s of steady walk at the start of a stop clip."""
_STOP_TIME = 4.0
"""s from the stop until the end of the clip."""


def to_clip(name: str, motion: GeneratedMotion, first: int = 0) -> MotionClip:
    """The motion from frame `first` on, as a clip."""
    return clip_from_qpos(
        name, motion.root_pos[first:], motion.root_quat[first:], motion.joint_pos[first:], 1.0 / CONTROL_DT, **_META
    )


@dataclass(frozen=True)
class StreamPlan:
    """One stream of a set; equal plans give equal motions."""

    name: str
    num_frames: int
    seed: tuple[int, int]

    def motion(self, stream: StreamConfig, gait: GaitConfig) -> tuple[Array, GeneratedMotion]:
        """Commands (T, 3) and the motion that follows them."""
        commands, style = sample_stream(self.num_frames, np.random.default_rng(self.seed), stream, gait)
        return commands, generate(commands, style)


def plan_streams(minutes: float, num: int | None, seed: int) -> list[StreamPlan]:
    """Streams of 20 to 60 s, `minutes` in all; `num` of equal length if given."""
    total = round(minutes * 60.0 / CONTROL_DT)
    if num is not None:
        lengths = [total // num] * num
    else:
        rng = np.random.default_rng(seed)
        lengths = []
        while sum(lengths) < total:
            lengths.append(round(rng.uniform(20.0, 60.0) / CONTROL_DT))
        # Whole streams, but no more minutes than asked for: the last one is cut, or joined to its neighbour.
        lengths[-1] -= sum(lengths) - total
        if len(lengths) > 1 and lengths[-1] < 20.0 / CONTROL_DT:
            short = lengths.pop()
            lengths[-1] = min(lengths[-1] + short, round(60.0 / CONTROL_DT))
    return [StreamPlan(f"stream_s{seed}_{index:03d}", length, (seed, index)) for index, length in enumerate(lengths)]


def stand_clip(seconds: float, gait: GaitConfig) -> MotionClip:
    """Standing with flat feet, the centre of mass over the middle of the soles."""
    return to_clip("stand", generate(np.zeros((round(seconds / CONTROL_DT) + 1, 3)), gait))


def stop_clips(gait: GaitConfig, num_phases: int) -> Iterator[MotionClip]:
    """Steady walks that stop at `num_phases` phases of a stride, for every velocity of STOP_SPEEDS.

    The stop is the one that the runtime brakes with: planned from the state at that frame, without having known of it.
    """
    stride = 2 * (gait.swing_frames + gait.double_support_frames)
    steady = round((_WALK_IN + _WALK) / CONTROL_DT)
    for number, speed in enumerate(STOP_SPEEDS):
        for phase in range(num_phases):
            # Every velocity starts elsewhere in the stride, so that one phase each still covers it.
            share = (phase + number / len(STOP_SPEEDS)) / num_phases
            stop = steady + round(stride * share)
            commands = np.tile(speed, (stop + 10, 1))
            commands[:5] = 0.0
            walk = generate(commands, gait)
            yield to_clip(f"stop_{_speed_name(speed)}_{phase}", _joined(walk, stop), round(_WALK_IN / CONTROL_DT))


def _joined(walk: GeneratedMotion, stop: int) -> GeneratedMotion:
    """The walk up to frame `stop`, then the stop planned from there."""
    after = stop_reference(state_at(walk, stop), _STOP_TIME)
    arrays = {
        field.name: np.concatenate([getattr(walk, field.name)[:stop], getattr(after, field.name)])
        for field in fields(GeneratedMotion)
        if field.name != "ik_error"
    }
    return GeneratedMotion(**arrays, ik_error=max(walk.ik_error, after.ik_error))


def _speed_name(speed: tuple[float, float, float]) -> str:
    names = (("forward", "backward"), ("left", "right"), ("turn_left", "turn_right"))
    return "_".join(
        f"{pair[0] if value > 0.0 else pair[1]}{abs(value):g}".replace(".", "")
        for pair, value in zip(names, speed, strict=True)
        if value
    )


@dataclass(frozen=True)
class ClipSetPlan:
    """What `bm motion generate` writes."""

    streams: list[StreamPlan]
    has_stand: bool
    stop_phases: int

    @classmethod
    def make(cls, minutes: float, num: int | None, seed: int, *, has_stand: bool, stop_phases: int) -> ClipSetPlan:
        """Streams of `minutes` in all, one standing clip, stops at `stop_phases` phases of each of the velocities."""
        return cls(plan_streams(minutes, num, seed) if minutes > 0.0 else [], has_stand, stop_phases)

    def __len__(self) -> int:
        return len(self.streams) + self.has_stand + self.stop_phases * len(STOP_SPEEDS)

    def clips(self, stream: StreamConfig, gait: GaitConfig) -> Iterator[MotionClip]:
        """The clips, made one at a time."""
        for plan in self.streams:
            yield to_clip(plan.name, plan.motion(stream, gait)[1])
        if self.has_stand:
            yield stand_clip(10.0, gait)
        yield from stop_clips(gait, self.stop_phases)
