"""The loss: clean tokens from noisy ones, every token at its own noise level."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bm_core.diffusion.schedule import cosine_alpha_bar
from bm_core.diffusion.spec import DiffusionSpec
from bm_training.diffusion.windows import WindowBatch
from bm_training.require import require


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What is asked of the model."""

    clean_history: float = 0.5
    """Share of windows whose whole history is clean, as at run time; else its tokens are noisy like the others."""
    shared_levels: float = 0.5
    """Share of windows in which the future has one level for all states and one for all actions, as a sampling loop
    from nothing has; else every token draws its own, and plans whose tokens are all unknown hardly ever occur."""
    committed: float = 0.0
    """Share of the windows with a clean history whose first future actions are given, as to a plan that arrives late:
    the robot runs on meanwhile. They are what it really ran. The teacher's would say what is yet to happen to it."""
    most_committed: int = 3
    """Action tokens that are given then, 1 to so many, alike often."""
    forgotten: float = 0.0
    """Share of the windows with a clean history whose actions before the present are all noise: who sees what he did
    goes on with it, whatever the states ask for."""
    action_weight: float = 1.0
    """Of the actions' mean squared error beside the states'."""

    def __post_init__(self) -> None:
        for name in ("clean_history", "shared_levels", "committed", "forgotten"):
            require(0.0 <= getattr(self, name) <= 1.0, name, getattr(self, name), "a share, 0 to 1")
        require(self.most_committed >= 1, "most_committed", self.most_committed, ">= 1 action token")
        require(0.0 <= self.action_weight < math.inf, "action_weight", self.action_weight, "a number, at least 0")


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Noise levels of a batch."""

    states: Tensor
    """(B, N) 0..K"""
    actions: Tensor
    """(B, N) 0..K"""
    is_committed: Tensor
    """(B, N) bool: action tokens of the future that are given; their level is 0."""


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

    def draw_levels(self, batch: int, generator: torch.Generator, config: ObjectiveConfig) -> Levels:
        """Uniform in 0..K; in a share of the windows 0 throughout the history, in a share of those also behind it."""
        shape, device = (batch, self._layout.tokens), self._alpha_bar.device
        states, actions = (torch.randint(self._top + 1, shape, generator=generator, device=device) for _ in range(2))
        chance = torch.rand(batch, 6, generator=generator, device=device).split(1, dim=1)
        is_shared, is_clean = chance[0] < config.shared_levels, chance[1] < config.clean_history
        index = torch.arange(self._layout.tokens, device=device)
        state_known, action_known = index <= self._layout.present, index < self._layout.present
        # One level for both: states and actions denoised together. Two: actions after the states, or a warm start.
        one = torch.where(chance[2] < 0.5, states[:, -1:], actions[:, -1:])
        states = torch.where(is_shared & ~state_known, states[:, -1:], states)
        actions = torch.where(is_shared & ~action_known, one, actions)
        states, actions = states.masked_fill(is_clean & state_known, 0), actions.masked_fill(is_clean & action_known, 0)
        is_forgotten = is_clean & action_known & (chance[5] < config.forgotten)
        actions = actions.masked_fill(is_forgotten, self._top)
        count = torch.where(
            is_clean & (chance[3] < config.committed), 1 + (chance[4] * config.most_committed).long(), 0
        )
        is_committed = ~action_known & (index < self._layout.present + count)
        return Levels(states=states, actions=actions.masked_fill(is_committed, 0), is_committed=is_committed)

    def __call__(
        self,
        model: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
        windows: WindowBatch,
        generator: torch.Generator,
        config: ObjectiveConfig | None = None,
    ) -> LossTerms:
        """Levels and noise come from the generator. `config`: other shares than the usual ones."""
        levels = self.draw_levels(len(windows.states), generator, config or self.config)
        state_levels, action_levels = levels.states, levels.actions
        given = torch.where(levels.is_committed[..., None], windows.applied, windows.actions)
        states, actions = self._state_codec.encode(windows.states), self._action_codec.encode(given)
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
