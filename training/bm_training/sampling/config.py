"""Settings of the adaptive sampler."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bm_training.require import require

MAX_BIN_S = 3600.0
"""Longer than any clip: one bin a clip."""


class SamplingMode(str, Enum):
    """How start frames are drawn."""

    ADAPTIVE = "adaptive"
    """By failure rate, over the floor."""
    UNIFORM = "uniform"
    """By motion weight x duration; statistics are still gathered."""
    START = "start"
    """Frame 0, motions by weight."""


class Attribution(str, Enum):
    """The bin that a failure is counted for."""

    FAILURE = "failure"
    """Where it happened (reference code); entries are counted in every bin that an episode passes through."""
    START = "start"
    """Where its episode started (text of v3); only starts are counted."""


class MotionChoice(str, Enum):
    """Whether the motion is drawn before the bin, and how."""

    TABLE = "table"
    """No: one flat table of bins, by weight x duration (x failure rate of the bin)."""
    UNIFORM = "uniform"
    """Every motion alike, then the bin."""
    WEIGHT = "weight"
    """By motion weight alone, then the bin."""
    FAILURE = "failure"
    """By motion weight x mean failure rate of the motion, then the bin."""


@dataclass(frozen=True, kw_only=True)
class AdaptiveSamplerConfig:
    """Numbers of the adaptive sampler."""

    mode: SamplingMode = SamplingMode.ADAPTIVE
    """adaptive | uniform | start."""
    attribution: Attribution = Attribution.FAILURE
    """failure | start: the bin that a failure counts for."""
    motion_choice: MotionChoice = MotionChoice.TABLE
    """table | uniform | weight | failure."""
    adaptive_after: int = 0
    """Adaptive mode: uniform during this many PPO iterations, while statistics are gathered."""
    bin_s: float = 1.0
    """Duration of a bin, s."""
    kernel_size: int = 3
    """K: bins whose failures make bin b likelier, b itself included. 1 switches the kernel off. (v4: 3)"""
    kernel_gamma: float = 0.8
    """Weight of the u-th bin ahead is gamma^u. (v4: 0.8)"""
    uniform_ratio: float = 0.1
    """lambda: share of starts drawn by weight x duration alone; an exact floor of every bin's probability."""
    half_life_iterations: float = 50.0
    """PPO iterations after which an episode counts half."""

    def __post_init__(self) -> None:
        require(0.0 < self.bin_s <= MAX_BIN_S, "sampler.bin_s", self.bin_s, f"> 0 s, at most {MAX_BIN_S:g} s")
        require(self.kernel_size >= 1, "sampler.kernel_size", self.kernel_size, ">= 1 (1 switches the kernel off)")
        require(0.0 < self.kernel_gamma <= 1.0, "sampler.kernel_gamma", self.kernel_gamma, "in (0, 1]")
        require(0.0 <= self.uniform_ratio <= 1.0, "sampler.uniform_ratio", self.uniform_ratio, "in [0, 1]")
        require(self.adaptive_after >= 0, "sampler.adaptive_after", self.adaptive_after, ">= 0 iterations")
        require(self.half_life_iterations > 0.0, "sampler.half_life_iterations", self.half_life_iterations, "> 0")

    @property
    def decay(self) -> float:
        """Factor of one iteration."""
        return 0.5 ** (1.0 / self.half_life_iterations)
