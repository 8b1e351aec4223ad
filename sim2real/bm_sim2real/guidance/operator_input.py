"""Sticks and keys to velocities: dead zone, the range that the model knows, no leaps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_sim2real.guidance.planar_state import PlanarState
from bm_sim2real.guidance.sources import Velocity


@dataclass(frozen=True, kw_only=True)
class StickConfig:
    """How sticks (-1..1) become velocities."""

    forward: float = 1.0
    """m/s at full stick"""
    backward: float = 0.5
    """m/s"""
    sideways: float = 0.35
    """m/s"""
    turn: float = 0.9
    """rad/s"""
    dead_zone: float = 0.1
    """Share of the stick's way that counts as centred."""
    slew: float = 1.5
    """m/s and rad/s per second that a command may change."""


@dataclass(frozen=True, kw_only=True)
class Sticks:
    """What the operator does now."""

    ahead: float = 0.0
    """-1..1, forward positive"""
    left: float = 0.0
    """-1..1, left positive"""
    turn: float = 0.0
    """-1..1, to the left positive"""
    is_held: bool = True
    """The dead man's switch; without it the command is to stand still."""


def stick_velocity(sticks: Sticks, config: StickConfig) -> Velocity:
    """The velocity asked for."""
    if not sticks.is_held:
        return 0.0, 0.0, 0.0
    ahead, left, turn = (_beyond(value, config.dead_zone) for value in (sticks.ahead, sticks.left, sticks.turn))
    return ahead * (config.forward if ahead > 0.0 else config.backward), left * config.sideways, turn * config.turn


@dataclass
class OperatorSource:
    """A goal source that an input device writes to; commands change at a limited rate."""

    config: StickConfig = field(default_factory=StickConfig)
    sticks: Sticks = field(default_factory=Sticks)
    """The newest; replaced as a whole, so another thread may do it."""
    _told: Velocity = (0.0, 0.0, 0.0)
    _time: float | None = None

    def goal(self, state: PlanarState) -> GuidanceGoal:
        wanted = np.array(stick_velocity(self.sticks, self.config))
        passed = 0.0 if self._time is None else max(0.0, state.time - self._time)
        self._time = state.time
        most = self.config.slew * passed
        told = np.array(self._told) + np.clip(wanted - self._told, -most, most)
        self._told = (float(told[0]), float(told[1]), float(told[2]))
        return GuidanceGoal(velocity=self._told)


def _beyond(value: float, dead_zone: float) -> float:
    """The stick's way beyond the dead zone, -1..1 again; what is no number counts as centred."""
    if not -1.5 <= value <= 1.5:
        return 0.0
    way = max(0.0, min(abs(value), 1.0) - dead_zone) / (1.0 - dead_zone)
    return way if value > 0.0 else -way
