"""Smaller weights for the planner graph: int8 for CPUs, fp16 for GPUs. Inputs and outputs stay float32."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bm_core.errors import ConfigError
from bm_export.diffusion_graph import normalise

if TYPE_CHECKING:
    import onnx

FLOAT_LAYERS = ("action_in", "action_out")
"""Left in float32: with no action token at all (a states-only pass) there is nothing to take a range of."""


def with_precision(model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """The graph with weights as bm_core.diffusion.contract.PRECISIONS names them; the argument stays as it is."""
    if precision == "fp32":
        return model
    if precision == "fp16":
        return _half(model)
    if precision == "int8":
        return _int8(model)
    raise ConfigError(f"precision '{precision}': fp32, fp16 and int8 are known")


def _half(model: onnx.ModelProto) -> onnx.ModelProto:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    half = convert_float_to_float16(copy, keep_io_types=True)
    normalise(half, model.graph.name)
    return half


def _int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights per column, signed; activations when they come (dynamic): their range changes with the noise level."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    floats = [node.name for node in model.graph.node if any(f"/{name}" in node.name for name in FLOAT_LAYERS)]
    log = logging.getLogger()
    level = log.level
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(model.SerializeToString())
        log.setLevel(logging.ERROR)  # it recommends a preparation for models other than ours
        try:
            quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8, nodes_to_exclude=floats)
        finally:
            log.setLevel(level)
        quantised = onnx.load(target)
    normalise(quantised, model.graph.name)
    return quantised
