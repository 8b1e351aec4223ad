"""Options of the sampler on a command line; torch-free, so that `--help` stays quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bm_training.sampling import AdaptiveSamplerConfig


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """Where episodes start."""

    sampling: Literal["adaptive", "uniform", "start"] = "adaptive"
    """By failure rate, by weight x duration, or each clip's first frame."""
    attribution: Literal["failure", "start"] = "failure"
    """A failure counts for the bin where it happened, or for the bin where its episode started."""
    motion_choice: Literal["table", "uniform", "weight", "failure"] = "table"
    """One table of all bins; or the motion first: each alike, by weight, or by weight x failure rate; then the bin."""
    adaptive_after: int = 0
    """Sample uniformly during this many iterations first."""
    bin_s: float = 1.0
    """Duration of a bin, s."""
    kernel_size: int = 3
    """Bins whose failures make a bin likelier, itself included; 1 switches the kernel off."""
    kernel_gamma: float = 0.8
    """Weight of the u-th bin ahead is gamma^u."""
    uniform_ratio: float = 0.1
    """Share of starts drawn by weight x duration alone."""
    half_life_iterations: float = 50.0
    """Iterations after which an episode counts half."""
    bin_probabilities: Path | None = None
    """YAML file with weights of bins by hand (clip: number, or a list with one a bin); overrides --sampling."""

    def config(self) -> AdaptiveSamplerConfig:
        """For the sampler. Raises ConfigError for values out of range."""
        from bm_training.sampling import AdaptiveSamplerConfig, Attribution, MotionChoice, SamplingMode

        return AdaptiveSamplerConfig(
            mode=SamplingMode(self.sampling),
            attribution=Attribution(self.attribution),
            motion_choice=MotionChoice(self.motion_choice),
            adaptive_after=self.adaptive_after,
            bin_s=self.bin_s,
            kernel_size=self.kernel_size,
            kernel_gamma=self.kernel_gamma,
            uniform_ratio=self.uniform_ratio,
            half_life_iterations=self.half_life_iterations,
        )
