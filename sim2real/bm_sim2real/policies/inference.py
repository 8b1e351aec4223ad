"""ONNX Runtime behind one call: observation in, action out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import BundleError
from bm_sim2real.policies.execution_provider import first_line, open_onnx, session_options


class OnnxSession:
    """One network on one provider. One thread: for networks of this size a second only adds waiting and jitter."""

    def __init__(self, path: str | Path, provider: str = "cpu") -> None:
        """BundleError if the file does not load, ProviderError for a provider that is not installed or does not start.

        ConfigError for an unknown one. Never another provider than the one asked for: see provider.open_session.
        """
        self.provider = provider
        self._session = open_onnx(path, session_options(), provider)
        self._bind()

    def _bind(self) -> None:
        inputs = self._session.get_inputs()
        self._names = [tensor.name for tensor in inputs]
        self._outputs = [tensor.name for tensor in self._session.get_outputs()]
        self._feed: dict[str, NDArray[np.float32]] = {
            tensor.name: np.zeros((1, tensor.shape[1]), dtype=np.float32) for tensor in inputs
        }

    @property
    def takes_time_step(self) -> bool:
        """Whether the graph wants to know the frame."""
        return len(self._names) > 1

    def __call__(self, observation: NDArray[np.float32], time_step: int = 0) -> NDArray[np.float32]:
        """(N,) -> (A,). `time_step` is the frame, for graphs that want it; others ignore it."""
        row = self._feed[self._names[0]][0]
        if observation.shape != row.shape:
            raise BundleError(f"observation has {observation.shape}, the network takes {row.shape}")
        row[:] = observation
        if self.takes_time_step:
            self._feed[self._names[1]][0, 0] = time_step
        return self._session.run(self._outputs[:1], self._feed)[0][0]

    def reference_outputs(self, time_step: int) -> dict[str, NDArray[np.float32]]:
        """What a graph with an embedded motion returns of one frame, by output name, without the batch axis.

        BundleError if the graph fails, as unclamped ones do beyond their motion.
        """
        for name in self._names:
            self._feed[name][:] = 0.0
        self._feed[self._names[1]][0, 0] = time_step
        try:
            values = self._session.run(self._outputs[1:], self._feed)
        except Exception as error:
            raise BundleError(f"time_step {time_step}: the graph fails: {first_line(error)}") from error
        return {name: value[0] for name, value in zip(self._outputs[1:], values, strict=True)}
