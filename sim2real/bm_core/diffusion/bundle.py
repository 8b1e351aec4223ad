"""Diffusion bundles: planner graph, decoder graph, contract and golden trace in one .onnx file.

Graph: states (1, N, Ms), actions (1, n, Ma), state_levels (1, N), action_levels (1, n) int64 -> clean states and
actions of the same shapes, in the codecs' model space. n = 0 asks for the states alone: they never look at actions, so
both kinds of pass share one set of weights. Metadata: `bm.contract` (one JSON document), `bm.decoder` (base64 of a
model file) and, for smaller weights, `bm.precision`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bm_core.bundle import CONTRACT_KEY, EXTRA_KEYS, PRECISION_KEY, own_document
from bm_core.diffusion.contract import DiffusionContract, diffusion_contract_from_dict
from bm_core.diffusion.plan_precision import PlanPrecision, plan_precision_from
from bm_core.diffusion.plan_trace import PlanTrace, PlanTraceReport, check_plans, decode_plan_trace, encode_plan_trace
from bm_core.diffusion.sampler import Denoise
from bm_core.errors import BundleError
from bm_core.onnx_file import OnnxFile, read_onnx

DECODER_KEY = "bm.decoder"
INPUTS = ("states", "actions", "state_levels", "action_levels")
OUTPUTS = ("clean_states", "clean_actions")
FREE_SIZE = "n"
"""Name of the number of action tokens in the graph."""


@dataclass(frozen=True, kw_only=True)
class DiffusionBundle:
    """A diffusion policy that fits this robot. `prove` it on the session that will run it."""

    path: Path
    contract: DiffusionContract
    model: OnnxFile
    decoder: bytes = field(repr=False)
    """The decoder's model file."""
    trace: PlanTrace = field(repr=False)
    trace_tolerance: float
    """Of |got - expected| / max(1, |expected|), root of the mean square over whole plans; see plan_trace.SINGLE."""
    precision: PlanPrecision | None = None
    """What smaller weights cost; None for float32, and for bundles older than this measurement."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What this bundle cannot promise."""
        if self.contract.precision != "int8" or (self.precision is not None and self.precision.trace is not None):
            return ()
        return ("int8 without the float32 plans beside its own: proven on its own recording alone; export it again",)

    @classmethod
    def read(cls, path: str | Path) -> DiffusionBundle:
        """Read and check a bundle; needs no onnx package. BundleError says what is wrong with it."""
        path = Path(path)
        model = read_onnx(path)
        for key in (CONTRACT_KEY, DECODER_KEY):
            if key not in model.metadata:
                raise BundleError(f"{path}: no {key} in its metadata; not a diffusion bundle of this project")
        where, document = f"{path}: {CONTRACT_KEY}", own_document(path, model)
        contract = diffusion_contract_from_dict(
            {key: value for key, value in document.items() if key not in EXTRA_KEYS}, where
        )
        _check_interface(path, contract, model)
        text, label = model.metadata.get(PRECISION_KEY), f"{path}: {PRECISION_KEY}"
        return cls(
            path=path,
            contract=contract,
            model=model,
            decoder=_decoder(path, contract, model),
            trace=decode_plan_trace(document["golden_trace"], contract.spec, where),
            trace_tolerance=float(document["trace_tolerance"]),
            precision=None if text is None else plan_precision_from(text, contract.spec, label),
        )

    def prove(self, denoise: Denoise) -> PlanTraceReport:
        """Replay the golden trace through this program and `denoise`; BundleError names the first difference."""
        report = check_plans(self.contract.spec, denoise, self.trace, self.trace_tolerance, str(self.path))
        if self.precision is not None:
            self.precision.check(self.contract.spec, denoise, str(self.path))
        return report


def diffusion_metadata(
    contract: DiffusionContract,
    graph_sha256: str,
    decoder: bytes,
    trace: PlanTrace,
    tolerance: float,
    precision: PlanPrecision | None = None,
) -> dict[str, str]:
    """All metadata of a bundle, in file order; equal policies give equal text."""
    document: dict[str, Any] = {
        **contract.as_dict(),
        "graph_sha256": graph_sha256,
        "trace_tolerance": tolerance,
        "golden_trace": encode_plan_trace(trace),
    }
    measured = {} if precision is None else {PRECISION_KEY: precision.as_json()}
    return {
        CONTRACT_KEY: json.dumps(document, allow_nan=False),
        DECODER_KEY: base64.b64encode(decoder).decode("ascii"),
        **measured,
    }


def _decoder(path: Path, contract: DiffusionContract, model: OnnxFile) -> bytes:
    try:
        data = base64.b64decode(model.metadata[DECODER_KEY], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BundleError(f"{path}: {DECODER_KEY} is not base64; copy or export it again") from error
    if hashlib.sha256(data).hexdigest() != contract.decoder.sha256:
        raise BundleError(f"{path}: the decoder is not the exported one (sha256 differs); copy or export it again")
    return data


def _check_interface(path: Path, contract: DiffusionContract, model: OnnxFile) -> None:
    spec = contract.spec
    widths = {"states": spec.state_codec.model_width, "actions": spec.action_codec.model_width}
    names = tuple(tensor.name for tensor in model.inputs)
    if names != INPUTS or tuple(tensor.name for tensor in model.outputs) != OUTPUTS:
        raise BundleError(f"{path}: graph inputs are {', '.join(names)}; {', '.join(INPUTS)} expected")
    for tensor in model.inputs[:2]:
        width = widths[tensor.name]
        if not tensor.is_float32 or len(tensor.shape) != 3 or tensor.shape[2] != width:
            raise BundleError(
                f"{path}: input '{tensor.name}' has shape {tensor.shape}, (1, n, {width}) float32 expected"
            )
