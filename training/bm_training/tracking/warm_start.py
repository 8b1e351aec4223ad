"""Start a policy from one with other observations: what both see keeps its weights, what is new has no effect yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bm_core.errors import ConfigError
from bm_core.observation_terms import MOTION_ID_TERM, WINDOW_TERM

if TYPE_CHECKING:
    from isaaclab.managers import ObservationManager

Layout = Sequence[tuple[str, int]]
"""Blocks of an observation vector in order: name and size."""

_FIRST_LAYER = "mlp.0.weight"
_NORMALISER = "obs_normalizer."


def transfer(model: nn.Module, state: dict[str, Tensor], old: Layout, new: Layout, what: str) -> list[str]:
    """Load `state`, learnt on layout `old`, into `model`, which sees layout `new`; returns the names of new blocks.

    Copies the columns of the first layer and the normaliser's statistics block by block, everything else as it is, the
    number of samples behind the statistics too: if they counted for less, the data of another motion set would rescale
    the inputs within some iterations, faster than the network can follow. New blocks begin at mean 0 and variance 1;
    new_blocks.py gives them their own. Raises ConfigError when the other layers differ.
    """
    target = dict(model.state_dict())
    pairs = _matching(old, new)
    for name, value in target.items():
        if name not in state:
            raise ConfigError(f"{what}: the checkpoint has no {name}; networks must be built alike")
        source = state[name]
        if name == _FIRST_LAYER:
            target[name] = _columns(torch.zeros_like(value), source, pairs, what)
        elif name.startswith(_NORMALISER) and source.ndim > 0:
            target[name] = _columns(value.clone(), source, pairs, what)
        elif source.shape != value.shape:
            raise ConfigError(f"{what}: {name} is {tuple(source.shape)} in the checkpoint, {tuple(value.shape)} here")
        else:
            target[name] = source
    model.load_state_dict(target)
    return [name for name, size in new if (name, size) not in old]


def new_columns(old: Layout, new: Layout) -> list[int]:
    """Columns of layout `new` that belong to blocks which `old` has not, or has with another size; ascending."""
    columns, position = [], 0
    for name, size in new:
        if (name, size) not in old:
            columns += range(position, position + size)
        position += size
    return columns


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


def expanded(
    terms: Sequence[tuple[str, int]], window_steps: Sequence[int], motions: Sequence[str] = ()
) -> list[tuple[str, int]]:
    """Layout with the window split by offset, motion ids by clip: what two layouts share of them keeps its weights."""
    layout: list[tuple[str, int]] = []
    for name, size in terms:
        if name == WINDOW_TERM:
            layout += [(f"{name}[{step}]", size // len(window_steps)) for step in window_steps]
        elif name == MOTION_ID_TERM:
            layout += [(f"{name}[{motion}]", 1) for motion in motions]
        else:
            layout.append((name, size))
    return layout


def group_layout(manager: ObservationManager, group: str) -> list[tuple[str, int]]:
    """Blocks of one observation group of an environment, split as `expanded` does."""
    names, dims = manager.active_terms[group], manager.group_obs_term_dim[group]
    terms = [(name, dim[0]) for name, dim in zip(names, dims, strict=True)]
    params = {name: cfg.params for name, cfg in zip(names, manager._group_obs_term_cfgs[group], strict=True)}
    steps = params.get(WINDOW_TERM, {}).get("steps", ())
    return expanded(terms, steps, params.get(MOTION_ID_TERM, {}).get("motions", ()))


def old_layouts(checkpoint: dict[str, Any]) -> dict[str, list[tuple[str, int]]]:
    """`policy` and `critic` layouts that a checkpoint was trained on."""
    return {group: [(name, int(size)) for name, size in blocks] for group, blocks in checkpoint["layouts"].items()}
