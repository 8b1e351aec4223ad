"""What only a simulator knows about the robot. Used to measure, never by a policy or a guard."""

from __future__ import annotations

from dataclasses import dataclass

from bm_core.body_state import BodyState


@dataclass(frozen=True, kw_only=True)
class GroundTruth(BodyState):
    """The simulated robot at one instant."""

    time: float
    """s"""
