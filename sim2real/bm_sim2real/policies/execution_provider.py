"""ONNX Runtime's execution providers: the one asked for, or an error that says why not."""

from __future__ import annotations

import contextlib
import functools
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bm_core.errors import BundleError, ConfigError
from bm_sim2real.processor import keep_int8_sums_exact

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""Names on the command line and in ONNX Runtime."""

_UNDERLAY = {"cpu": (), "cuda": ("cpu",), "tensorrt": ("cuda", "cpu")}
"""Providers that run the operators which the wanted one does not know."""

_OPTIONS: dict[str, Mapping[str, Any]] = {"cuda": {"use_tf32": "0"}}
"""TF32 keeps 10 bits of the mantissa: some 1e-3 off, which the golden trace refuses."""


class ProviderError(ConfigError):
    """An execution provider that is not there or does not start; another one may do."""


def session_options(threads: int = 1) -> Any:
    """onnxruntime.SessionOptions of every network here."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    keep_int8_sums_exact(options)
    # 4: only fatal messages. Errors come as exceptions; a missing library is reported in one line of ours.
    options.log_severity_level = 4
    return options


def open_onnx(model: str | Path | bytes, options: Any, provider: str = "cpu", label: str = "") -> Any:
    """An onnxruntime.InferenceSession with these `session_options` on `provider`, and never on another one.

    BundleError, prefixed with `label` (default: the path), if the CPU cannot load the model; ProviderError for a
    provider that is not installed or does not start, ConfigError for an unknown one.
    """
    import onnxruntime as ort

    wanted = PROVIDERS.get(provider)
    if wanted is None:
        raise ConfigError(f"provider '{provider}' is unknown; one of {', '.join(PROVIDERS)}")
    available = ort.get_available_providers()
    if wanted not in available:
        raise ProviderError(f"provider '{provider}': this onnxruntime has no {wanted}; remedy: the extra gpu")
    if provider == "tensorrt":
        os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")  # TensorRT has no option of its own for it
    missing = ""
    if provider != "cpu":
        ort.set_default_logger_severity(4)  # as in session_options
        missing = _load_cuda()
    stack = [name for name in (provider, *_UNDERLAY[provider]) if PROVIDERS[name] in available]
    try:
        session = ort.InferenceSession(
            model if isinstance(model, bytes) else str(model),
            options,
            providers=[PROVIDERS[name] for name in stack],
            provider_options=[dict(_OPTIONS.get(name, {})) for name in stack],
        )
    except Exception as error:  # onnxruntime has a class per cause, and they share no base of their own
        if provider == "cpu":
            raise BundleError(f"{label or model}: onnxruntime cannot load it: {first_line(error)}") from error
        raise ProviderError(f"provider '{provider}' does not start: {missing or first_line(error)}") from error
    # A provider whose libraries are missing leaves the session to the next one without an exception.
    if session.get_providers()[0] != wanted:
        why = missing or "its libraries are missing or do not fit"
        raise ProviderError(f"provider '{provider}' does not start: {why}")
    session.disable_fallback()
    return session


def first_line(error: Exception) -> str:
    """Of its message, at most 200 characters."""
    return str(error).strip().splitlines()[0][:200]


@functools.cache
def _load_cuda() -> str:
    """CUDA's libraries where pip puts them (onnxruntime-gpu[cuda,cudnn]), where no loader looks; what is missing."""
    import onnxruntime as ort

    preload = getattr(ort, "preload_dlls", None)  # since 1.21
    if preload is None:
        return ""
    said = io.StringIO()  # it prints; commands print their results there
    with contextlib.redirect_stdout(said):
        preload()
    failed = [line for line in said.getvalue().splitlines() if line.startswith("Failed to load ")]
    return failed[0][:200] if failed else ""
