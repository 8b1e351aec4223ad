"""Whether a policy bundle may run here: what `bm check` measures. Moves nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bm_core.bundle import Bundle
from bm_core.errors import BundleError
from bm_core.trace_check import TraceReport
from bm_sim2real.policies.inference import OnnxSession
from bm_sim2real.timing import percentiles

_WARM_UP = 50
"""Inferences before the clock runs: the first ones allocate."""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """Verdict on one bundle, on this machine and execution provider."""

    bundle: Bundle
    reasons: tuple[str, ...]
    """Why it is not safe; empty if it is."""
    trace: TraceReport | None
    """None if the replay failed; 0 ticks if there was nothing to replay."""
    inference_ms: dict[str, float]
    """p50, p99, max of single inferences, one thread; empty if the replay failed."""

    @property
    def is_safe(self) -> bool:
        return not self.reasons


def check_bundle(path: str | Path, provider: str = "cpu", inferences: int = 1000) -> CheckResult:
    """Read, replay, time. BundleError for a file that cannot be read or contradicts itself or the robot."""
    bundle = Bundle.read(path)
    session = OnnxSession(path, provider)
    try:
        report = bundle.prove(session)
    except BundleError as error:
        return CheckResult(bundle=bundle, reasons=(str(error),), trace=None, inference_ms={})
    reasons = (
        ()
        if report.num_ticks
        else (f"{path}: no golden trace: nothing proves that it sees here what it was trained on",)
    )
    timing = _inference_ms(session, _observations(bundle), inferences)
    return CheckResult(bundle=bundle, reasons=reasons, trace=report, inference_ms=timing)


def _observations(bundle: Bundle) -> NDArray[np.float32]:
    if bundle.trace is not None:
        return bundle.trace.observation
    return np.zeros((1, bundle.contract.observation_dim), dtype=np.float32)


def _inference_ms(session: OnnxSession, observations: NDArray[np.float32], count: int) -> dict[str, float]:
    seconds = []
    for i in range(_WARM_UP + count):
        observation = observations[i % len(observations)]
        begin = time.perf_counter()
        session(observation)
        seconds.append(time.perf_counter() - begin)
    return percentiles(seconds[_WARM_UP:], scale=1e3)
