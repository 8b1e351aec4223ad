"""The denoising transformer: state and action tokens, a noise level per token, predictions of the clean tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from bm_core.diffusion.attention import attention_bias
from bm_core.diffusion.spec import DiffusionSpec
from bm_core.errors import ConfigError
from bm_training.require import require


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Size of the network."""

    width: int = 512
    """Of a token inside; a quarter of it holds the noise level."""
    heads: int = 8
    depth: int = 6
    """Layers"""
    dropout: float = 0.1
    """Of attention and both halves of a layer, in training; a model that is trained without is the same network."""

    def __post_init__(self) -> None:
        if self.width % (8 * self.heads) != 0:
            raise ConfigError(f"model.width = {self.width}: must be a multiple of 8 x heads ({self.heads})")
        require(0.0 <= self.dropout < 1.0, "dropout", self.dropout, "at least 0, below 1")


LARGE = ModelConfig()
"""About 20 M parameters, the paper's."""
SMALL = ModelConfig(width=256, heads=4)
"""About 5 M parameters, for a CPU."""
MODELS = {"large": LARGE, "small": SMALL, "tiny": ModelConfig(width=64, heads=2, depth=2, dropout=0.0)}
"""By name; tiny is for tests."""


class TokenTransformer(nn.Module):
    """Pre-norm transformer over [s_0 .. s_n-1, a_0 .. a_n-1] in the codecs' model space.

    States never look at actions, so `forward_states` gives the same states without them.
    """

    def __init__(self, config: ModelConfig, spec: DiffusionSpec) -> None:
        super().__init__()
        self.config, self.tokens = config, spec.layout.tokens
        state_width, action_width = spec.state_codec.model_width, spec.action_codec.model_width
        content = config.width - config.width // 4
        self.state_in = nn.Sequential(nn.Linear(state_width, config.width), nn.GELU(), nn.Linear(config.width, content))
        self.action_in = nn.Linear(action_width, content)
        self.positions = nn.Parameter(0.02 * torch.randn(2 * self.tokens, config.width))
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.depth))
        self.state_out = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, state_width))
        self.action_out = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, action_width))
        self.register_buffer("level_table", _sinusoids(spec.levels + 1, config.width // 4), persistent=False)
        bias = torch.from_numpy(attention_bias(self.tokens, spec.context))
        self.register_buffer("attention_bias", bias, persistent=False)

    def forward(
        self, states: Tensor, actions: Tensor, state_levels: Tensor, action_levels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Noisy tokens (B, N, M), levels (B, N) int64 -> clean states (B, N, Ms), actions (B, N, Ma)."""
        tokens = torch.cat([self._states_in(states, state_levels), self._actions_in(actions, action_levels)], dim=1)
        tokens = tokens + self.positions
        for layer in self.layers:
            tokens = layer(tokens, self.attention_bias)
        return self.state_out(tokens[:, : self.tokens]), self.action_out(tokens[:, self.tokens :])

    def forward_states(self, states: Tensor, state_levels: Tensor) -> Tensor:
        """The states alone, half the work: for guided passes."""
        tokens = self._states_in(states, state_levels) + self.positions[: self.tokens]
        for layer in self.layers:
            tokens = layer(tokens, None)
        return self.state_out(tokens)

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def _states_in(self, states: Tensor, levels: Tensor) -> Tensor:
        return torch.cat([self.state_in(states), self.level_table[levels]], dim=-1)

    def _actions_in(self, actions: Tensor, levels: Tensor) -> Tensor:
        return torch.cat([self.action_in(actions), self.level_table[levels]], dim=-1)


class StatesOnly(nn.Module):
    """`forward_states` as a module, for the exporter."""

    def __init__(self, model: TokenTransformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, states: Tensor, state_levels: Tensor) -> Tensor:
        return self.model.forward_states(states, state_levels)


class _Layer(nn.Module):
    """Attention and a GELU MLP four times as wide, each behind its own norm."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.width
        self.heads, self.dropout = config.heads, config.dropout
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(4 * width, width)
        )

    def forward(self, tokens: Tensor, bias: Tensor | None) -> Tensor:
        tokens = tokens + self._drop(self._attend(self.norm_attention(tokens), bias))
        return tokens + self._drop(self.mlp(self.norm_mlp(tokens)))

    def _attend(self, tokens: Tensor, bias: Tensor | None) -> Tensor:
        batch, length, width = tokens.shape
        parts = self.query_key_value(tokens).reshape(batch, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mask = None if bias is None else bias.to(query.dtype)
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        return self.merge(mixed.transpose(1, 2).reshape(batch, length, width))

    def _drop(self, tokens: Tensor) -> Tensor:
        return functional.dropout(tokens, self.dropout, self.training)


def _sinusoids(levels: int, width: int) -> Tensor:
    """(levels, width): the usual sine and cosine code of an integer."""
    half = width // 2
    rate = torch.exp(-math.log(10_000.0) * torch.arange(half) / max(half - 1, 1))
    angle = torch.arange(levels)[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], dim=-1)
