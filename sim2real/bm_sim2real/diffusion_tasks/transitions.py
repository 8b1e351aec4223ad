"""From one skill into another by velocity alone: how far, and how fast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bm_sim2real.diffusion_tasks.track import Track
from bm_sim2real.diffusion_tasks.velocity_rules import FollowRule, judge_segment
from bm_sim2real.guidance.sources import Velocity

SEGMENT_S = 4.0
_SKILLS: tuple[tuple[str, Velocity], ...] = (
    ("stand", (0.0, 0.0, 0.0)),
    ("walk", (0.6, 0.0, 0.0)),
    ("stand", (0.0, 0.0, 0.0)),
    ("turn left", (0.0, 0.0, 0.6)),
    ("walk", (0.6, 0.0, 0.0)),
    ("back", (-0.4, 0.0, 0.0)),
    ("turn right", (0.0, 0.0, -0.6)),
    ("aside left", (0.0, 0.3, 0.0)),
    ("walk fast", (1.0, 0.0, 0.0)),
    ("stand", (0.0, 0.0, 0.0)),
    ("back", (-0.4, 0.0, 0.0)),
    ("stand", (0.0, 0.0, 0.0)),
)
TRANSITIONS = tuple(
    (name if index == 0 else f"{_SKILLS[index - 1][0]} -> {name}", SEGMENT_S, command)
    for index, (name, command) in enumerate(_SKILLS)
)
"""Name, s, command; each begins where the one before ends."""
_WINDOW_S = 0.8
"""s, about a gait cycle: the mean over less would be the sway."""


@dataclass(frozen=True, kw_only=True)
class TransitionResult:
    """One transition."""

    name: str
    command: Velocity
    mean: tuple[float, float, float]
    """Velocity of the last 2 s"""
    follows: bool
    settle_s: float
    """s after the change from which on the mean over a gait cycle stays within the rule; NaN if it never does"""


def judge_transitions(track: Track, rule: FollowRule | None = None) -> list[TransitionResult]:
    """Every transition of the script, which begins at time 0."""
    rule, results, start = rule or FollowRule(), [], 0.0
    for name, seconds, command in TRANSITIONS:
        end = start + seconds
        judged = judge_segment(track, command, start, end, rule)
        settle = _settle(track, command, start, end, rule) if judged.follows else float("nan")
        results.append(
            TransitionResult(name=name, command=command, mean=judged.mean, follows=judged.follows, settle_s=settle)
        )
        start = end
    return results


def _settle(track: Track, command: Velocity, start: float, end: float, rule: FollowRule) -> float:
    allowed = np.maximum(rule.share * np.abs(command), rule.floor)
    settled = float("nan")
    for first in np.arange(start, end - _WINDOW_S + 1e-9, 0.1):
        inside = (np.abs(track.mean_velocity(first, first + _WINDOW_S) - command) <= allowed).all()
        if not inside:
            settled = float("nan")
        elif np.isnan(settled):
            settled = float(first - start)
    return settled
