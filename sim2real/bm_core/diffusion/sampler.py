"""The denoising loop: DDPM, DDIM or few steps, cold or from the last plan, guided or not. The reference for all others.

Written with operators only, so that the same lines run on NumPy arrays and, with torch arrays in codecs and request,
on torch. `denoise` alone decides where the network runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.codec import TokenCodec
from bm_core.diffusion.guidance.arrays import library
from bm_core.diffusion.schedule import StepTables, level_plan
from bm_core.errors import ConfigError

Levels = NDArray[np.int64]


class Denoise(Protocol):
    """The network: noisy tokens (B, N, M) with their levels (B, N) -> predicted clean tokens, in model space.

    `actions` None asks for the states alone; the second answer is then None.
    """

    def __call__(
        self, states: Any, actions: Any, state_levels: Levels, action_levels: Levels | None
    ) -> tuple[Any, Any]: ...


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """A cost that pulls the predicted states: x0 <- x0 - step, in every pass, unknown tokens only.

    step = spread(min(scale * sqrt((1 - abar) / abar), max_weight) * gradient), in SI units; a plan whose longest token
    step is above max_step in normalised units is moved by so much less as a whole.
    """

    gradient: Callable[[Any], Any]
    """d cost / d states, (B, N, D) -> (B, N, D), states in SI units relative to the present."""
    spread: Callable[[Any, Any], Any] | None = None
    """(states, step) -> step, (B, N, D) each: what else moves with what is pulled; None: nothing."""
    scale: float = 1.0
    max_weight: float = 1.0
    """The weight grows without bound towards the highest level; 1 fulfils 1/2 error^2 in one pass, above 2 the
    passes would leap over the goal farther each time."""
    max_step: float = 0.5
    """Normalised units"""
    min_level: int = 1
    max_level: int = 10**6
    """Tokens outside these levels are not pulled."""


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """What is known, and how well, at the start of a loop; SI units, B plans of N pairs."""

    states: Any
    """(B, N, D)"""
    actions: Any
    """(B, N, A)"""
    state_levels: Levels
    """(N,): 0 the token is known and stays (history); K nothing is known; between: a guess (keyframe)."""
    action_levels: Levels
    """(N,)"""


@dataclass(frozen=True, kw_only=True)
class SamplerNoise:
    """Standard normal numbers of a whole loop: [0] for the start, [1 + j] for pass j."""

    states: Any
    """(passes + 1, B, N, M)"""
    actions: Any
    """(passes + 1 or action passes + 1, B, N, A)"""


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """Settings and tables of a loop; see `sample`."""

    state_codec: TokenCodec
    action_codec: TokenCodec
    tables: StepTables
    passes: int
    """Of the network; with `action_passes` those on the states."""
    action_passes: int = 0
    """0: states and actions together. Else first the states alone, then so many passes for the actions."""
    convert: Callable[[NDArray[np.float64]], Any] = np.asarray
    """NumPy table -> array of the library that the loop runs on."""

    def draw_noise(self, rng: np.random.Generator, batch: int, tokens: int) -> SamplerNoise:
        """Deterministic in the generator's state, float64 NumPy."""
        passes = self.action_passes or self.passes
        return SamplerNoise(
            states=rng.standard_normal((self.passes + 1, batch, tokens, self.state_codec.model_width)),
            actions=rng.standard_normal((passes + 1, batch, tokens, self.action_codec.model_width)),
        )

    def sample(
        self, denoise: Denoise, request: PlanRequest, noise: SamplerNoise, guidance: Guidance | None = None
    ) -> tuple[Any, Any]:
        """States (B, N, D) and actions (B, N, A) in SI units; known tokens come back as they were given."""
        top = len(self.tables.alpha_bar) - 1
        if max(request.state_levels.max(), request.action_levels.max()) > top:
            raise ConfigError(f"sampler: a start level is above {top}, the highest of the schedule")
        passes = self.action_passes or self.passes
        states = _Track(self, self.state_codec, request.states, request.state_levels, noise.states, self.passes)
        actions = _Track(self, self.action_codec, request.actions, request.action_levels, noise.actions, passes)
        pull = None if guidance is None else _Pull(self, states.levels, guidance)
        for j in range(self.passes):
            together = self.action_passes == 0
            answer = denoise(
                states.tokens,
                actions.tokens if together else None,
                states.batch_levels[j],
                actions.batch_levels[j] if together else None,
            )
            states.step(j, answer[0], pull)
            if together:
                actions.step(j, answer[1])
        for j in range(self.action_passes):
            levels = states.batch_levels[self.passes], actions.batch_levels[j]
            actions.step(j, denoise(states.tokens, actions.tokens, *levels)[1])
        return states.result(request.states), actions.result(request.actions)

    def columns(self, values: NDArray[np.float64]) -> Any:
        """(passes, N) -> (passes, N, 1) for products with tokens."""
        return self.convert(np.ascontiguousarray(values)[..., None])


