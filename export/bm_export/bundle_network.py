"""The network inside one of our own bundles, as torch: enough to write it in another precision or with a motion inside.

Weights lie in the file as float32 and come back bit by bit; so does the graph, when it is exported again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bm_core.bundle import Bundle
from bm_core.errors import BundleError
from bm_export.checkpoint import TrainedTracker

if TYPE_CHECKING:
    import onnx
    import torch
    from torch import nn

_ACTIVATIONS = {"Elu": "elu", "Relu": "relu", "Tanh": "tanh"}
"""Operators between two layers, and rsl-rl's names for them."""


def load_bundle_tracker(path: str | Path) -> TrainedTracker:
    """Network and contract of a float32 bundle that `export_tracker` wrote; no checkpoint is needed.

    BundleError for a foreign bundle, one of another precision, with a motion inside, or any other kind of network.
    """
    import onnx

    path = Path(path)
    bundle = Bundle.read(path)
    if bundle.is_foreign:
        raise BundleError(f"{path}: not exported by this project: without bm.contract nothing can be proven again")
    if bundle.precision is not None:
        raise BundleError(f"{path}: its weights are {bundle.precision.weights} already; give the float32 bundle")
    if bundle.contract.reference != "external":
        raise BundleError(f"{path}: it has a motion inside; give the bundle without")
    actor = _actor(path, onnx.load(path).graph)
    return TrainedTracker(actor=actor, contract=bundle.contract)


def _actor(path: Path, graph: onnx.GraphProto) -> nn.Module:
    """Normaliser and MLP of a graph that is one chain: [Sub, Div,] Gemm, activation, ..., Gemm."""
    import torch
    from rsl_rl.modules import MLP

    arrays = _initializers(graph)
    nodes = list(graph.node)
    normaliser = [node.op_type for node in nodes[:2]] == ["Sub", "Div"]
    chain = nodes[2:] if normaliser else nodes
    gemms, between = chain[::2], [node.op_type for node in chain[1::2]]
    is_mlp = all(node.op_type == "Gemm" for node in gemms) and len(gemms) == len(between) + 1
    if not is_mlp or len(set(between)) != 1 or between[0] not in _ACTIVATIONS or not _is_chain(nodes):
        raise BundleError(f"{path}: its network is no plain MLP; export it from its checkpoint")
    weights = [arrays[node.input[1]] for node in gemms]
    sizes = [weights[0].shape[1], *(weight.shape[0] for weight in weights)]
    mlp = MLP(sizes[0], sizes[-1], sizes[1:-1], _ACTIVATIONS[between[0]])
    linear = [layer for layer in mlp if isinstance(layer, torch.nn.Linear)]
    with torch.no_grad():
        for layer, node in zip(linear, gemms, strict=True):
            layer.weight.copy_(torch.from_numpy(arrays[node.input[1]]))
            layer.bias.copy_(torch.from_numpy(arrays[node.input[2]]))
    first = [_normaliser(*(arrays[node.input[1]] for node in nodes[:2]))] if normaliser else []
    return torch.nn.Sequential(*first, mlp).eval().requires_grad_(False)


def _normaliser(mean: NDArray[np.float32], divisor: NDArray[np.float32]) -> nn.Module:
    """rsl-rl's, without its eps: the divisor in the graph has it already."""
    import torch
    from rsl_rl.modules import EmpiricalNormalization

    layer = EmpiricalNormalization(mean.shape[-1], eps=0.0)
    buffers: dict[str, torch.Tensor] = dict(layer.named_buffers())
    buffers["_mean"].copy_(torch.from_numpy(mean))
    buffers["_std"].copy_(torch.from_numpy(divisor))
    return layer


def _initializers(graph: onnx.GraphProto) -> dict[str, NDArray[np.float32]]:
    from onnx import numpy_helper

    # Copies: the arrays of the file are read-only.
    return {tensor.name: np.array(numpy_helper.to_array(tensor), dtype=np.float32) for tensor in graph.initializer}


def _is_chain(nodes: list[onnx.NodeProto]) -> bool:
    """Each node takes what the one before gives."""
    return all(after.input[0] == before.output[0] for before, after in zip(nodes, nodes[1:], strict=False))
