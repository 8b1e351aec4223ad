"""A plan: what the robot shall do from its stamp on, and how it is expected to look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.state import StateRepresentation, decode_states
from bm_core.diffusion.trajectory import PresentFrame, RobotTrajectory

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Stamped with the control step whose state it starts from. Immutable; may cross processes."""

    step: int
    """Control step of its present."""
    time: float
    """s on the robot's clock at that step."""
    present: PresentFrame
    """What its states are relative to."""
    states: Array
    """(N, D) all state tokens, history first, SI units"""
    actions: Array
    """(N, A) all action tokens; only those up to the supervised horizon mean anything"""
    layout: TokenLayout
    representation: StateRepresentation
    is_warm: bool = False
    """Whether it started from the plan before."""
    seconds: float = 0.0
    """Wall time that planning took; 0 where nobody measured."""

    @property
    def last_step(self) -> int:
        """Control step of the last action that was trained for."""
        return self.step + self.layout.supervised * self.layout.steps_per_token - 1

    def action(self, step: int) -> Array | None:
        """(step_width,) action of a control step; None before the plan and behind the supervised horizon."""
        if not self.step <= step <= self.last_step:
            return None
        token, part = divmod(step - self.step, self.layout.steps_per_token)
        return self.layout.unpack(self.actions[self.layout.present + token])[part]

    def trajectory(self) -> RobotTrajectory:
        """(N,) instants of the planned states in the world, `layout.token_dt` apart; the present is layout.present."""
        return decode_states(self.states, self.present, self.representation)
