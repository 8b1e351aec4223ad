"""Turns what happens to environments into the counts of the adaptive sampler."""

from __future__ import annotations

import torch
from torch import Tensor

from bm_training.sampling.adaptive_sampler import AdaptiveSampler
from bm_training.sampling.config import Attribution


class EpisodeCounter:
    """Remembers the bin of every environment, so that the caller neither finds crossings nor names bins.

    Call per control step, in the order of Isaac Lab: `fail` (terminations, judged against the frame of the last call),
    `start` (resets), `step` (frames advanced). An episode that is started anew without `fail` was a pass: time-outs
    and clip ends need no call.
    """

    def __init__(self, sampler: AdaptiveSampler, num_envs: int) -> None:
        self._sampler = sampler
        device = sampler.device
        self._bin = torch.zeros(num_envs, dtype=torch.int64, device=device)
        # Iteration of the entry that a failure would answer.
        self._entered = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._is_open = torch.zeros(num_envs, dtype=torch.bool, device=device)

    def start(self, env_ids: Tensor | slice, motion_id: Tensor, frame: Tensor) -> None:
        """Episodes of `env_ids` (n,) begin at `frame` (n,) of `motion_id` (n,)."""
        index = self._sampler.bins.bin_of(motion_id, frame)
        self._bin[env_ids] = index
        self._entered[env_ids] = self._sampler.iteration
        self._is_open[env_ids] = True
        self._sampler.add_entries(index, torch.ones_like(index, dtype=torch.float64))

    def episode_state(self) -> dict[str, Tensor]:
        """What the coming counts depend on, the tensors themselves."""
        return {"bin": self._bin, "entered": self._entered, "is_open": self._is_open}

    def restart(self, mask: Tensor, motion_id: Tensor, frame: Tensor) -> None:
        """`start` for the environments of `mask` (E,) among all; motion_id, frame (E,)."""
        index = self._sampler.bins.bin_of(motion_id, frame)
        self._bin = torch.where(mask, index, self._bin)
        self._entered = torch.where(mask, self._sampler.iteration, self._entered)
        self._is_open |= mask
        self._sampler.add_entries(index, mask.double())

    def step(self, motion_id: Tensor, frame: Tensor) -> None:
        """All environments now face `frame` (E,) of `motion_id` (E,); those in a new bin count as entering it."""
        if self._sampler.config.attribution is Attribution.START:
            return
        index = self._sampler.bins.bin_of(motion_id, frame)
        crossed = (index != self._bin) & self._is_open
        self._bin = torch.where(crossed, index, self._bin)
        self._entered = torch.where(crossed, self._sampler.iteration, self._entered)
        # All environments, those that did not cross with 0: a boolean index would stall the GPU.
        self._sampler.add_entries(index, crossed.double())

    def fail(self, failed: Tensor) -> None:
        """Mask (E,) of environments that a termination other than a time-out or clip end has just stopped.

        Counted once an episode. A failure weighs what its entry weighs by now, so F <= N holds under the discount.
        """
        counted = failed & self._is_open
        age = (self._sampler.iteration - self._entered).double()
        self._sampler.add_failures(self._bin, torch.where(counted, self._sampler.config.decay**age, 0.0))
        self._is_open &= ~failed
