"""The loop of bm_core.diffusion.sampler on torch: the same lines, other arrays."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bm_core.diffusion.sampler import PlanRequest, Sampler, SamplerNoise
from bm_core.diffusion.spec import DiffusionSpec
from bm_training.diffusion.model import TokenTransformer


def torch_sampler(spec: DiffusionSpec, device: str | torch.device, dtype: torch.dtype = torch.float32) -> Sampler:
    """The spec's sampler with tensors inside."""

    cache: dict[bytes, Tensor] = {}

    def convert(values: Any) -> Tensor:
        # A loop asks for the same few tables again and again; each copy from the host would stall the GPU.
        array = np.ascontiguousarray(values)
        key = array.shape.__repr__().encode() + array.tobytes()
        if key not in cache:
            cache[key] = torch.as_tensor(array, dtype=dtype, device=device)
        return cache[key]

    reference = spec.reference_sampler()
    return dataclasses.replace(
        reference,
        state_codec=reference.state_codec.to(convert),
        action_codec=reference.action_codec.to(convert),
        convert=convert,
    )


def as_tensors(request: Any, device: str | torch.device, dtype: torch.dtype = torch.float32) -> Any:
    """A PlanRequest or SamplerNoise with its values (not its levels) as tensors."""
    names = ("states", "actions")
    values = {name: torch.as_tensor(getattr(request, name), dtype=dtype, device=device) for name in names}
    assert isinstance(request, PlanRequest | SamplerNoise)
    return dataclasses.replace(request, **values)


def draw_noise(sampler: Sampler, batch: int, tokens: int, generator: torch.Generator) -> SamplerNoise:
    """As Sampler.draw_noise, on the generator's device."""
    passes = sampler.action_passes or sampler.passes

    def normal(count: int, width: int) -> Tensor:
        return torch.randn(count, batch, tokens, width, generator=generator, device=generator.device)

    return SamplerNoise(
        states=normal(sampler.passes + 1, sampler.state_codec.model_width),
        actions=normal(passes + 1, sampler.action_codec.model_width),
    )


class TorchDenoiser:
    """A model as the sampler's `denoise`; `is_bf16` runs the network in bfloat16."""

    def __init__(self, model: TokenTransformer, is_bf16: bool = False) -> None:
        self._model, self._is_bf16 = model, is_bf16
        self._cache: dict[bytes, Tensor] = {}

    @torch.no_grad()
    def __call__(
        self, states: Tensor, actions: Tensor | None, state_levels: Any, action_levels: Any
    ) -> tuple[Tensor, Tensor | None]:
        first = self._levels(state_levels, states)
        with torch.autocast(states.device.type, dtype=torch.bfloat16, enabled=self._is_bf16):
            if actions is None:
                return self._model.forward_states(states, first).to(states.dtype), None
            answer = self._model(states, actions, first, self._levels(action_levels, states))
        return answer[0].to(states.dtype), answer[1].to(states.dtype)

    def _levels(self, levels: Any, like: Tensor) -> Tensor:
        """(B, N); all plans of a loop have the same."""
        row = np.ascontiguousarray(levels[0], dtype=np.int64)
        key = row.tobytes()
        if key not in self._cache:
            self._cache[key] = torch.tensor(row, device=like.device)
        return self._cache[key].expand(len(like), -1)


class NumpyDenoiser:
    """The same model for the NumPy reference, in the model's precision."""

    def __init__(self, model: TokenTransformer) -> None:
        self._inner, self._like = TorchDenoiser(model), next(model.parameters())

    def __call__(self, states: Any, actions: Any, state_levels: Any, action_levels: Any) -> tuple[Any, Any]:
        tensors = [None if value is None else torch.as_tensor(value).to(self._like) for value in (states, actions)]
        answer = self._inner(tensors[0], tensors[1], state_levels, action_levels)  # type: ignore[arg-type]
        first, second = (None if value is None else value.cpu().numpy().astype(states.dtype) for value in answer)
        return first, second
