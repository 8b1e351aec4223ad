"""Who may look at whom: additive attention bias over the tokens [s_0 .. s_n-1, a_0 .. a_n-1]."""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

BLOCKED = -1.0e4
"""exp of it is exactly 0 in every float format in use, and unlike -inf it fits into fp16 and quantised graphs."""


class ActionContext(str, Enum):
    """Which states an action sees."""

    PAST = "past"
    """Those of its own and earlier pairs."""
    ALL = "all"
    """The whole plan; needed where history tokens are cached."""


def attention_bias(tokens: int, context: ActionContext = ActionContext.PAST) -> NDArray[np.float32]:
    """(2 tokens, 2 tokens), row = who looks. States see all states and never actions, so they can run without them.

    Actions see their own and earlier actions.
    """
    causal = np.tril(np.ones((tokens, tokens), dtype=bool))
    everything, nothing = np.ones_like(causal), np.zeros_like(causal)
    actions_see_states = causal if context is ActionContext.PAST else everything
    allowed = np.block([[everything, nothing], [actions_see_states, causal]])
    return np.where(allowed, 0.0, BLOCKED).astype(np.float32)
