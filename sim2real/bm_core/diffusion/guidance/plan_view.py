"""State tokens by name: what costs read, and into what they write their gradients."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from bm_core.diffusion.guidance.arrays import as_like, library
from bm_core.diffusion.state import NUM_BODIES, StateRepresentation, StateSlices, state_slices
from bm_core.errors import ConfigError

_slices = functools.cache(state_slices)
"""A view is made several times in every pass."""


class PlanView:
    """The states of a plan from the present (index 0) on, (B, H, D), SI units, relative to the present yaw frame.

    Every property is a view: a gradient is filled by assigning to its parts.
    """

    def __init__(self, states: Any, representation: StateRepresentation, token_dt: float) -> None:
        """`token_dt`: s between two tokens."""
        self.states = states
        self._representation, self._token_dt = representation, token_dt
        self._places: StateSlices = _slices(representation)

    def zeros(self) -> PlanView:
        """A gradient to fill."""
        zeros = library(self.states).zeros_like(self.states)
        return PlanView(zeros, self._representation, self._token_dt)

    @property
    def times(self) -> Any:
        """(H,) s since the present."""
        return as_like(np.arange(self.states.shape[1]) * self._token_dt, self.states)

    @property
    def token_dt(self) -> float:
        """s"""
        return self._token_dt

    @property
    def root_pos(self) -> Any:
        """(B, H, 3) m"""
        return self.states[..., self._places.root_pos]

    @property
    def root_rot6d(self) -> Any:
        """(B, H, 6): first two columns of the rotation matrix, row by row."""
        return self.states[..., self._places.root_rot6d]

    @property
    def root_lin_vel(self) -> Any:
        """(B, H, 3) m/s"""
        return self.states[..., self._places.root_lin_vel]

    @property
    def root_ang_vel(self) -> Any:
        """(B, H, 3) rad/s"""
        return self.states[..., self._places.root_ang_vel]

    @property
    def has_bodies(self) -> bool:
        """Whether the representation holds bodies."""
        return self._representation is StateRepresentation.BODY_POS

    @property
    def body_pos(self) -> Any:
        """(B, H, 14, 3) m less the root's, in each token's own yaw frame. ConfigError for Joint-Rot states."""
        if not self.has_bodies:
            raise ConfigError("this cost needs body positions; joint_rot states hold none, use a body_pos model")
        return self.states[..., self._places.first].reshape(*self.states.shape[:-1], NUM_BODIES, 3)

    def heading(self) -> tuple[Any, Any]:
        """Cosine and sine (B, H) of the root's yaw relative to the present; `pull_heading` is the way back."""
        x, y = self.root_rot6d[..., 0], self.root_rot6d[..., 2]
        length = (x * x + y * y) ** 0.5
        return x / length, y / length

    def pull_heading(self, gradient: PlanView, per_yaw: Any) -> None:
        """Add d cost / d yaw (B, H) to a gradient, through the rotation's first column."""
        x, y = self.root_rot6d[..., 0], self.root_rot6d[..., 2]
        squared = x * x + y * y
        gradient.root_rot6d[..., 0] -= per_yaw * y / squared
        gradient.root_rot6d[..., 2] += per_yaw * x / squared
