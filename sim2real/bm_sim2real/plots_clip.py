"""The figure of one clip: errors, height, contacts, joints and motors over a common time axis."""

from __future__ import annotations

import numpy as np

from bm_core.g1 import G1
from bm_sim2real.plots import Curve, heat_panel, line_panel, strip_panel, time_axis
from bm_sim2real.report_data import ClipReport, ClipTracks

DT = 0.02
"""s a row"""
JOINT_GROUPS = (("left leg", 6), ("right leg", 6), ("waist", 3), ("left arm", 7), ("right arm", 7))
"""Canonical joint order in blocks."""
HEAT_TOP_RAD = 0.5
"""The heat map's full colour, the same for all clips so that they can be compared."""
WORST_JOINTS = 3
CONTACT_LEGEND = (("reference", "reference"), ("robot", "robot"))
"""(style, label)"""


def clip_figure(clip: ClipReport) -> str:
    """All panels of a clip as HTML. Every point is a recorded control step; nothing is smoothed."""
    tracks = clip.tracks
    total = max(round(clip.seconds / DT), len(tracks.anchor_height), len(tracks.torque_share), 1)
    torque = _filled(tracks.torque_share.max(axis=1, initial=0.0), total)
    error_mm = 1e3 * _filled(tracks.body_error, total)
    panels = [
        line_panel(
            "Body error", "mm",
            [Curve(values=error_mm.max(axis=1), style="worst", label="worst of 14 bodies"),
             Curve(values=error_mm.mean(axis=1), style="robot", label="mean")],
            low=0.0,
        ),
        line_panel(
            "Torso height", "m",
            [Curve(values=_filled(tracks.anchor_height_reference, total), style="reference", label="reference"),
             Curve(values=_filled(tracks.anchor_height, total), style="robot", label="robot")],
            **_around(tracks.anchor_height_reference, 0.05),
        ),
        _contacts(tracks, total),
        heat_panel("Joint error", "rad", _filled(tracks.joint_error, total), JOINT_GROUPS, HEAT_TOP_RAD),
        line_panel(
            "Motor torque", "share of the limit",
            [Curve(values=torque, style="robot", label="highest joint")],
            low=0.0, high=1.0,
        ),
    ]  # fmt: skip
    seconds = total * DT
    played = len(tracks.anchor_height) / total
    ended = "" if clip.completed else f'<i class="ended" style="--played:{played:.4f}"></i>'
    return (
        f'<div class="stack" data-seconds="{seconds:g}">{"".join(panels)}{time_axis(seconds)}{ended}'
        '<i class="playhead"></i></div>'
    )


def worst_joints(clip: ClipReport) -> list[tuple[str, float]]:
    """The joints with the largest mean error, (name, rad); none if nothing was measured."""
    if not len(clip.tracks.joint_error):
        return []
    mean = clip.tracks.joint_error.mean(axis=0)
    return [(_joint(index), float(mean[index])) for index in np.argsort(-mean)[:WORST_JOINTS]]


def clamp_words(clip: ClipReport) -> str:
    """How often the guard intervened."""
    counts = (("at the effort limit", clip.effort_clamps), ("at a hard stop", clip.hard_stop_clamps))
    parts = [f"{count} joint ticks {label}" for label, count in counts if count]
    return f"{', '.join(parts)} ({clip.clamp_share:.2%} of all)" if parts else "none"


def _contacts(tracks: ClipTracks, total: int) -> str:
    rows = [
        ("left", "on-reference", tracks.reference_contact[:, 0]),
        ("", "on-robot", tracks.robot_contact[:, 0]),
        ("right", "on-reference", tracks.reference_contact[:, 1]),
        ("", "on-robot", tracks.robot_contact[:, 1]),
    ]
    padded = [(label, style, _padded_flags(flags, total)) for label, style, flags in rows]
    return strip_panel("Feet on the floor", CONTACT_LEGEND, padded)


def _filled(values: np.ndarray, total: int) -> np.ndarray:
    """With NaN rows up to `total`, so that a clip that ended early keeps its time axis."""
    missing = total - len(values)
    return np.concatenate([values, np.full((missing, *values.shape[1:]), np.nan)]) if missing else values


def _around(values: np.ndarray, margin: float) -> dict[str, float]:
    """An axis that is never so narrow that noise looks like motion."""
    return {"low": float(values.min()) - margin, "high": float(values.max()) + margin} if len(values) else {}


def _padded_flags(flags: np.ndarray, total: int) -> np.ndarray:
    return np.concatenate([flags, np.zeros(total - len(flags), dtype=bool)])


def _joint(index: int) -> str:
    return G1.joint_names[index].removesuffix("_joint").replace("_", " ")
