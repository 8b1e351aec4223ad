"""An outer integral trim: what guidance leaves undone in the steady state is added to the command.

Guidance pulls against the data's habits and settles between the two; where that is measured, the model card says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass
class CommandTrim:
    """Integrates command less velocity of one robot; both are (3,) m/s, m/s, rad/s in its yaw frame."""

    gain: float
    """1/s"""
    limit: float
    """m/s and rad/s that the trim may add"""
    settle_s: float = 0.5
    """s after a change of the command in which nothing is integrated: the robot is still changing its gait."""
    change: float = 0.05
    """m/s or rad/s that counts as a change"""
    _offset: Array = field(default_factory=lambda: np.zeros(3))
    _command: Array = field(default_factory=lambda: np.zeros(3))
    _since: float = 0.0

    def step(self, command: Array, velocity: Array, dt: float) -> Array:
        """The command to guide with, (3,)."""
        command = np.asarray(command, dtype=np.float64)
        changed = np.abs(command - self._command) > self.change
        # What was learned at another speed does not hold at this one; axes that did not change keep theirs.
        self._offset = np.where(changed, 0.0, self._offset)
        self._since = 0.0 if changed.any() else self._since + dt
        self._command = np.where(changed, command, self._command)
        if self._since >= self.settle_s:
            error = command - np.asarray(velocity)
            self._offset = np.clip(self._offset + self.gain * dt * error, -self.limit, self.limit)
        return command + self._offset
