"""A torch module as an ONNX model: small opset for old runtimes, equal bytes for equal weights."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from bm_core.bundle import PRODUCER

if TYPE_CHECKING:
    import onnx
    from torch import nn

OPSET, IR_VERSION = 17, 8
"""Old enough for onnxruntime 1.17 and TensorRT 8.6, new enough for every layer in use."""


def onnx_model(actor: nn.Module, observation_dim: int) -> onnx.ModelProto:
    """`actor` as a graph obs (batch, observation_dim) -> actions (batch, A), float32."""
    import onnx
    import torch

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter that traces is the one whose output has no file names and stack traces of this machine in it.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            actor,
            (torch.zeros(1, observation_dim),),
            buffer,
            opset_version=OPSET,
            input_names=["obs"],
            output_names=["actions"],
            dynamic_axes={"obs": {0: "batch"}, "actions": {0: "batch"}},
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    action_dim = int(actor(torch.zeros(1, observation_dim)).shape[-1])
    _normalise(model, action_dim)
    onnx.checker.check_model(model, full_check=True)
    return model


def with_metadata(model: onnx.ModelProto, metadata: dict[str, str]) -> bytes:
    """The model as file content, with `metadata` in the given order."""
    del model.metadata_props[:]
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString(deterministic=True)


def _normalise(model: onnx.ModelProto, action_dim: int) -> None:
    """Drop whatever depends on the exporter's version or machine, and state the output's width."""
    model.ir_version = IR_VERSION
    model.producer_name = PRODUCER
    model.graph.name = "tracker"
    for field in ("producer_version", "domain", "doc_string"):
        model.ClearField(field)
    model.graph.ClearField("doc_string")
    for node in model.graph.node:
        node.ClearField("doc_string")
    width = model.graph.output[0].type.tensor_type.shape.dim[1]
    width.ClearField("dim_param")
    width.dim_value = action_dim
