"""What a report shows: plain values, recorded or computed before; the pages only draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bm_sim2real.video_clip import ClipVideo

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ClipTracks:
    """One row a control step (20 ms); joints and bodies in canonical order."""

    body_error: Array
    """(T, 14) m, target bodies against the re-anchored reference"""
    anchor_height: Array
    """(T,) m, torso_link of the robot"""
    anchor_height_reference: Array
    """(T,) m"""
    joint_error: Array
    """(T, 29) rad, absolute"""
    torque_share: Array
    """(T, 29) |motor torque| / effort limit, at the policy's readings"""
    robot_contact: NDArray[np.bool_]
    """(T, 2) left, right sole within 2 cm of the floor"""
    reference_contact: NDArray[np.bool_]
    """(T, 2) the same of the reference"""
    tick_ms: Array
    """(T,) state machine and policy, reading to command"""


@dataclass(frozen=True, kw_only=True)
class ClipReport:
    """One clip as it was played."""

    name: str
    seconds: float
    """Length of the clip, s."""
    completed: bool
    is_promised: bool = False
    """Whether the model card promises that it is completed."""
    ending: str = ""
    """What ended it early; empty if it was completed."""
    joint_error_rad: float
    """Mean over joints and steps."""
    body_error_m: float
    anchor_error_m: float
    tick_ms: Mapping[str, float]
    """p50, p99, max"""
    effort_clamps: int
    """Joint-ticks (2 ms) in which the guard held a torque at the effort limit."""
    hard_stop_clamps: int
    """Joint-ticks in which it removed a torque outwards at a hard stop."""
    clamp_share: float
    """Of all joint-ticks."""
    made_by: str = ""
    """Where the motion comes from, in words."""
    tracks: ClipTracks
    video: ClipVideo | None = None
    no_video: str = ""
    """Why there is no film."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything on the page."""

    policy: Sequence[tuple[str, str]]
    """Facts (label, value) about the policy."""
    terms: Sequence[tuple[str, int]]
    """Observation terms (name, width) in order."""
    machine: Sequence[tuple[str, str]]
    """Facts about the computer, the simulation and the versions."""
    summary: Mapping[str, float | int | Mapping[str, float]]
    """As in metrics.json."""
    clips: Sequence[ClipReport]
    promise: str
    """What was required of this run, in one sentence."""
    verdict: str
    """passed, failed, or not judged (nothing was promised)."""
    notes: Sequence[str] = field(default_factory=tuple)
    """Warnings that a reader must see."""
    made: str
    """When and by what version."""
