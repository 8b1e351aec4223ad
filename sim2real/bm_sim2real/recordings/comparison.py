"""A recording against a policy: the same observations in, the largest difference of what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.contract import Contract
from bm_core.errors import ConfigError
from bm_sim2real.recordings.recorded_steps import RecordedSteps


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Of all steps."""

    steps: int
    largest: float
    """Largest |difference| of an action; NaN if one is no number."""
    step: int
    """Number of the control step where it is."""
    joint: str
    """Whose action."""
    mean: float


def compare(
    steps: RecordedSteps, contract: Contract, run: Callable[[NDArray[np.float32], int], NDArray[np.float32]]
) -> Comparison:
    """`run(observation, frame) -> action`. ConfigError if the recording is of another policy's shape."""
    shape = (steps.observation.shape[1], steps.action.shape[1])
    if shape != (contract.observation_dim, contract.action_dim):
        raise ConfigError(
            f"recorded are {shape[0]} observations and {shape[1]} actions, the policy has "
            f"{contract.observation_dim} and {contract.action_dim}; give the recorded one with --policy"
        )
    again = np.stack([run(row, int(frame)) for row, frame in zip(steps.observation, steps.frame, strict=True)])
    difference = np.abs(again.astype(np.float64) - steps.action)
    worst = np.unravel_index(int(np.argmax(np.where(np.isnan(difference), np.inf, difference))), difference.shape)
    return Comparison(
        steps=len(again),
        largest=float(difference[worst]),
        step=int(steps.step[worst[0]]),
        joint=contract.action.joint_names[worst[1]],
        mean=float(difference.mean()),
    )
