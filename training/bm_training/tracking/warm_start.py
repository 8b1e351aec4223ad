"""Start a policy from one with other observations: what both see keeps its weights, what is new has no effect yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bm_core.errors import ConfigError

Layout = Sequence[tuple[str, int]]
"""Blocks of an observation vector in order: name and size."""

MAX_NORMALISER_COUNT = 1_000_000
"""Samples that the old statistics count for, so that those of new blocks (mean 0, variance 1) settle soon."""

_FIRST_LAYER = "mlp.0.weight"
_NORMALISER = "obs_normalizer."


def transfer(model: nn.Module, state: dict[str, Tensor], old: Layout, new: Layout, what: str) -> list[str]:
    """Load `state`, learnt on layout `old`, into `model`, which sees layout `new`; returns the names of new blocks.

    Copies the columns of the first layer and the normaliser's statistics block by block, everything else as it is.
    Raises ConfigError when the other layers differ.
    """
    target = dict(model.state_dict())
    pairs = _matching(old, new)
    for name, value in target.items():
        if name not in state:
            raise ConfigError(f"{what}: the checkpoint has no {name}; networks must be built alike")
        source = state[name]
        if name == _FIRST_LAYER:
            target[name] = _columns(torch.zeros_like(value), source, pairs, what)
        elif name == f"{_NORMALISER}count":
            target[name] = source.clamp(max=MAX_NORMALISER_COUNT)
        elif name.startswith(_NORMALISER):
            target[name] = _columns(value.clone(), source, pairs, what)
        elif source.shape != value.shape:
            raise ConfigError(f"{what}: {name} is {tuple(source.shape)} in the checkpoint, {tuple(value.shape)} here")
        else:
            target[name] = source
    model.load_state_dict(target)
    known = {name for name, _ in old}
    return [name for name, _ in new if name not in known]


def _matching(old: Layout, new: Layout) -> list[tuple[slice, slice]]:
    """(old columns, new columns) of blocks that both layouts have with the same size."""
    places, position = {}, 0
    for name, size in old:
        places[name, size] = slice(position, position + size)
        position += size
    pairs, position = [], 0
    for name, size in new:
        if (name, size) in places:
            pairs.append((places[name, size], slice(position, position + size)))
        position += size
    return pairs


def _columns(target: Tensor, source: Tensor, pairs: list[tuple[slice, slice]], what: str) -> Tensor:
    if source.shape[0] != target.shape[0]:
        raise ConfigError(f"{what}: first layer of {source.shape[0]} units in the checkpoint, {target.shape[0]} here")
    for old, new in pairs:
        target[:, new] = source[:, old]
    return target


def expanded(terms: Sequence[tuple[str, int]], window_steps: Sequence[int]) -> list[tuple[str, int]]:
    """Layout with the reference window split by offset: windows that share an offset share its weights."""
    layout: list[tuple[str, int]] = []
    for name, size in terms:
        if name == "reference_window":
            layout += [(f"{name}[{step}]", size // len(window_steps)) for step in window_steps]
        else:
            layout.append((name, size))
    return layout


def old_layouts(checkpoint: dict[str, Any]) -> dict[str, list[tuple[str, int]]]:
    """`policy` and `critic` layouts that a checkpoint was trained on."""
    return {group: [(name, int(size)) for name, size in blocks] for group, blocks in checkpoint["layouts"].items()}
