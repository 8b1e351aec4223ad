"""ONNX Runtime behind one call: observation in, action out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import BundleError, ConfigError

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""Names on the command line and in ONNX Runtime."""


class OnnxSession:
    """One network on one provider. One thread: for networks of this size a second only adds waiting and jitter."""

    def __init__(self, path: str | Path, provider: str = "cpu") -> None:
        """BundleError if the file does not load, ConfigError for a provider that is unknown or not installed."""
        import onnxruntime as ort

        wanted = PROVIDERS.get(provider)
        if wanted is None:
            raise ConfigError(f"provider '{provider}' is unknown; one of {', '.join(PROVIDERS)}")
        if wanted not in ort.get_available_providers():
            # ONNX Runtime would fall back to the CPU with a warning, and the proof would be of the wrong provider.
            raise ConfigError(f"provider '{provider}': this onnxruntime has no {wanted}; use cpu or the extra gpu")
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(str(path), options, providers=[wanted])
        except Exception as error:  # onnxruntime has a class per cause, and they share no base of their own
            raise BundleError(f"{path}: onnxruntime cannot load it: {_first_line(error)}") from error
        inputs = self._session.get_inputs()
        self._names = [tensor.name for tensor in inputs]
        self._output = [self._session.get_outputs()[0].name]
        self._feed: dict[str, NDArray[np.float32]] = {
            tensor.name: np.zeros((1, tensor.shape[1]), dtype=np.float32) for tensor in inputs
        }

    @property
    def takes_time_step(self) -> bool:
        """Whether the graph has a motion inside and wants to know the frame."""
        return len(self._names) > 1

    def __call__(self, observation: NDArray[np.float32], time_step: int = 0) -> NDArray[np.float32]:
        """(N,) -> (A,). `time_step` is the frame, for graphs with an embedded motion; others ignore it."""
        row = self._feed[self._names[0]][0]
        if observation.shape != row.shape:
            raise BundleError(f"observation has {observation.shape}, the network takes {row.shape}")
        row[:] = observation
        if self.takes_time_step:
            self._feed[self._names[1]][0, 0] = time_step
        return self._session.run(self._output, self._feed)[0][0]


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]
