"""The planner graph on ONNX Runtime, as the sampler's `denoise`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bm_core.diffusion.bundle import FREE_SIZE, INPUTS
from bm_core.diffusion.spec import DiffusionSpec
from bm_sim2real.policies.execution_provider import open_onnx, session_options

_KINDS = (np.float32, np.float32, np.int64, np.int64)


class OnnxDenoiser:
    """One planner on one provider. Action tokens behind the supervised ones are not computed: none is ever run.

    Two sessions of the same file, each with its number of action tokens fixed: free sizes cost a quarter of a pass.
    """

    def __init__(
        self, model: str | Path | bytes, spec: DiffusionSpec, *, provider: str = "cpu", threads: int = 1
    ) -> None:
        """BundleError if the model does not load, ConfigError for an unknown provider, ProviderError for a dead one."""
        self.provider = provider
        self._count = spec.layout.present + spec.layout.supervised
        self._full = onnx_session(model, provider, threads, free={FREE_SIZE: self._count})
        # ONNX Runtime cannot fix a size to 0; the states do not look at the one action token.
        self._alone = onnx_session(model, provider, threads, free={FREE_SIZE: 1})
        self._no_actions = np.zeros((1, 1, spec.action_codec.model_width), dtype=np.float32)
        self._no_levels = np.zeros((1, 1), dtype=np.int64)

    def __call__(self, states: Any, actions: Any, state_levels: Any, action_levels: Any) -> tuple[Any, Any]:
        """As `bm_core.diffusion.sampler.Denoise`, batch 1; predicted actions behind the supervised ones are zero."""
        if actions is None:
            found = self._run(self._alone, states, self._no_actions, state_levels, self._no_levels)
            return found[0].astype(states.dtype), None
        count = self._count
        found = self._run(self._full, states, actions[:, :count], state_levels, action_levels[:, :count])
        clean = np.zeros(actions.shape, dtype=actions.dtype)
        clean[:, :count] = found[1]
        return found[0].astype(states.dtype), clean

    def _run(self, session: Any, *values: Any) -> list[Any]:
        pairs = zip(INPUTS, values, _KINDS, strict=True)
        return session.run(None, {name: np.ascontiguousarray(value, dtype=kind) for name, value, kind in pairs})


def onnx_session(
    model: str | Path | bytes, provider: str = "cpu", threads: int = 1, free: Mapping[str, int] | None = None
) -> Any:
    """An onnxruntime.InferenceSession, `free` sizes fixed. BundleError if it does not load, ConfigError for a provider
    that is unknown or not installed."""
    options = session_options(threads)
    # Denormal numbers come with the lowest noise levels and cost ten times an ordinary one.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    for name, size in (free or {}).items():
        options.add_free_dimension_override_by_name(name, size)
    return open_onnx(model, options, provider, label="decoder" if isinstance(model, bytes) else "")
