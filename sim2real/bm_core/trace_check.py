"""Replays a golden trace and names the first number that differs, in words an engineer can act on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.contract import Contract
from bm_core.errors import BundleError
from bm_core.golden_trace import GoldenTrace
from bm_core.observation_terms import NUM_JOINTS, ObservationTerm

Run = Callable[..., NDArray[np.float32]]
"""observation (O,) -> action (A,), float32; with a second argument, the frame, for graphs that take `time_step`."""

OBSERVATION_TOLERANCE = 1e-4
"""Arithmetic of ours on float32 records, whatever the network's precision."""
TORQUE_TOLERANCE = 1e-5
"""The same for the motors. [M] Gains rounded to three decimals are 1.8e-3 off on the shipped trace, to four 1.7e-4."""


@dataclass(frozen=True, kw_only=True)
class TraceReport:
    """Largest differences of a replay that passed, |got - expected| / max(1, |expected|)."""

    num_ticks: int
    """0 for a foreign bundle: nothing was compared."""
    term_error: dict[str, float]
    """Of each observation term, state -> observation."""
    action_error: float
    """Observation -> action."""
    torque_error: float
    """Action -> motor torque."""

    @property
    def worst_term_error(self) -> float:
        return max(self.term_error.values(), default=0.0)


def check_trace(contract: Contract, trace: GoldenTrace | None, tolerance: float, run: Run, where: str) -> TraceReport:
    """Replay `trace`; BundleError, prefixed with `where`, names the first difference.

    `tolerance` is the network's; observations and torques have their own.
    """
    if trace is None:
        _action(contract, run, (np.zeros(contract.observation_dim, dtype=np.float32),), where)
        return TraceReport(num_ticks=0, term_error={}, action_error=0.0, torque_error=0.0)
    term_error = _check_observations(contract, trace, min(tolerance, OBSERVATION_TOLERANCE), where)
    inputs = trace.observation if trace.time_step is None else zip(trace.observation, trace.time_step, strict=True)
    rows = [row if isinstance(row, tuple) else (row,) for row in inputs]
    got = np.stack([_action(contract, run, row, where) for row in rows])
    joints = contract.action.joint_names
    action_error = _compare(
        got, trace.action, tolerance, lambda i: f"action of {joints[i]}", where, "the network runs differently here"
    )
    torque_error = _compare(
        trace.torques(contract),
        trace.torque,
        TORQUE_TOLERANCE,
        lambda i: f"motor torque of {joints[i]}",
        where,
        "its gains, action scale or default pose are not those of the recording",
    )
    return TraceReport(
        num_ticks=trace.num_ticks, term_error=term_error, action_error=action_error, torque_error=torque_error
    )


def _check_observations(contract: Contract, trace: GoldenTrace, tolerance: float, where: str) -> dict[str, float]:
    got = trace.observations(contract)
    errors = {}
    offset = 0
    for term in contract.observations:
        block = slice(offset, offset + term.size)
        errors[term.name] = _compare(
            got[:, block],
            trace.observation[:, block],
            tolerance,
            lambda i, term=term: _element(contract, term, i),
            where,
            "this program builds another observation than the policy was recorded with",
        )
        offset += term.size
    return errors


def _element(contract: Contract, term: ObservationTerm, index: int) -> str:
    """`joint_pos[3] (left_knee_joint)`, with the step of a history."""
    step, element = divmod(index, term.dim)
    joint = ""
    if term.dim % NUM_JOINTS == 0:
        joint = f" ({contract.action.joint_names[element % NUM_JOINTS]})"
    age = f" {term.history - 1 - step} steps ago" if term.history > 1 else ""
    return f"observation term '{term.name}'[{element}]{joint}{age}"


def _compare(
    got: NDArray, expected: NDArray, tolerance: float, name: Callable[[int], str], where: str, meaning: str
) -> float:
    """Largest scaled difference of (N, D) arrays; BundleError for the first column of the first tick beyond it."""
    error = np.abs(np.asarray(got, dtype=np.float64) - expected) / np.maximum(1.0, np.abs(expected))
    # NaN fails every comparison, so the good ones are counted, not the bad.
    wrong = ~(error <= tolerance)
    if wrong.any():
        tick, column = map(int, np.argwhere(wrong)[0])
        raise BundleError(
            f"{where}: golden trace, tick {tick}: {name(column)} is {got[tick, column]:.6g}, "
            f"{expected[tick, column]:.6g} expected (tolerance {tolerance:g}); {meaning}"
        )
    return float(error.max(initial=0.0))


def _action(contract: Contract, run: Run, inputs: tuple, where: str) -> NDArray[np.float32]:
    action = np.asarray(run(*inputs))
    if action.shape != (contract.action_dim,):
        raise BundleError(f"{where}: the network returned shape {action.shape}, ({contract.action_dim},) expected")
    if not np.all(np.isfinite(action)):
        joint = contract.action.joint_names[int(np.argmin(np.isfinite(action)))]
        raise BundleError(f"{where}: the network's action of {joint} is not finite; its weights may hold NaN")
    return action
