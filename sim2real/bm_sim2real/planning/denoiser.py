"""The planner graph on ONNX Runtime, as the sampler's `denoise`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bm_core.diffusion.bundle import INPUTS
from bm_core.diffusion.spec import DiffusionSpec
from bm_core.errors import BundleError, ConfigError
from bm_sim2real.policies.inference import PROVIDERS


class OnnxDenoiser:
    """One planner on one provider. Action tokens behind the supervised ones are not computed: none is ever run."""

    def __init__(
        self, model: str | Path | bytes, spec: DiffusionSpec, *, provider: str = "cpu", threads: int = 1
    ) -> None:
        """BundleError if the model does not load, ConfigError for a provider that is unknown or not installed."""
        layout = spec.layout
        self._session = onnx_session(model, provider, threads)
        self._count = layout.present + layout.supervised
        self._no_actions = np.zeros((1, 0, spec.action_codec.model_width), dtype=np.float32)
        self._no_levels = np.zeros((1, 0), dtype=np.int64)

    def __call__(self, states: Any, actions: Any, state_levels: Any, action_levels: Any) -> tuple[Any, Any]:
        """As `bm_core.diffusion.sampler.Denoise`, batch 1; predicted actions behind the supervised ones are zero."""
        tokens, levels = self._no_actions, self._no_levels
        if actions is not None:
            tokens, levels = actions[:, : self._count], action_levels[:, : self._count]
        feed = (states, tokens, state_levels, levels)
        kinds = (np.float32, np.float32, np.int64, np.int64)
        found: Any = self._session.run(
            None, {name: np.ascontiguousarray(v, dtype=kind) for name, v, kind in zip(INPUTS, feed, kinds, strict=True)}
        )
        if actions is None:
            return found[0].astype(states.dtype), None
        clean = np.zeros(actions.shape, dtype=actions.dtype)
        clean[:, : self._count] = found[1]
        return found[0].astype(states.dtype), clean


def onnx_session(model: str | Path | bytes, provider: str = "cpu", threads: int = 1) -> Any:
    """An onnxruntime.InferenceSession. BundleError if it does not load, ConfigError for a provider that is missing."""
    import onnxruntime as ort

    wanted = PROVIDERS.get(provider)
    if wanted is None:
        raise ConfigError(f"provider '{provider}' is unknown; one of {', '.join(PROVIDERS)}")
    if wanted not in ort.get_available_providers():
        raise ConfigError(f"provider '{provider}': this onnxruntime has no {wanted}; use cpu or the extra gpu")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Without VNNI, int8 products would be summed in 16 bits and saturate.
    options.add_session_config_entry("session.x64quantprecision", "1")
    # Denormal numbers come with the lowest noise levels and cost ten times an ordinary one.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    try:
        return ort.InferenceSession(model if isinstance(model, bytes) else str(model), options, providers=[wanted])
    except Exception as error:  # onnxruntime has a class per cause, and they share no base of their own
        where = "decoder" if isinstance(model, bytes) else str(model)
        raise BundleError(f"{where}: onnxruntime cannot load it: {str(error).strip().splitlines()[0][:200]}") from error
