"""Disturbance of a teacher's actions while data is collected: slow enough that the joints follow it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bm_core.errors import ConfigError
from bm_core.g1 import CONTROL_DT, G1


@dataclass(frozen=True, kw_only=True)
class ActionNoiseConfig:
    """Ornstein-Uhlenbeck noise. White noise would be filtered out by the overdamped joints (beyondmimic 3.4)."""

    time_constant: tuple[float, float] = (0.1, 0.2)
    """s, drawn per robot and episode"""
    ladder: tuple[float, ...] = (0.25, 0.5, 1.0)
    """Factors on the spreads below; one of them per robot and episode."""
    clean_share: float = 0.2
    """Of the episodes without noise."""
    hip: float = 0.2
    """Standard deviation in network units; spreads by joint group as in the authors' data sets."""
    knee: float = 0.3
    ankle: float = 0.4
    others: float = 0.05
    """Waist and arms"""

    def __post_init__(self) -> None:
        if not 0.0 < self.time_constant[0] <= self.time_constant[1]:
            raise ConfigError(f"noise.time_constant = {self.time_constant}: 0 < shortest <= longest")
        if not 0.0 <= self.clean_share <= 1.0 or not self.ladder:
            raise ConfigError("noise: clean_share must be 0..1, and the ladder must have a rung")
        if not all(0.0 <= rung < math.inf for rung in self.ladder):
            raise ConfigError(f"noise.ladder = {self.ladder}: its rungs must be numbers, at least 0")

    @property
    def spread(self) -> tuple[float, ...]:
        """(29,) standard deviation of every joint at factor 1."""
        groups = {"_hip_": self.hip, "_knee_": self.knee, "_ankle_": self.ankle}
        return tuple(
            next((value for part, value in groups.items() if part in name), self.others) for name in G1.joint_names
        )


class ActionNoise:
    """The noise of E robots, (E, 29) in network units."""

    def __init__(self, config: ActionNoiseConfig, robots: int, generator: torch.Generator) -> None:
        self._config, self._generator, device = config, generator, generator.device
        self._spread = torch.tensor(config.spread, device=device)
        self._ladder = torch.tensor(config.ladder, device=device)
        self.value = torch.zeros(robots, len(config.spread), device=device)
        """The present noise."""
        self.factor = torch.zeros(robots, 1, device=device)
        """Rung of the ladder; 0 for a clean episode."""
        self._keep = torch.zeros(robots, 1, device=device)
        self.reset(torch.ones(robots, dtype=torch.bool, device=device))

    def reset(self, which: Tensor) -> None:
        """New episodes for the robots in `which` (E,) bool; their noise starts in its stationary distribution."""
        shape = self.factor.shape
        low, high = self._config.time_constant
        time_constant = low + (high - low) * self._rand(shape)
        rung = self._ladder[(self._rand(shape) * len(self._ladder)).long()]
        rung = torch.where(self._rand(shape) < self._config.clean_share, 0.0, rung)
        which = which[:, None]
        self._keep = torch.where(which, torch.exp(-CONTROL_DT / time_constant), self._keep)
        self.factor = torch.where(which, rung, self.factor)
        self.value = torch.where(which, self._fresh(), self.value)

    def step(self) -> Tensor:
        """The noise of the next control step."""
        self.value = self._keep * self.value + (1.0 - self._keep**2).sqrt() * self._fresh()
        return self.value

    def _fresh(self) -> Tensor:
        noise = torch.randn(self.value.shape, generator=self._generator, device=self.value.device)
        return noise * self._spread * self.factor

    def _rand(self, shape: torch.Size) -> Tensor:
        return torch.rand(shape, generator=self._generator, device=self.value.device)
