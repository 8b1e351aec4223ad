"""Smaller weights for the planner graph: int8 for CPUs, fp16 for GPUs. Inputs and outputs stay float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bm_export import precision as precisions
from bm_export.onnx_graph import normalise

if TYPE_CHECKING:
    import onnx

FLOAT_LAYERS = ("action_in", "action_out")
"""Left in float32: with no action token at all (a states-only pass) there is nothing to take a range of."""


def with_precision(model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """The graph with weights as bm_core.diffusion.contract.PRECISIONS names them; the argument stays as it is."""
    floats = [node.name for node in model.graph.node if any(f"/{name}" in node.name for name in FLOAT_LAYERS)]
    changed = precisions.with_precision(model, precision, float_nodes=floats if precision == "int8" else ())
    if changed is not model:
        normalise(changed, model.graph.name)
    return changed
