"""Policy bundles: one .onnx file that says what it expects and proves that it gets it.

Metadata: the keys of whole_body_tracking's exporter, so that other stacks can run the policy, and `bm.contract`, one
JSON document: the Contract, graph_sha256, trace_tolerance, golden_trace. Files without it load through the former
(foreign_bundle.py), with warnings about everything they cannot promise.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bm_core import strict_json
from bm_core.contract import Contract, contract_from_dict
from bm_core.contract_check import check_contract
from bm_core.errors import BundleError
from bm_core.foreign_bundle import TIME_STEP, check_wbt_metadata, contract_from_foreign, wbt_metadata
from bm_core.golden_trace import GoldenTrace, decode_trace, encode_trace
from bm_core.observation_terms import TERM_DIMS
from bm_core.onnx_file import OnnxFile, Tensor, read_onnx
from bm_core.trace_check import Run, TraceReport, check_trace

CONTRACT_KEY = "bm.contract"
NORMALISER_KEY = "bm.normaliser"
"""Metadata: "inside" if the graph normalises its observation; missing in bundles without a normaliser."""
PRECISION_KEY = "bm.precision"
"""Metadata: JSON of Precision; missing in float32 bundles."""
_NORMALISER_OPERATORS = {"Sub", "Div"}
PRODUCER = "beyondmimic-g1"
MAX_OPSET, MAX_IR_VERSION = 20, 9
"""What onnxruntime 1.17, the oldest supported, can load."""

DEFAULT_TOLERANCE = 1e-4
"""trace_tolerance of float32 networks."""

MAX_TOLERANCE, MAX_INT8_TOLERANCE = 0.1, 0.25
"""Of float networks and of int8 ones; beyond it a trace would prove nothing."""

EXTRA_KEYS = ("graph_sha256", "trace_tolerance", "golden_trace")
"""What the document holds beside the contract itself."""


@dataclass(frozen=True, kw_only=True)
class Precision:
    """Weights smaller than float32, and what that costs."""

    weights: str
    """fp16 or int8."""
    error: float
    """Largest |got - float32| / max(1, |float32|) on the observations of a rollout, measured at export."""
    observations: int
    """How many those were."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A policy file whose contract fits this robot. `prove` it on the session that will run it."""

    path: Path
    contract: Contract
    model: OnnxFile
    trace: GoldenTrace | None = field(repr=False)
    """None for foreign bundles."""
    trace_tolerance: float
    """Largest |got - expected| / max(1, |expected|), measured at export; 1e-4 for float32."""
    warnings: tuple[str, ...]
    """What a foreign bundle lacks; empty for our own."""
    precision: Precision | None = None
    """None: float32."""
    float_trace: GoldenTrace | None = field(default=None, repr=False)
    """What the same policy does in float32, beside an int8 bundle's own trace: int8 results differ between CPUs."""

    @classmethod
    def read(cls, path: str | Path) -> Bundle:
        """Read and check a bundle; needs no onnx package. BundleError says what is wrong with it."""
        path = Path(path)
        model = read_onnx(path)
        if CONTRACT_KEY in model.metadata:
            return _own(path, model)
        if model.producer == PRODUCER:
            raise BundleError(f"{path}: our own export, but without its {CONTRACT_KEY}; copy or export it again")
        contract, warnings = contract_from_foreign(path, model, str(path))
        check_contract(contract, str(path))
        _check_interface(path, contract, model)
        return cls(
            path=path,
            contract=contract,
            model=model,
            trace=None,
            trace_tolerance=DEFAULT_TOLERANCE,
            warnings=tuple(warnings),
        )

    @property
    def observation_input(self) -> Tensor:
        """The graph's observation input, (batch, observation_dim) float32."""
        return self.model.inputs[0]

    @property
    def action_output(self) -> Tensor:
        """The graph's action output, (batch, action_dim) float32."""
        return self.model.outputs[0]

    @property
    def is_foreign(self) -> bool:
        """Without a contract of its own: nothing was replayed, treat with care."""
        return self.trace is None

    def prove(self, run: Run) -> TraceReport:
        """Replay the golden trace through this program and `run` (observation (O,) -> action (A,), float32).

        BundleError names the first term or joint that differs. A foreign bundle has no trace: its network only has to
        give finite actions of the right length for a zero observation, and the report says 0 ticks.
        """
        report = check_trace(self.contract, self.trace, self.trace_tolerance, run, str(self.path))
        if self.float_trace is not None:
            check_trace(self.contract, self.float_trace, self.trace_tolerance, run, f"{self.path}: float32 trace")
        return report


def _own(path: Path, model: OnnxFile) -> Bundle:
    where = f"{path}: {CONTRACT_KEY}"
    document = own_document(path, model)
    facts = {key: value for key, value in document.items() if key not in EXTRA_KEYS}
    contract = contract_from_dict(facts, where)
    check_contract(contract, where)
    check_wbt_metadata(model.metadata, contract, str(path))
    _check_interface(path, contract, model)
    if NORMALISER_KEY in model.metadata and not model.operators >= _NORMALISER_OPERATORS:
        raise BundleError(f"{path}: the observation normaliser is missing in the graph; export the bundle again")
    precision, float_trace = _precision(model, contract, path)
    return Bundle(
        path=path,
        contract=contract,
        model=model,
        trace=decode_trace(document["golden_trace"], contract, where),
        trace_tolerance=float(document["trace_tolerance"]),
        warnings=(),
        precision=precision,
        float_trace=float_trace,
    )


