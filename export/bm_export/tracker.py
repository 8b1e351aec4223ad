"""A trained tracker becomes a policy bundle: graph, golden trace, proof. The file appears only if it proves itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bm_core.atomic_file import replacing
from bm_core.bundle import DEFAULT_TOLERANCE, MAX_INT8_TOLERANCE, Bundle, Precision, bundle_metadata
from bm_core.contract import Contract
from bm_core.contract_check import check_contract
from bm_core.errors import BundleError
from bm_core.foreign_bundle import TIME_STEP
from bm_core.golden_trace import GoldenTrace
from bm_core.motion import MotionClip
from bm_core.onnx_file import read_onnx
from bm_core.trace_check import Run, TraceReport
from bm_export.onnx_graph import embedded_model, onnx_model, with_metadata
from bm_export.time_step_graph import REFERENCE_OUTPUTS, EmbeddedActor, embedded_contract
from bm_export.trace_rollout import record_rollout, rollout_observations
from bm_export.tracker_precision import tracker_with_precision

if TYPE_CHECKING:
    import onnx
    from torch import nn

PARITY_TOLERANCE = {"fp32": 1e-5, "fp16": 2e-3, "int8": MAX_INT8_TOLERANCE / 1.5}
"""Largest |onnx - torch| / max(1, |torch|) that is allowed on PARITY_OBSERVATIONS observations of rollouts."""
PARITY_OBSERVATIONS = 1000
_MARGIN = 1.5
"""Of an int8 trace's tolerance over the error measured: other CPUs round activations otherwise."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What kind of graph."""

    precision: str = "fp32"
    """fp32, fp16 or int8."""
    fixed_batch: bool = False
    """Batch 1 instead of any."""
    embed: MotionClip | None = None
    """Motion to put into the graph, which then takes `time_step`: for runtimes of whole_body_tracking."""


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was measured while exporting."""

    path: Path
    parity_error: float
    """torch in float32 against the written graph, scaled, over rollouts and random observations."""
    parity_observations: int
    """How many observations of rollouts those were."""
    trace_tolerance: float
    """That a replay elsewhere is granted."""
    trace: TraceReport
    """The replay of the written file."""
    num_bytes: int
    observation_dim: int
    """Of the written graph; smaller than the policy's where look-ahead is computed inside."""


def export_tracker(
    actor: nn.Module,
    contract: Contract,
    clips: Sequence[MotionClip],
    path: str | Path,
    options: ExportOptions | None = None,
) -> ExportReport:
    """Write `actor` (raw observations (batch, O) -> actions (batch, A), normaliser inside) as a bundle.

    The golden trace is played on `clips`, or on the embedded motion. BundleError, and nothing written, if ONNX and
    torch differ by more than PARITY_TOLERANCE or the finished file does not prove itself in ONNX Runtime.
    """
    path, options = Path(path), options or ExportOptions()
    check_contract(contract, str(path))
    has_normaliser = _has_normaliser(actor)
    if options.embed is not None:
        actor, contract = _with_motion(actor, contract, options.embed, path, options.precision)
        clips = [options.embed] * 3
    run = _torch_run(actor)
    model = tracker_with_precision(_graph(actor, contract, options), options.precision)
    trace = record_rollout(contract, run, clips)
    if not np.all(np.isfinite(trace.action)):
        raise BundleError(f"{path}: the network's actions are not finite; take an earlier checkpoint")
    with replacing(path) as partial:
        partial.write_bytes(with_metadata(model, {}))
        session = _onnx_run(partial)
        parity = _parity(run, session, contract, clips, path, options)
        entries = _entries(contract, read_onnx(partial).graph_sha256, trace, session, clips, parity, options)
        partial.write_bytes(with_metadata(model, bundle_metadata(**entries, has_normaliser=has_normaliser)))
        # The file still has its working name; errors shall give the one that the user knows.
        bundle = dataclasses.replace(Bundle.read(partial), path=path)
        report = bundle.prove(session)
    return ExportReport(
        path=path,
        parity_error=parity,
        parity_observations=PARITY_OBSERVATIONS,
        trace_tolerance=bundle.trace_tolerance,
        trace=report,
        num_bytes=path.stat().st_size,
        observation_dim=contract.observation_dim,
    )


