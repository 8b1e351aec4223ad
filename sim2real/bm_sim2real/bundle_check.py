"""Whether a policy bundle may run here: what `bm check` measures. Moves nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bm_core import strict_json
from bm_core.bundle import CONTRACT_KEY, Bundle
from bm_core.contract import Contract
from bm_core.diffusion.bundle import DECODER_KEY
from bm_core.errors import BundleError
from bm_core.g1 import G1
from bm_core.motion import MotionClip
from bm_core.onnx_file import read_onnx
from bm_core.trace_check import TraceReport
from bm_sim2real.diffusion_check import DiffusionCheck, check_diffusion
from bm_sim2real.motion_check import MotionVerdict, judge_motion, motion_for
from bm_sim2real.policies.embedded_motion import EmbeddedMotion, embedded_motion_of
from bm_sim2real.policies.inference import OnnxSession
from bm_sim2real.policies.provider import open_session
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
    provider: str = "cpu"
    """The one that ran it."""
    notices: tuple[str, ...] = ()
    """Why it is another one than asked for."""
    embedded: EmbeddedMotion | None = field(default=None, repr=False)
    """The motion inside the graph."""
    motion: MotionVerdict | None = None
    """Of the motion that was asked about, else of the embedded one."""

    @property
    def is_safe(self) -> bool:
        return not self.reasons


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A file that is whole, and must not run."""

    path: Path
    reason: str


def judge_bundle(
    path: str | Path, provider: str = "cpu", inferences: int = 1000, motion: str | Path | None = None
) -> CheckResult | DiffusionCheck | Refusal:
    """Like `check_bundle`, but a contract that contradicts itself, the graph or the robot is a verdict, not an error.

    BundleError only for what cannot be read: no whole .onnx file, or a contract that is no JSON.
    """
    model = read_onnx(path)
    if CONTRACT_KEY in model.metadata:
        strict_json.parse_object(model.metadata[CONTRACT_KEY], f"{path}: {CONTRACT_KEY}")
    try:
        if DECODER_KEY in model.metadata:
            return check_diffusion(path, provider, inferences)
        return check_bundle(path, provider, inferences, motion)
    except BundleError as error:
        return Refusal(path=Path(path), reason=str(error))


def check_bundle(
    path: str | Path, provider: str = "cpu", inferences: int = 1000, motion: str | Path | None = None
) -> CheckResult:
    """Read, replay, time; and judge a motion that it shall follow. BundleError for a file that may not even be tried.

    ClipError or ConfigError if the motion is not there at all.
    """
    bundle = Bundle.read(path)
    clip = None if motion is None else motion_for(motion)
    try:
        opened = open_session(path, provider, bundle.prove)
    except BundleError as error:
        return CheckResult(bundle=bundle, reasons=(str(error),), trace=None, inference_ms={})
    reasons = (
        []
        if opened.proof.num_ticks
        else [f"{path}: no golden trace: nothing proves that it sees here what it was trained on"]
    )
    embedded = None
    if bundle.contract.reference == "embedded":
        try:
            embedded = embedded_motion_of(bundle)
        except BundleError as error:
            reasons.append(str(error))
    verdict = _motion_verdict(bundle.contract, clip, embedded)
    reasons += [] if verdict is None else verdict.reasons
    return CheckResult(
        bundle=bundle,
        reasons=tuple(reasons),
        trace=opened.proof,
        inference_ms=_inference_ms(opened.session, _observations(bundle), inferences),
        provider=opened.session.provider,
        notices=opened.notices,
        embedded=embedded,
        motion=verdict,
    )


def motor_order(contract: Contract) -> list[int]:
    """Motor (Unitree's index) of each of the policy's joints."""
    return [G1.joint_index[name] for name in contract.action.joint_names]


def torque_shares(contract: Contract) -> NDArray[np.float64]:
    """What one unit of action asks of each motor, as a share of its effort limit; 0.25 for whole_body_tracking's."""
    return np.array(contract.stiffness) * np.array(contract.action.scale) / np.array(contract.effort_limit)


def _motion_verdict(
    contract: Contract, clip: MotionClip | MotionVerdict | None, embedded: EmbeddedMotion | None
) -> MotionVerdict | None:
    if isinstance(clip, MotionVerdict):
        return clip
    if clip is None:
        return None if embedded is None else judge_motion(embedded.clip, embedded=embedded)
    return judge_motion(clip, embedded=embedded)


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
