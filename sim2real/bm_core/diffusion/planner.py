"""From history to plan: request, denoising loop, stamp. NumPy only; where the network runs is the caller's business."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.history import History
from bm_core.diffusion.plan import Plan
from bm_core.diffusion.requests import cold_request, warm_request
from bm_core.diffusion.sampler import Denoise, Guidance, PlanRequest, SamplerNoise
from bm_core.diffusion.spec import DiffusionSpec
from bm_core.diffusion.state import reframe
from bm_core.diffusion.trajectory import PresentFrame

Array = NDArray[np.floating]

_KEYFRAME_PART = 2
"""Keyframes begin at the highest level divided by this, as guesses. Given as clean tokens they contradict the
present by what the robot is off, and the actions that shall reach them all the same make it fall."""


class Steering(Protocol):
    """What the robot shall do, in the world: asked anew for every plan. Picklable, where the planner is a process."""

    def guidance(self, present: PresentFrame, time: float) -> Guidance | None:
        """The pull on a plan whose states are relative to `present`; `time` in s is the stamp. None: unguided."""
        ...

    def keyframes(self, present: PresentFrame, time: float) -> Mapping[int, Array]:
        """State tokens for the plan to come near: index (present < i < N) -> (D,) SI units relative to `present`."""
        ...


class Planner:
    """One robot's planner. Keeps its last plan, from which the next one starts; deterministic given its seed."""

    def __init__(
        self,
        spec: DiffusionSpec,
        denoise: Denoise,
        *,
        is_warm: bool = True,
        draw_noise: Callable[[int], SamplerNoise] | None = None,
    ) -> None:
        """`is_warm` False: every plan from noise. `draw_noise(plan number)`: default the spec's seed."""
        self.spec, self._denoise, self._is_warm = spec, denoise, is_warm
        self._sampler = spec.reference_sampler()
        self._draw = draw_noise or self._seeded
        self.last: Plan | None = None
        """The newest plan."""
        self._count, self._seed = 0, spec.sampler.seed

    def reset(self, seed: int | None = None) -> None:
        """Forget the last plan and begin the noise anew, as of `seed` if given."""
        self.last, self._count = None, 0
        if seed is not None:
            self._seed = seed

    def plan(
        self, history: History, *, step: int, time_s: float = 0.0, committed: int = 0, steering: Steering | None = None
    ) -> Plan:
        """A plan from the present of `history`, which is control step `step`.

        The robot will have run `committed` more control steps of the last plan before this one arrives: they are kept
        (in whole tokens, at most as many as the sampler's settings allow). `time_s`: stamp for steering and readers.
        """
        begun, layout = time.perf_counter(), self.spec.layout
        present = history.present
        request, is_warm = self._request(history, present, step, committed)
        guidance = None
        if steering is not None:
            guidance = steering.guidance(present, time_s)
            for index, state in steering.keyframes(present, time_s).items():
                request.states[:, index], request.state_levels[index] = state, self.spec.levels // _KEYFRAME_PART
        noise = self._draw(self._count)
        self._count += 1
        states, actions = self._sampler.sample(self._denoise, request, noise, guidance)
        self.last = Plan(
            step=step,
            time=time_s,
            present=present,
            states=states[0],
            actions=actions[0],
            layout=layout,
            representation=self.spec.representation,
            is_warm=is_warm,
            seconds=time.perf_counter() - begun,
        )
        return self.last

    def _request(self, history: History, present: PresentFrame, step: int, committed: int) -> tuple[PlanRequest, bool]:
        spec, layout, last = self.spec, self.spec.layout, self.last
        actions = history.action_tokens(layout)
        unknown = np.flatnonzero(np.isnan(actions).any(axis=-1))
        known: tuple[Any, Any] = history.states(spec.representation)[None], np.nan_to_num(actions)[None]
        shift, rest = (0, 1) if last is None else divmod(step - last.step, layout.steps_per_token)
        tokens, settings = spec.kept_tokens(committed), spec.sampler
        recalled = {"history_action_level": settings.history_action_level}
        if last is None or rest or not 0 < shift < layout.supervised - tokens:
            request = cold_request(layout, *known, spec.levels, **recalled)
            request.action_levels[unknown] = spec.levels
            return request, False
        states = reframe(last.states, last.present, present, spec.representation)[None]
        levels = (settings.warm_state_level, settings.warm_action_level) if self._is_warm else (spec.levels,) * 2
        request = warm_request(
            layout, *known, states, last.actions[None], spec.levels, *levels, shift=shift, committed=tokens, **recalled
        )
        request.action_levels[unknown] = spec.levels
        return request, self._is_warm

    def _seeded(self, number: int) -> SamplerNoise:
        return self._sampler.draw_noise(np.random.default_rng([self._seed, number]), 1, self.spec.layout.tokens)