class _Track:
    """The tokens of one kind on their way down. What depends on levels alone is made once, for all passes."""

    def __init__(
        self, sampler: Sampler, codec: TokenCodec, values: Any, start: Levels, noise: Any, passes: int
    ) -> None:
        self._codec, self._noise, tables = codec, noise, sampler.tables
        self.levels = level_plan(start, passes)
        """(passes + 1, N)"""
        self.batch_levels = np.broadcast_to(self.levels[:, None], (passes + 1, values.shape[0], len(start)))
        """(passes + 1, B, N)"""
        before, after = self.levels[:-1], self.levels[1:]
        self._from_clean = sampler.columns(tables.from_clean[before, after])
        self._from_noisy = sampler.columns(tables.from_noisy[before, after])
        self._sigma = sampler.columns(tables.sigma[before, after])
        alpha_bar, is_known = tables.alpha_bar[start], sampler.columns((start == 0).astype(np.float64))
        known = codec.encode(values)
        self._is_known, self._is_unknown, self._known = is_known, 1.0 - is_known, known * is_known
        self.tokens = known * sampler.columns(np.sqrt(alpha_bar)) + noise[0] * sampler.columns(np.sqrt(1 - alpha_bar))

    def step(self, j: int, prediction: Any, pull: _Pull | None = None) -> None:
        """From the levels before pass j to those after it, given the network's clean tokens."""
        clean = self._codec.clamp(self._codec.reduce(prediction))
        if pull is not None:
            clean = self._codec.clamp(clean - pull(j, clean))
        clean = self._known + self._codec.expand(clean) * self._is_unknown
        self.tokens = (
            clean * self._from_clean[j] + self.tokens * self._from_noisy[j] + self._noise[1 + j] * self._sigma[j]
        )

    def result(self, given: Any) -> Any:
        """SI units."""
        return given * self._is_known + self._codec.decode(self.tokens) * self._is_unknown


class _Pull:
    """What guidance takes off the predicted states of each pass."""

    def __init__(self, sampler: Sampler, levels: Levels, guidance: Guidance) -> None:
        self._codec, self._guidance = sampler.state_codec, guidance
        before = levels[:-1]
        alpha_bar = sampler.tables.alpha_bar[before]
        weight = np.minimum(guidance.scale * np.sqrt((1.0 - alpha_bar) / alpha_bar), guidance.max_weight)
        weight = np.where((before >= guidance.min_level) & (before <= guidance.max_level), weight, 0.0)
        self._weight = sampler.columns(weight)

    def __call__(self, j: int, clean: Any) -> Any:
        """Normalised units, (B, N, D), like the clean tokens of pass j."""
        guidance = self._guidance
        # In SI units: in normalised ones a pull would count by the range that the data had in its dimension.
        states = self._codec.to_units(clean)
        step = guidance.gradient(states) * self._weight[j]
        if guidance.spread is not None:
            step = guidance.spread(states, step)
        step = step / self._codec.scale
        # Capped as a whole: tokens capped one by one would no longer fit together.
        length = library(step).amax((step * step).sum(-1) ** 0.5, -1)[..., None, None]
        return step * (guidance.max_step / length.clip(guidance.max_step, None))