def _with_motion(
    actor: nn.Module, contract: Contract, clip: MotionClip, path: Path, precision: str
) -> tuple[nn.Module, Contract]:
    if precision != "fp32":
        raise BundleError(f"{path}: a motion is embedded in float32 graphs only; leave --precision at fp32")
    return EmbeddedActor(actor, contract, clip), embedded_contract(contract)


def _graph(actor: nn.Module, contract: Contract, options: ExportOptions) -> onnx.ModelProto:
    if options.embed is not None:
        return embedded_model(actor, contract.observation_dim, REFERENCE_OUTPUTS)
    return onnx_model(actor, contract.observation_dim, fixed_batch=options.fixed_batch)


def _entries(
    contract: Contract,
    digest: str,
    trace: GoldenTrace,
    session: Run,
    clips: Sequence[MotionClip],
    parity: float,
    options: ExportOptions,
) -> dict:
    """Arguments of bundle_metadata: a smaller network's own trace and tolerance, and int8's float32 trace beside it."""
    facts = {"contract": contract, "graph_sha256": digest, "trace": trace, "tolerance": DEFAULT_TOLERANCE}
    if options.precision == "fp32":
        return facts
    # Two digits up: the tolerance is a statement, not a measurement.
    tolerance = max(PARITY_TOLERANCE["fp16"], float(f"{_MARGIN * parity:.1e}"))
    precision = Precision(weights=options.precision, error=parity, observations=PARITY_OBSERVATIONS)
    facts |= {"trace": record_rollout(contract, session, clips), "tolerance": tolerance, "precision": precision}
    return facts if options.precision != "int8" else facts | {"float_trace": trace}


def _has_normaliser(actor: nn.Module) -> bool:
    from rsl_rl.modules import EmpiricalNormalization

    return any(isinstance(module, EmpiricalNormalization) for module in actor.modules())


def _parity(
    first: Run, second: Run, contract: Contract, clips: Sequence[MotionClip], path: Path, options: ExportOptions
) -> float:
    """Worst scaled difference on observations of rollouts; in float32 also where no trajectory leads."""
    seen = rollout_observations(contract, first, clips, PARITY_OBSERVATIONS)
    rng = np.random.default_rng(0)
    if options.precision == "fp32":
        spread = 3.0 * (seen.std(axis=0) + 0.1)
        seen = np.concatenate([seen, (rng.normal(size=(100, seen.shape[1])) * spread).astype(np.float32)])
    frames = 1 if options.embed is None else options.embed.num_frames
    worst = 0.0
    for observation in seen:
        inputs = (observation,) if options.embed is None else (observation, int(rng.integers(frames)))
        expected, got = first(*inputs), second(*inputs)
        worst = max(worst, float(np.max(np.abs(got - expected) / np.maximum(1.0, np.abs(expected)))))
    limit = PARITY_TOLERANCE[options.precision]
    if not worst <= limit:
        raise BundleError(f"{path}: ONNX differs from torch by {worst:.2g}, at most {limit:g} allowed")
    return worst


def _torch_run(actor: nn.Module) -> Run:
    import torch

    def run(observation: NDArray[np.float32], time_step: int | None = None) -> NDArray[np.float32]:
        with torch.inference_mode():
            row = torch.from_numpy(observation)[None]
            output = actor(row) if time_step is None else actor(row, torch.full((1, 1), float(time_step)))[0]
            return output[0].numpy()

    return run


def _onnx_run(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(observation: NDArray[np.float32], time_step: int | None = None) -> NDArray[np.float32]:
        feed = {"obs": observation[None]}
        if time_step is not None:
            feed[TIME_STEP] = np.array([[time_step]], dtype=np.float32)
        return np.asarray(session.run(["actions"], feed)[0])[0]

    return run
