"""Keyframes: states that the plan shall pass by (inpainting; BeyondMimic v4, Diffuse-CLoC).

They are given as guesses, not as clean tokens: planner.py says why.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.state import StateRepresentation, encode_states
from bm_core.diffusion.trajectory import PresentFrame, RobotTrajectory
from bm_core.errors import ConfigError
from bm_core.rotations import yaw_from_quat

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Keyframes:
    """Robot states in the world at moments of time."""

    times: Array
    """(K,) s, increasing, on the clock that plans are stamped with."""
    trajectory: RobotTrajectory
    """K instants, no batch shape."""

    def __post_init__(self) -> None:
        if len(self.times) != len(self.trajectory.root_pos_w):
            raise ConfigError(f"keyframes: {len(self.times)} times for {len(self.trajectory.root_pos_w)} states")
        if (np.diff(self.times) <= 0.0).any():
            raise ConfigError("keyframes: times must increase")

    def velocity(self, begin: float, end: float) -> NDArray[np.float64]:
        """(3,) m/s ahead and left, rad/s: the mean between two times (s), in the mean heading; else 0."""
        times = np.clip([begin, end], self.times[0], self.times[-1])
        seconds = times[1] - times[0]
        if seconds <= 0.0:
            return np.zeros(3)
        place = [np.interp(times, self.times, self.trajectory.root_pos_w[:, axis]) for axis in range(2)]
        yaw = np.interp(times, self.times, np.unwrap(yaw_from_quat(self.trajectory.root_quat_w)))
        (x, y), turn = np.diff(place, axis=1)[:, 0] / seconds, (yaw[1] - yaw[0]) / seconds
        cos, sin = np.cos(yaw.mean()), np.sin(yaw.mean())
        return np.array([cos * x + sin * y, cos * y - sin * x, turn])

    def ahead(self, now: float, layout: TokenLayout) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which keyframes lie within a plan that starts `now`, and at which of its tokens; (k,) each."""
        tokens = layout.present + np.round((np.asarray(self.times) - now) / layout.token_dt).astype(np.int64)
        inside = np.flatnonzero((tokens > layout.present) & (tokens < layout.tokens))
        # Two in one token: the later one, which the robot has not passed when the plan arrives.
        last = np.append(np.diff(tokens[inside]) > 0, True)[: len(inside)]
        return inside[last], tokens[inside[last]]

    def tokens(
        self,
        now: float,
        present: PresentFrame,
        layout: TokenLayout,
        representation: StateRepresentation = StateRepresentation.BODY_POS,
    ) -> dict[int, Array]:
        """What a plan from `now` and `present` is given: index of the token -> its state (D,)."""
        index, tokens = self.ahead(now, layout)
        if not len(index):
            return {}
        states = encode_states(self.trajectory.take(index), present, representation)
        return dict(zip(tokens.tolist(), states, strict=True))
