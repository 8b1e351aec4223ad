"""Where episodes start: adaptive sampling over all clips, and the states robots start from."""

from bm_training.sampling.adaptive_sampler import (
    AdaptiveSampler,
    AdaptiveSamplerConfig,
    Attribution,
    SamplerSnapshot,
    SamplingMode,
)
from bm_training.sampling.bins import BinTable, build_bins
from bm_training.sampling.episode_counter import EpisodeCounter

__all__ = [
    "AdaptiveSampler",
    "AdaptiveSamplerConfig",
    "Attribution",
    "BinTable",
    "EpisodeCounter",
    "SamplerSnapshot",
    "SamplingMode",
    "build_bins",
]
