"""Soft ends of the guard's output: damping that comes in after connecting, stiffness that fades at an orderly release.

Only for ends that someone asked for. A fault damps at once.
"""

from __future__ import annotations

import numpy as np

from bm_core.state import LowCommand


def fade(command: LowCommand, damping: LowCommand, share: float) -> LowCommand:
    """`command` whose stiffness and torque have faded by `share` (0..1) while the gains of `damping` came in."""
    left = 1.0 - share
    return LowCommand(
        seq=command.seq,
        state_seq=command.state_seq,
        q=command.q,
        dq=left * command.dq,
        tau=left * command.tau,
        kp=left * command.kp,
        kd=left * command.kd + share * damping.kd,
    )


class DampedRamp:
    """Counts one ramp of `ticks` from `command` to `damping`; over once `next` has returned None."""

    def __init__(self, command: LowCommand, damping: LowCommand, ticks: int) -> None:
        self._command, self._damping, self._ticks = command, damping, ticks
        self._done = 0

    def next(self) -> LowCommand | None:
        """The command of the next tick; None after the last."""
        self._done += 1
        if self._done >= self._ticks:
            return None
        return fade(self._command, self._damping, self._done / self._ticks)


def no_torque(damping: LowCommand) -> LowCommand:
    """A command that does nothing at all: where the ramp after connecting begins."""
    zero = np.zeros_like(damping.kd)
    return LowCommand(seq=0, state_seq=0, q=zero, dq=zero, tau=zero, kp=zero, kd=zero)
