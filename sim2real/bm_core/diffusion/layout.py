"""Which control steps the tokens of a window stand for, and how actions are packed into action tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import ConfigError
from bm_core.g1 import CONTROL_DT, G1

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class TokenLayout:
    """Pairs (s_i, a_i), i = 0..tokens-1.

    State token i is the state at control step t + (i - present) * steps_per_token, action token i holds the actions
    of that step and of those up to the next token.
    """

    tokens: int = 21
    """Pairs."""
    present: int = 4
    """Index of the present pair: states up to it and actions before it are history."""
    steps_per_token: int = 2
    """Control steps (20 ms) per pair; 1 is the paper's literal 50 Hz."""
    step_width: int = len(G1.joint_names)
    """Numbers per control step: 29 joint actions, or 32 of a latent."""
    supervised: int = 8
    """Action tokens from the present on that the loss covers; a plan may be run no further."""

    def __post_init__(self) -> None:
        if not 1 <= self.present < self.tokens:
            raise ConfigError(f"layout.present = {self.present}: must be 1..{self.tokens - 1}, inside the tokens")
        if self.steps_per_token < 1 or self.step_width < 1:
            raise ConfigError("layout.steps_per_token and layout.step_width must be >= 1")
        if not 1 <= self.supervised <= self.horizon:
            raise ConfigError(
                f"layout.supervised = {self.supervised}: must be 1..{self.horizon}, tokens from present on"
            )

    @property
    def horizon(self) -> int:
        """Action tokens from the present on."""
        return self.tokens - self.present

    @property
    def action_width(self) -> int:
        """Numbers in an action token."""
        return self.steps_per_token * self.step_width

    @property
    def token_dt(self) -> float:
        """s between two state tokens."""
        return self.steps_per_token * CONTROL_DT

    @property
    def look_ahead(self) -> float:
        """s from the present to the last state token."""
        return (self.tokens - 1 - self.present) * self.token_dt

    @property
    def state_offsets(self) -> NDArray[np.int64]:
        """(tokens,) control steps from the present to each state token."""
        return (np.arange(self.tokens) - self.present) * self.steps_per_token

    @property
    def action_offsets(self) -> NDArray[np.int64]:
        """(tokens, steps_per_token) control steps from the present to each action."""
        return self.state_offsets[:, None] + np.arange(self.steps_per_token)

    @property
    def window_steps(self) -> int:
        """Control steps that a window spans."""
        return self.tokens * self.steps_per_token

    def pack(self, actions: Array) -> Array:
        """Consecutive actions (..., n * steps_per_token, step_width) -> action tokens (..., n, action_width)."""
        return actions.reshape(*actions.shape[:-2], -1, self.action_width)

    def unpack(self, tokens: Array) -> Array:
        """Action tokens (..., n, action_width) -> consecutive actions (..., n * steps_per_token, step_width)."""
        return tokens.reshape(*tokens.shape[:-2], -1, self.step_width)
