"""The denoising transformer as one ONNX graph for full and for states-only passes, and the decoder beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bm_core.bundle import PRODUCER
from bm_core.diffusion.bundle import FREE_SIZE, INPUTS, OUTPUTS
from bm_core.diffusion.spec import DiffusionSpec
from bm_export.onnx_graph import IR_VERSION, OPSET, finished, traced

if TYPE_CHECKING:
    import onnx
    from torch import nn

    from bm_training.diffusion.latent_model import ActionAutoencoder
    from bm_training.diffusion.model import TokenTransformer


def planner_graph(model: TokenTransformer, spec: DiffusionSpec) -> onnx.ModelProto:
    """float32, batch 1. The number of action tokens is free: 0 runs the states alone, on the same weights."""
    import torch

    tokens, widths = spec.layout.tokens, (spec.state_codec.model_width, spec.action_codec.model_width)
    # Fewer actions than states: a trace with equal numbers could mistake one for the other.
    example = (
        torch.zeros(1, tokens, widths[0]),
        torch.zeros(1, 3, widths[1]),
        torch.zeros(1, tokens, dtype=torch.int64),
        torch.zeros(1, 3, dtype=torch.int64),
    )
    free = {name: {1: FREE_SIZE} for name in ("actions", "action_levels", "clean_actions")}
    return finished(traced(_planner_module(model), example, list(INPUTS), list(OUTPUTS), free), "planner")


def identity_decoder(width: int) -> onnx.ModelProto:
    """Joint actions need no decoding: z (1, width) -> actions (1, width)."""
    import onnx
    from onnx import TensorProto, helper

    shape = [1, width]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["z"], ["actions"])],
        "decoder",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name=PRODUCER
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def latent_decoder(model: ActionAutoencoder) -> onnx.ModelProto:
    """The decoding half: z (1, Z), obs (1, O) -> actions (1, 29), scaling inside."""
    import torch

    from bm_training.diffusion.latent_model import LatentDecoder

    example = torch.zeros(1, model.config.latent), torch.zeros(1, len(model.felt_mean))
    return finished(traced(LatentDecoder(model).eval(), example, ["z", "obs"], ["actions"]), "decoder")


def _planner_module(model: TokenTransformer) -> nn.Module:
    import torch
    from torch import Tensor, nn

    class Planner(nn.Module):
        """`TokenTransformer.forward` for the first n action tokens: none of them sees a later one."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(
            self, states: Tensor, actions: Tensor, state_levels: Tensor, action_levels: Tensor
        ) -> tuple[Tensor, Tensor]:
            net, first = self.model, self.model.tokens
            parts = [net._states_in(states, state_levels), net._actions_in(actions, action_levels)]
            count = first + actions.shape[1]
            tokens = torch.cat(parts, dim=1) + net.positions[:count]
            bias = net.attention_bias[:count, :count]
            for layer in net.layers:
                tokens = layer(tokens, bias)
            return net.state_out(tokens[:, :first]), net.action_out(tokens[:, first:])

    return Planner().eval()