def _precision(model: OnnxFile, contract: Contract, path: Path) -> tuple[Precision | None, GoldenTrace | None]:
    if PRECISION_KEY not in model.metadata:
        return None, None
    where = f"{path}: {PRECISION_KEY}"
    document = strict_json.parse_object(model.metadata[PRECISION_KEY], where)
    trace = document.pop("float_trace", None)
    precision = strict_json.build(Precision, document, where)
    if precision.weights not in ("fp16", "int8"):
        raise BundleError(f"{where}: weights '{precision.weights}' are unknown; fp16 or int8 expected")
    if precision.weights == "int8" and trace is None:
        raise BundleError(f"{where}: an int8 policy needs the float32 trace beside its own; export the bundle again")
    return precision, None if trace is None else decode_trace(trace, contract, where)


def own_document(path: Path, model: OnnxFile) -> dict[str, Any]:
    """`bm.contract` of one of our files, parsed, with graph, tolerance and versions checked. BundleError otherwise."""
    where = f"{path}: {CONTRACT_KEY}"
    document = strict_json.parse_object(model.metadata[CONTRACT_KEY], where)
    for key in EXTRA_KEYS:
        if key not in document:
            raise BundleError(f"{where}: key '{key}' is missing; export the bundle again")
    if document["graph_sha256"] != model.graph_sha256:
        raise BundleError(f"{path}: the graph is not the exported one (sha256 differs); copy or export it again")
    tolerance = document["trace_tolerance"]
    limit = MAX_INT8_TOLERANCE if PRECISION_KEY in model.metadata else MAX_TOLERANCE
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)) or not 0.0 < tolerance <= limit:
        raise BundleError(f"{where}: trace_tolerance is {tolerance!r}, a number in (0, {limit}] expected")
    if model.opset > MAX_OPSET or model.ir_version > MAX_IR_VERSION:
        raise BundleError(
            f"{path}: opset {model.opset}, IR {model.ir_version}; at most {MAX_OPSET} and {MAX_IR_VERSION} allowed"
        )
    return document


def _check_interface(path: Path, contract: Contract, model: OnnxFile) -> None:
    """The graph takes the observation of the contract and returns its action."""
    taken = {"obs": contract.observation_dim} | ({TIME_STEP: 1} if contract.reference != "external" else {})
    if len(model.inputs) != len(taken):
        names = ", ".join(tensor.name for tensor in model.inputs)
        raise BundleError(f"{path}: graph inputs are {names or 'none'}; {', '.join(taken)} expected")
    if not model.outputs:
        raise BundleError(f"{path}: the graph has no output")
    for tensor, (name, dim) in zip(model.inputs, taken.items(), strict=True):
        hint = _missing_term(contract, tensor.shape[-1:]) if name == "obs" else ""
        _check_tensor(f"{path}: graph input '{tensor.name}'", tensor, dim, "the observation terms have", hint)
    output = model.outputs[0]
    _check_tensor(f"{path}: graph output '{output.name}'", output, contract.action_dim, "the contract's actions have")


def _missing_term(contract: Contract, width: tuple[int | None, ...]) -> str:
    """Which known terms would fill the gap between the contract's terms and the graph."""
    gap = (width[0] or 0) - contract.observation_dim if width else 0
    present = {term.name for term in contract.observations}
    fitting = [name for name, dim in TERM_DIMS.items() if dim == gap and name not in present]
    return f"; missing may be {' or '.join(fitting)}" if fitting else ""


def _check_tensor(label: str, tensor: Tensor, dim: int, whose: str, hint: str = "") -> None:
    shape = tensor.shape
    if not tensor.is_float32 or len(shape) != 2 or shape[0] not in (None, 1):
        raise BundleError(f"{label} must be float32 of shape (1, {dim}); found shape {shape}")
    if shape[1] != dim:
        raise BundleError(f"{label} has {shape[1]} numbers, {whose} {dim}{hint}")


def bundle_metadata(
    contract: Contract,
    graph_sha256: str,
    trace: GoldenTrace,
    tolerance: float,
    *,
    has_normaliser: bool = False,
    precision: Precision | None = None,
    float_trace: GoldenTrace | None = None,
) -> dict[str, str]:
    """All metadata of a bundle, in file order; equal policies give equal text.

    `bm.contract` comes first: of a file that lost its tail it is the last thing to go missing.
    """
    if not math.isfinite(tolerance) or tolerance <= 0.0:
        raise BundleError(f"trace_tolerance is {tolerance}, must be positive")
    document: dict[str, Any] = {
        **contract.as_dict(),
        "graph_sha256": graph_sha256,
        "trace_tolerance": tolerance,
        "golden_trace": encode_trace(trace),
    }
    entries = {CONTRACT_KEY: json.dumps(document, allow_nan=False)}
    if has_normaliser:
        entries[NORMALISER_KEY] = "inside"
    if precision is not None:
        beside = {} if float_trace is None else {"float_trace": encode_trace(float_trace)}
        entries[PRECISION_KEY] = json.dumps({**asdict(precision), **beside}, allow_nan=False)
    return {**entries, **wbt_metadata(contract)}
