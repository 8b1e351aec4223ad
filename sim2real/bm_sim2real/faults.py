"""Faults are values: they have a name, a reason and a time, and they stay until someone resets them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Reaction(str, Enum):
    """What a fault leads to."""

    DAMPING = "damping"
    """At once and latched."""
    BRAKE = "brake"
    """BRAKE -> STAND, and stay: for losses that leave the policy alive."""


@dataclass(frozen=True)
class Fault:
    """One thing that went wrong."""

    name: str
    """Which rule, such as silent_policy."""
    reaction: Reaction
    tick: int
    """Writer tick (2 ms) or, from the task guard, control step (20 ms)."""
    detail: str
    """What was seen and what the limit is."""
    source: str = "guard"
    """guard (writer ticks) or task_guard (control steps)."""

    def __str__(self) -> str:
        return f"{self.source}: {self.name} at tick {self.tick}: {self.detail}"
