"""Adaptive sampling of start frames: hard seconds are practised more often, none is ever forgotten.

Source: BeyondMimic 3.1 (v3, v4). Deliberate differences from whole_body_tracking: failure rates instead of counts, an
exact floor, kernels that end with the clip; so the statistics do not depend on the number of environments.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bm_core.errors import ConfigError
from bm_training.sampling.alias_table import AliasTable
from bm_training.sampling.bins import build_bins
from bm_training.sampling.config import AdaptiveSamplerConfig, SamplingMode
from bm_training.sampling.probabilities import BinProbabilities
from bm_training.sampling.ranks import rank, sum_over_ranks

_LOG = logging.getLogger(__name__)
_FAILURES, _ENTRIES = 0, 1


@dataclass(frozen=True, kw_only=True)
class SamplerSnapshot:
    """State of the table after an iteration, for heat maps."""

    iteration: int
    failure_rate: np.ndarray
    """(B,) float32."""
    probability: np.ndarray
    """(B,) float32."""


class AdaptiveSampler:
    """Start frames from a flat table of bins over all clips. Works on the generator's device; no loop over motions.

    EpisodeCounter feeds it. Probabilities change only in `end_iteration`, so that every rank draws from the same ones.
    """

    def __init__(
        self,
        config: AdaptiveSamplerConfig,
        motion_lengths: Sequence[int] | Tensor,
        weights: Sequence[float] | Tensor,
        fps: float,
        generator: torch.Generator,
        names: Sequence[str] | None = None,
    ) -> None:
        """`motion_lengths` (M,) in frames, `weights` (M,) >= 0. Raises ConfigError when they do not fit."""
        self.config = config
        self.fps = fps
        self.generator = generator
        self.device = generator.device
        self.bins = build_bins(motion_lengths, round(config.bin_s * fps), self.device)
        self.names = list(names) if names is not None else [str(i) for i in range(self.bins.num_motions)]
        self._lengths = torch.as_tensor(motion_lengths).tolist()
        self.motion_weight = self._checked(weights, self.bins.num_motions, "motion weights")
        """(M,) float64; a motion of weight 0 is not drawn."""
        if len(self.names) != self.bins.num_motions:
            raise ConfigError(f"sampler: {len(self.names)} names for {self.bins.num_motions} motions")
        self._formula = BinProbabilities(config, self.bins)
        self.iteration = 0
        # Rows: failures, entries. float64: 50 iterations of 4096 envs stay exact integers before the discount.
        self._sums = torch.zeros(2, self.bins.num_bins, dtype=torch.float64, device=self.device)
        self._pending = torch.zeros_like(self._sums)
        self._override: Tensor | None = None
        self._refresh()

    # -- drawing

    def sample(self, num: int) -> tuple[Tensor, Tensor]:
        """Motions and start frames, (num,) int64 each; at least one control step remains after each frame."""
        draw = torch.rand(2, num, dtype=torch.float64, device=self.device, generator=self.generator)
        index = self._table.draw(draw[0])
        first, steps = self.bins.first_frame[index], self.bins.steps[index]
        if self.config.mode is SamplingMode.START and self._override is None:
            return self.bins.motion[index], first
        # u * steps can round up to steps although u < 1.
        offset = torch.minimum((draw[1] * steps).long(), steps - 1)
        return self.bins.motion[index], first + offset

    @property
    def probabilities(self) -> Tensor:
        """p', (B,) float64: what `sample` draws from."""
        return self._probabilities

    def override(self, probabilities: Tensor | Sequence[float] | None) -> None:
        """Draw from these bin weights (B,), whatever the mode and the statistics; None ends it. Raises ConfigError."""
        if probabilities is None:
            self._override = None
        else:
            weight = self._checked(probabilities, self.bins.num_bins, "bin probabilities")
            self._override = weight / weight.sum()
        self._refresh()

    @property
    def base_probabilities(self) -> Tensor:
        """q, (B,): what is drawn while nothing is known; the floor is lambda of it."""
        return self._base

    def set_motion_weights(self, weights: Tensor | Sequence[float]) -> None:
        """Other motion weights (M,), from the next draw on; statistics stay. Raises ConfigError."""
        self.motion_weight = self._checked(weights, self.bins.num_motions, "motion weights")
        self._refresh()

    # -- statistics

    def add_entries(self, index: Tensor, amount: Tensor) -> None:
        """Episodes (`amount`, float64) that start in or enter the bins `index`; duplicates add up."""
        self._pending[_ENTRIES].index_add_(0, index, amount)

    def add_failures(self, index: Tensor, amount: Tensor) -> None:
        """Failures (`amount`, float64) counted for the bins `index`; duplicates add up."""
        self._pending[_FAILURES].index_add_(0, index, amount)

    def drop_pending(self) -> None:
        """Forget what has been counted since the last `end_iteration`: those episodes are taken back."""
        self._pending = torch.zeros_like(self._pending)

    @property
    def failures(self) -> Tensor:
        """F, (B,): discounted failures up to the last `end_iteration`."""
        return self._sums[_FAILURES]

    @property
    def entries(self) -> Tensor:
        """N, (B,): discounted episodes up to the last `end_iteration`."""
        return self._sums[_ENTRIES]

    @property
    def failure_rate(self) -> Tensor:
        """r = (F + 0.5) / (N + 1), (B,): 0.5 where nothing is known yet."""
        return (self.failures + 0.5) / (self.entries + 1.0)

    def end_iteration(self) -> None:
        """Once per PPO iteration: discount, take in the new counts of all ranks, renew the probabilities."""
        self._sums = self.config.decay * self._sums + sum_over_ranks(self._pending)
        self._pending = torch.zeros_like(self._pending)
        self.iteration += 1
        self._refresh()

    def _refresh(self) -> None:
        self._base = self._formula.base(self.motion_weight)
        target = self._formula.target(self.motion_weight, self.failure_rate, self.iteration)
        self._probabilities = target if self._override is None else self._override
        self._table = AliasTable(self._probabilities)

    # -- reports

    def metrics(self) -> dict[str, float]:
        """Scalars for the log; one device synchronisation. Entropy is normalised to [0, 1], 1 for a single bin."""
        p = self._probabilities
        entropy = -torch.xlogy(p, p).sum() / math.log(len(p)) if len(p) > 1 else p.new_ones(())
        top_probability, top = p.max(0)
        mean_rate = (self.base_probabilities * self.failure_rate).sum()
        motion, frame = self.bins.motion[top], self.bins.first_frame[top]
        values = torch.stack([entropy, top_probability, motion.double(), frame / self.fps, mean_rate]).tolist()
        keys = ("entropy", "top1_probability", "top1_motion", "top1_time_s", "mean_failure_rate")
        return dict(zip(keys, values, strict=True))

    def top_bin(self) -> tuple[str, float, float]:
        """Motion name, time in the clip in s and probability of the likeliest bin."""
        metrics = self.metrics()
        return self.names[int(metrics["top1_motion"])], metrics["top1_time_s"], metrics["top1_probability"]

    def motion_failure_rates(self) -> dict[str, float]:
        """Failure rate of each motion: mean over its bins, weighted by duration."""
        rates = self._formula.motion_failure_rate(self.failure_rate)
        return dict(zip(self.names, rates.tolist(), strict=True))

    def snapshot(self) -> SamplerSnapshot:
        """Rate and probability of every bin, on the host."""
        rate, probability = self.failure_rate.float().cpu().numpy(), self._probabilities.float().cpu().numpy()
        return SamplerSnapshot(iteration=self.iteration, failure_rate=rate, probability=probability)

    # -- resume

    def state_dict(self) -> dict[str, Any]:
        """Everything the next sample depends on, the generator's state included."""
        return {
            "names": list(self.names),
            "lengths": list(self._lengths),
            "bin_steps": self.bins.bin_steps,
            "iteration": self.iteration,
            "sums": self._sums.clone(),
            "pending": self._pending.clone(),
            "motion_weight": self.motion_weight.clone(),
            "override": None if self._override is None else self._override.clone(),
            "generator_device": self.device.type,
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken. Raises ConfigError when the motions are others."""
        self._refuse_other_motions(state)
        self.iteration = int(state["iteration"])
        self._sums = state["sums"].to(self.device, torch.float64, copy=True)
        self._pending = state["pending"].to(self.device, torch.float64, copy=True)
        if "motion_weight" in state:  # older checkpoints have none
            self.motion_weight = state["motion_weight"].to(self.device, torch.float64, copy=True)
        override = state["override"]
        self._override = None if override is None else override.to(self.device, torch.float64, copy=True)
        if state["generator_device"] == self.device.type:
            # A checkpoint loaded with map_location brings the state to the GPU; generators want it on the host.
            self.generator.set_state(state["generator"].cpu())
            self._diverge_from_rank_zero()
        else:
            devices = state["generator_device"], self.device.type
            _LOG.warning(
                "sampler: the random state is of %s, this run on %s: statistics go on, draws start anew", *devices
            )
        self._refresh()

    def _diverge_from_rank_zero(self) -> None:
        # Rank 0 writes the checkpoint; with its generator on every rank all would draw the same starts.
        if rank() > 0:
            seed = torch.randint(2**62, (), device=self.device, generator=self.generator)
            self.generator.manual_seed(int(seed) + rank())

    def _refuse_other_motions(self, state: dict[str, Any]) -> None:
        if list(state["names"]) != self.names:
            differing = sorted(set(state["names"]) ^ set(self.names)) or ["their order"]
            raise ConfigError(
                f"sampler: the checkpoint is of other motions (first difference: {differing[0]}); "
                "resume with the same motion set, or start the sampler anew"
            )
        for name, then, now in zip(self.names, state["lengths"], self._lengths, strict=True):
            if then != now:
                raise ConfigError(
                    f"sampler: {name} had {then} frames in the checkpoint, has {now} now; "
                    "resume with the same clips, or start the sampler anew"
                )
        if state["bin_steps"] != self.bins.bin_steps:
            raise ConfigError(
                f"sampler: bins of {state['bin_steps']} control steps in the checkpoint, {self.bins.bin_steps} now; "
                "resume with the same bin_s, or start the sampler anew"
            )

    def _checked(self, values: Tensor | Sequence[float], size: int, what: str) -> Tensor:
        tensor = torch.as_tensor(values, dtype=torch.float64, device=self.device)
        if tensor.shape != (size,):
            raise ConfigError(f"sampler: {what} of shape {tuple(tensor.shape)}: must be ({size},)")
        if not bool(torch.isfinite(tensor).all()) or bool((tensor < 0).any()) or float(tensor.sum()) == 0.0:
            raise ConfigError(f"sampler: {what} must be finite, not negative and not all 0")
        return tensor
