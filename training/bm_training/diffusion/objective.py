"""The loss: clean tokens from noisy ones, every token at its own noise level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bm_core.diffusion.schedule import cosine_alpha_bar
from bm_core.diffusion.spec import DiffusionSpec
from bm_training.diffusion.windows import WindowBatch


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What is asked of the model."""

    clean_history: float = 0.5
    """Share of windows whose whole history is clean, as at run time; else its tokens are noisy like the others."""
    shared_levels: float = 0.5
    """Share of windows in which the future has one level for all states and one for all actions, as a sampling loop
    from nothing has; else every token draws its own, and plans whose tokens are all unknown hardly ever occur."""
    action_weight: float = 1.0
    """Of the actions' mean squared error beside the states'."""


@dataclass(frozen=True, kw_only=True)
class LossTerms:
    """Mean squared errors in model space, of tokens that were not clean; 0 where all of them were."""

    states: Tensor
    """(N,) by token"""
    actions: Tensor
    """(n,) by supervised action token: history and the first of the future"""
    total: Tensor


class Objective:
    """Noises windows and compares what a model makes of them."""

    def __init__(self, spec: DiffusionSpec, config: ObjectiveConfig, device: str | torch.device) -> None:
        self.config, self._layout, self._top = config, spec.layout, spec.levels

        def convert(values: object) -> Tensor:
            return torch.as_tensor(values, dtype=torch.float32, device=device)

        self._state_codec, self._action_codec = spec.state_codec.to(convert), spec.action_codec.to(convert)
        self._alpha_bar = convert(cosine_alpha_bar(spec.levels))

    def draw_levels(self, batch: int, generator: torch.Generator, clean_history: float) -> tuple[Tensor, Tensor]:
        """(B, N) for states and for actions, uniform in 0..K; in a share of the windows 0 throughout the history."""
        shape, device = (batch, self._layout.tokens), self._alpha_bar.device
        states, actions = (torch.randint(self._top + 1, shape, generator=generator, device=device) for _ in range(2))
        chance = torch.rand(batch, 3, generator=generator, device=device).split(1, dim=1)
        is_shared, is_clean = chance[0] < self.config.shared_levels, chance[1] < clean_history
        index = torch.arange(self._layout.tokens, device=device)
        state_known, action_known = index <= self._layout.present, index < self._layout.present
        # One level for both: states and actions denoised together. Two: actions after the states, or a warm start.
        one = torch.where(chance[2] < 0.5, states[:, -1:], actions[:, -1:])
        states = torch.where(is_shared & ~state_known, states[:, -1:], states)
        actions = torch.where(is_shared & ~action_known, one, actions)
        states, actions = states.masked_fill(is_clean & state_known, 0), actions.masked_fill(is_clean & action_known, 0)
        return states, actions

    def __call__(
        self,
        model: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
        windows: WindowBatch,
        generator: torch.Generator,
        clean_history: float | None = None,
    ) -> LossTerms:
        """Levels and noise come from the generator."""
        states, actions = self._state_codec.encode(windows.states), self._action_codec.encode(windows.actions)
        share = self.config.clean_history if clean_history is None else clean_history
        state_levels, action_levels = self.draw_levels(len(states), generator, share)
        noisy = self._noised(states, state_levels, generator), self._noised(actions, action_levels, generator)
        found_states, found_actions = model(*noisy, state_levels, action_levels)
        supervised = self._layout.present + self._layout.supervised
        state_error = (found_states.float() - states).square().mean(-1)
        action_error = (found_actions.float() - actions)[:, :supervised].square().mean(-1)
        # A clean token is given, not asked for: copying it through the network would only cost capacity.
        state_asked, action_asked = state_levels > 0, action_levels[:, :supervised] > 0
        state_total, action_total = _mean(state_error, state_asked), _mean(action_error, action_asked)
        return LossTerms(
            states=_mean(state_error, state_asked, dim=0).detach(),
            actions=_mean(action_error, action_asked, dim=0).detach(),
            total=state_total + self.config.action_weight * action_total,
        )

    def _noised(self, clean: Tensor, levels: Tensor, generator: torch.Generator) -> Tensor:
        alpha_bar = self._alpha_bar[levels][..., None]
        noise = torch.randn(clean.shape, generator=generator, device=clean.device)
        return alpha_bar.sqrt() * clean + (1.0 - alpha_bar).sqrt() * noise


def _mean(error: Tensor, is_counted: Tensor, dim: int | tuple[int, ...] = (0, 1)) -> Tensor:
    """Of the counted entries along `dim`; 0 where there are none."""
    return (error * is_counted).sum(dim) / is_counted.sum(dim).clamp(min=1)
