"""Whether a diffusion bundle may run here: golden plans replayed, decoder tried, plans timed. Moves nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bm_core.diffusion.bundle import DiffusionBundle
from bm_core.diffusion.plan_trace import PlanTraceReport, replay
from bm_core.errors import BundleError
from bm_core.g1 import G1
from bm_sim2real.planning.denoiser import OnnxDenoiser, onnx_session
from bm_sim2real.policies.provider import open_session
from bm_sim2real.timing import percentiles

_PLANS = 20
"""Whole plans that are timed."""


@dataclass(frozen=True, kw_only=True)
class DiffusionCheck:
    """Verdict on one planner + decoder pair, on this machine and execution provider."""

    bundle: DiffusionBundle
    reasons: tuple[str, ...]
    """Why it is not safe; empty if it is."""
    trace: PlanTraceReport | None
    """None if the replay failed."""
    plan_ms: dict[str, float]
    """p50, p99, max of whole plans, one thread; empty if the replay failed."""
    decoder_ms: dict[str, float]
    """The same of the decoder, which runs every 20 ms."""
    provider: str
    """The one that ran the planner."""
    notices: tuple[str, ...] = ()
    """Why it is another one than asked for."""

    @property
    def is_safe(self) -> bool:
        return not self.reasons


def check_diffusion(path: str | Path, provider: str = "cpu", inferences: int = 1000) -> DiffusionCheck:
    """Read, replay, time. BundleError for a file that may not even be tried."""
    bundle = DiffusionBundle.read(path)
    spec = bundle.contract.spec
    load = partial(_denoiser, spec=spec)
    try:
        opened = open_session(path, provider, bundle.prove, load=load)
        decoder_ms = _time_decoder(bundle, inferences)
    except BundleError as error:
        return DiffusionCheck(
            bundle=bundle, reasons=(str(error),), trace=None, plan_ms={}, decoder_ms={}, provider=provider
        )
    seconds = []
    while len(seconds) < _PLANS:
        begin = time.perf_counter()
        count = len(replay(spec, opened.session, bundle.trace))
        seconds += [(time.perf_counter() - begin) / count] * count
    return DiffusionCheck(
        bundle=bundle,
        reasons=(),
        trace=opened.proof,
        plan_ms=percentiles(seconds, scale=1e3),
        decoder_ms=decoder_ms,
        provider=opened.session.provider,
        notices=opened.notices,
    )


def _denoiser(path: str | Path, name: str, spec) -> OnnxDenoiser:
    return OnnxDenoiser(path, spec, provider=name)


def _time_decoder(bundle: DiffusionBundle, count: int) -> dict[str, float]:
    """Its action for the planned ones must be that of every joint, and finite. BundleError otherwise."""
    session = onnx_session(bundle.decoder)
    width, sizes = (
        bundle.contract.spec.layout.step_width,
        {tensor.name: tensor.shape for tensor in session.get_inputs()},
    )
    feed = {name: np.zeros((1, shape[1]), dtype=np.float32) for name, shape in sizes.items()}
    if feed.get("z", np.zeros((0, 0))).shape != (1, width):
        raise BundleError(f"{bundle.path}: the decoder takes {sizes}; z of (1, {width}) expected")
    seconds = []
    for i in range(count + 10):
        planned = bundle.trace.plan_actions[i % bundle.trace.num_plans, 0]
        feed["z"][0] = planned[:width]
        begin = time.perf_counter()
        action = np.asarray(session.run(None, feed)[0])
        seconds.append(time.perf_counter() - begin)
        if action.shape != (1, len(G1.joint_names)) or not np.isfinite(action).all():
            raise BundleError(f"{bundle.path}: the decoder gives {action.shape}, finite (1, 29) expected")
    return percentiles(seconds[10:], scale=1e3)
