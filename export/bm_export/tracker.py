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
from bm_core.bundle import DEFAULT_TOLERANCE, Bundle, bundle_metadata
from bm_core.contract import Contract
from bm_core.contract_check import check_contract
from bm_core.errors import BundleError
from bm_core.golden_trace import GoldenTrace
from bm_core.motion import MotionClip
from bm_core.onnx_file import read_onnx
from bm_core.trace_check import TraceReport
from bm_core.trace_recorder import Run
from bm_export.onnx_graph import onnx_model, with_metadata
from bm_export.trace_rollout import record_rollout

if TYPE_CHECKING:
    from torch import nn

PARITY_TOLERANCE = 1e-5
"""Largest |onnx - torch| / max(1, |torch|) of a float32 network."""


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was measured while exporting."""

    path: Path
    parity_error: float
    """torch against ONNX Runtime over trace and random observations, scaled."""
    trace: TraceReport
    """The replay of the written file."""
    num_bytes: int


def export_tracker(actor: nn.Module, contract: Contract, clips: Sequence[MotionClip], path: str | Path) -> ExportReport:
    """Write `actor` (raw observations (batch, O) -> actions (batch, A), normaliser inside) as a bundle.

    The golden trace is played on `clips`. BundleError, and nothing written, if ONNX and torch differ by more than
    PARITY_TOLERANCE or the finished file does not prove itself in ONNX Runtime.
    """
    path = Path(path)
    check_contract(contract, str(path))
    run = _torch_run(actor)
    model = onnx_model(actor, contract.observation_dim)
    trace = record_rollout(contract, run, clips)
    if not np.all(np.isfinite(trace.action)):
        raise BundleError(f"{path}: the network's actions are not finite; take an earlier checkpoint")
    with replacing(path) as partial:
        partial.write_bytes(with_metadata(model, {}))
        digest = read_onnx(partial).graph_sha256
        partial.write_bytes(with_metadata(model, bundle_metadata(contract, digest, trace, DEFAULT_TOLERANCE)))
        session = _onnx_run(partial)
        parity = _parity_error(run, session, trace, path)
        # The file still has its working name; errors shall give the one that the user knows.
        report = dataclasses.replace(Bundle.read(partial), path=path).prove(session)
    return ExportReport(path=path, parity_error=parity, trace=report, num_bytes=path.stat().st_size)


def _parity_error(first: Run, second: Run, trace: GoldenTrace, path: Path) -> float:
    """Over the trace and as many random observations of its spread, where no trajectory leads."""
    rng = np.random.default_rng(0)
    spread = trace.observation.std(axis=0) + 0.1
    observations = [*trace.observation, *(rng.normal(size=trace.observation.shape) * 3.0 * spread).astype(np.float32)]
    worst = 0.0
    for observation in observations:
        expected, got = first(observation), second(observation)
        worst = max(worst, float(np.max(np.abs(got - expected) / np.maximum(1.0, np.abs(expected)))))
    if not worst <= PARITY_TOLERANCE:
        raise BundleError(f"{path}: ONNX differs from torch by {worst:.2g}, at most {PARITY_TOLERANCE:g} allowed")
    return worst


def _torch_run(actor: nn.Module) -> Run:
    import torch

    def run(observation: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return actor(torch.from_numpy(observation)[None])[0].numpy()

    return run


def _onnx_run(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda observation: np.asarray(session.run(None, {"obs": observation[None]})[0])[0]
