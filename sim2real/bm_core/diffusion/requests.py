"""Starts of a denoising loop: from nothing, or from the last plan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.sampler import PlanRequest
from bm_core.errors import ConfigError

Array = NDArray[np.floating]


def cold_request(
    layout: TokenLayout,
    history_states: Array,
    history_actions: Array,
    top_level: int,
    *,
    history_action_level: int = 0,
) -> PlanRequest:
    """Nothing known but the history: states (B, present + 1, D), actions (B, present, A), SI units.

    `history_action_level`: to which its actions are re-noised; 0: they are given.
    """
    _check_history(layout, history_states, history_actions)
    states, actions = _extended(history_states, layout.tokens), _extended(history_actions, layout.tokens)
    levels = (top_level, top_level, top_level, history_action_level)
    return _with_history(layout, states, actions, history_states, history_actions, *levels)


def warm_request(
    layout: TokenLayout,
    history_states: Array,
    history_actions: Array,
    last_states: Array,
    last_actions: Array,
    top_level: int,
    state_level: int,
    action_level: int,
    shift: int = 1,
    committed: int = 0,
    history_action_level: int = 0,
) -> PlanRequest:
    """The last plan, moved on by `shift` pairs, is the guess: re-noised to the given levels, what it lacks from noise.

    `last_states` (B, N, D) must already be relative to the new present (`reframe`). The first `committed` action tokens
    from the present on are kept as planned, because the robot will have run them when this plan arrives. Action tokens
    behind the supervised ones were never trained: they are no guess, and start from noise. `history_action_level` as in
    `cold_request`.
    """
    _check_history(layout, history_states, history_actions)
    if not 0 <= shift < layout.horizon or not 0 <= committed < layout.supervised - shift:
        raise ConfigError(f"warm start: shift {shift} and committed {committed} must leave something to plan")
    states = _extended(last_states[:, shift:], layout.tokens)
    actions = _extended(last_actions[:, shift : layout.present + layout.supervised], layout.tokens)
    levels = (state_level, action_level, top_level, history_action_level)
    request = _with_history(layout, states, actions, history_states, history_actions, *levels, missing=shift)
    request.action_levels[layout.present + layout.supervised - shift :] = top_level
    request.action_levels[layout.present : layout.present + committed] = 0
    return request


def _with_history(
    layout: TokenLayout,
    states: Array,
    actions: Array,
    history_states: Array,
    history_actions: Array,
    state_level: int,
    action_level: int,
    top_level: int,
    history_action_level: int,
    missing: int = 0,
) -> PlanRequest:
    known = layout.present + 1
    states[:, :known], actions[:, : known - 1] = history_states, history_actions
    index = np.arange(layout.tokens)
    is_missing = index >= layout.tokens - missing
    state_levels = np.where(index < known, 0, np.where(is_missing, top_level, state_level))
    action_levels = np.where(index < known - 1, history_action_level, np.where(is_missing, top_level, action_level))
    return PlanRequest(states=states, actions=actions, state_levels=state_levels, action_levels=action_levels)


def _extended(values: Array, tokens: int) -> Array:
    """(B, n, D) -> a new (B, tokens, D), the last one repeated: at the highest level only 0.3 % of it is left."""
    return values[:, np.minimum(np.arange(tokens), values.shape[1] - 1)]


def _check_history(layout: TokenLayout, states: Array, actions: Array) -> None:
    if states.shape[1] != layout.present + 1 or actions.shape[1] != layout.present:
        raise ConfigError(
            f"history of {states.shape[1]} states and {actions.shape[1]} actions: this model wants "
            f"{layout.present + 1} states and {layout.present} actions"
        )
