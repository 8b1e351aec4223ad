"""Where episodes start: adaptive sampling over all clips, and the states robots start from."""

from bm_training.sampling.adaptive_sampler import AdaptiveSampler, SamplerSnapshot
from bm_training.sampling.bins import BinTable, build_bins
from bm_training.sampling.config import AdaptiveSamplerConfig, Attribution, MotionChoice, SamplingMode
from bm_training.sampling.episode_counter import EpisodeCounter
from bm_training.sampling.manual_bins import read_bin_weights
from bm_training.sampling.start_state import StartState, StartStateConfig, StartStateSampler, start_state

__all__ = [
    "AdaptiveSampler",
    "AdaptiveSamplerConfig",
    "Attribution",
    "BinTable",
    "EpisodeCounter",
    "MotionChoice",
    "SamplerSnapshot",
    "SamplingMode",
    "StartState",
    "StartStateConfig",
    "StartStateSampler",
    "build_bins",
    "read_bin_weights",
    "start_state",
]
