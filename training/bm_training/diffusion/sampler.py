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

    def convert(values: Any) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(values), dtype=dtype, device=device)

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


class TorchDenoiser:
    """A model as the sampler's `denoise`."""

    def __init__(self, model: TokenTransformer) -> None:
        self._model = model

    @torch.no_grad()
    def __call__(
        self, states: Tensor, actions: Tensor | None, state_levels: Any, action_levels: Any
    ) -> tuple[Tensor, Tensor | None]:
        first = _levels(state_levels, states)
        if actions is None:
            return self._model.forward_states(states, first), None
        return self._model(states, actions, first, _levels(action_levels, states))


class NumpyDenoiser:
    """The same model for the NumPy reference, in the model's precision."""

    def __init__(self, model: TokenTransformer) -> None:
        self._inner, self._like = TorchDenoiser(model), next(model.parameters())

    def __call__(self, states: Any, actions: Any, state_levels: Any, action_levels: Any) -> tuple[Any, Any]:
        tensors = [None if value is None else torch.as_tensor(value).to(self._like) for value in (states, actions)]
        answer = self._inner(tensors[0], tensors[1], state_levels, action_levels)  # type: ignore[arg-type]
        first, second = (None if value is None else value.cpu().numpy().astype(states.dtype) for value in answer)
        return first, second


def _levels(levels: Any, like: Tensor) -> Tensor:
    return torch.as_tensor(np.array(levels), dtype=torch.int64, device=like.device)
