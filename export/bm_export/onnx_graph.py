"""A torch module as an ONNX model: small opset for old runtimes, equal bytes for equal weights."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bm_core.bundle import PRODUCER
from bm_core.foreign_bundle import TIME_STEP

if TYPE_CHECKING:
    import onnx
    from torch import nn

OPSET, IR_VERSION = 17, 8
"""Old enough for onnxruntime 1.17 and TensorRT 8.6, new enough for every layer in use."""


def onnx_model(actor: nn.Module, observation_dim: int, *, fixed_batch: bool = False) -> onnx.ModelProto:
    """`actor` as a graph obs (batch, observation_dim) -> actions (batch, A), float32; batch 1 if `fixed_batch`."""
    import torch

    free = {} if fixed_batch else {"obs": {0: "batch"}, "actions": {0: "batch"}}
    example = torch.zeros(1, observation_dim)
    model = traced(actor, (example,), ["obs"], ["actions"], free)
    # Tracing knows the width of what goes in, not of what comes out.
    width = model.graph.output[0].type.tensor_type.shape.dim[1]
    width.ClearField("dim_param")
    width.dim_value = int(actor(example).shape[-1])
    return finished(model, "tracker")


def embedded_model(actor: nn.Module, observation_dim: int, outputs: Sequence[str]) -> onnx.ModelProto:
    """`actor` (obs, time_step) -> actions and the reference `outputs` as a graph of batch 1, float32."""
    import torch

    example = (torch.zeros(1, observation_dim), torch.zeros(1, 1))
    model = traced(actor, example, ["obs", TIME_STEP], ["actions", *outputs])
    for tensor, value in zip(model.graph.output, actor(*example), strict=True):
        shape = tensor.type.tensor_type.shape
        del shape.dim[:]
        for size in value.shape:
            shape.dim.add().dim_value = size
    return finished(model, "tracker")


def traced(
    module: nn.Module,
    example: tuple[Any, ...],
    inputs: list[str],
    outputs: list[str],
    free: dict[str, dict[int, str]] | None = None,
) -> onnx.ModelProto:
    """`module` as it runs on `example`; `free` names the axes, input -> axis -> name, whose size stays open."""
    import onnx
    import torch

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter that traces is deprecated, but it writes no file names and stack traces of this machine. Of sizes
        # that it takes for constants it warns; who exports compares the graph with torch.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        torch.onnx.export(
            module,
            example,
            buffer,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=free or {},
            dynamo=False,
        )
    return onnx.load_from_string(buffer.getvalue())


def finished(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Normalised, and accepted by onnx's checker."""
    import onnx

    normalise(model, name)
    onnx.checker.check_model(model, full_check=True)
    return model


def with_metadata(model: onnx.ModelProto, metadata: dict[str, str]) -> bytes:
    """The model as file content, with `metadata` in the given order."""
    del model.metadata_props[:]
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString(deterministic=True)


def normalise(model: onnx.ModelProto, name: str) -> None:
    """Drop whatever depends on the exporter's version or machine."""
    model.ir_version, model.producer_name, model.graph.name = IR_VERSION, PRODUCER, name
    for field in ("producer_version", "domain", "doc_string"):
        model.ClearField(field)
    model.graph.ClearField("doc_string")
    for node in model.graph.node:
        node.ClearField("doc_string")
