"""Pushes as the reference trains and tests with: a jump of the pelvis's velocity every 1 to 3 s."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import CONTROL_DT

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PushConfig:
    """Uniform ranges. Source: whole_body_tracking (tracking_env_cfg.py)."""

    linear: tuple[float, float, float] = (0.5, 0.5, 0.2)
    """m/s, +- in x, y, z of the world."""
    angular: tuple[float, float, float] = (0.52, 0.52, 0.78)
    """rad/s, +- about x, y, z of the world."""
    interval: tuple[float, float] = (1.0, 3.0)
    """s between two pushes, and before the first."""


class PushSchedule:
    """When the next push comes and what it is; equal seeds give equal pushes."""

    def __init__(self, config: PushConfig, rng: np.random.Generator) -> None:
        self._config, self._rng = config, rng
        self._steps_left = self._draw_interval()

    def next(self) -> tuple[Array, Array] | None:
        """Called once per control step: (linear (3,) m/s, angular (3,) rad/s) if a push is due before it."""
        if self._steps_left > 0:
            self._steps_left -= 1
            return None
        self._steps_left = self._draw_interval() - 1
        linear, angular = np.array(self._config.linear), np.array(self._config.angular)
        return self._rng.uniform(-linear, linear), self._rng.uniform(-angular, angular)

    def _draw_interval(self) -> int:
        return round(self._rng.uniform(*self._config.interval) / CONTROL_DT)


def push_rng(seed: int, name: str, start_frame: int) -> np.random.Generator:
    """Generator of one episode: the same whatever else is evaluated, in whatever order, on however many processes."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), start_frame])
