"""Smaller weights for a graph: int8 for CPUs, fp16 for GPUs. Inputs and outputs stay float32."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

from bm_core.errors import ConfigError
from bm_sim2real.process_signals import temporary_folder

if TYPE_CHECKING:
    import onnx

PRECISIONS = ("fp32", "fp16", "int8")


def with_precision(
    model: onnx.ModelProto, precision: str, *, float_nodes: Collection[str] = (), reduce_range: bool = False
) -> onnx.ModelProto:
    """The graph with weights of that precision; the argument stays as it is. ConfigError for an unknown one.

    `float_nodes`: names of nodes that stay in float32. `reduce_range`: 7 instead of 8 bits, so that CPUs without VNNI,
    which add products in 16 bits, cannot saturate and every CPU computes the same.
    """
    if precision == "fp32":
        return model
    if precision == "fp16":
        return _half(model, float_nodes)
    if precision == "int8":
        return _int8(model, float_nodes, reduce_range)
    raise ConfigError(f"precision '{precision}': {', '.join(PRECISIONS)} are known")


def _half(model: onnx.ModelProto, float_nodes: Collection[str]) -> onnx.ModelProto:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return convert_float_to_float16(copy, keep_io_types=True, node_block_list=list(float_nodes))


def _int8(model: onnx.ModelProto, float_nodes: Collection[str], reduce_range: bool) -> onnx.ModelProto:
    """Weights per column, signed; activations when they come (dynamic): their range changes with the situation."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    log = logging.getLogger()
    level = log.level
    with temporary_folder() as folder:
        source, target = folder / "float.onnx", folder / "int8.onnx"
        source.write_bytes(model.SerializeToString())
        log.setLevel(logging.ERROR)  # it recommends a preparation for models other than ours
        try:
            quantize_dynamic(
                source,
                target,
                per_channel=True,
                reduce_range=reduce_range,
                weight_type=QuantType.QInt8,
                # It first makes each Gemm a MatMul of this name and an Add.
                nodes_to_exclude=[*float_nodes, *(f"{name}_MatMul" for name in float_nodes)],
            )
        finally:
            log.setLevel(level)
        return onnx.load(target)
