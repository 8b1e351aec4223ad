"""The robot's last control steps, kept for the planner at 50 Hz."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.history import History
from bm_core.diffusion.layout import TokenLayout
from bm_core.rotations import quat_rotate
from bm_core.state import RobotState

Array = NDArray[np.floating]


class HistoryBuffer:
    """Per control step first `add_state`, then `add_action`. Starts anew when the estimate of the base is missing."""

    def __init__(self, layout: TokenLayout) -> None:
        self._layout = layout
        past = layout.present * layout.steps_per_token
        self._states: deque[RobotState] = deque(maxlen=past + 1)
        self._actions: deque[Array] = deque(maxlen=past)

    def clear(self) -> None:
        """Forget everything: the robot was put elsewhere, or nobody balances it."""
        self._states.clear()
        self._actions.clear()

    def add_state(self, state: RobotState) -> None:
        """The reading before a control step."""
        if state.pelvis_pos_w is None or state.pelvis_lin_vel_b is None:
            self.clear()
        else:
            self._states.append(state)

    def add_action(self, action: Array) -> None:
        """(step_width,) what was done with it."""
        if self._states:
            self._actions.append(np.array(action, dtype=np.float64))

    @property
    def is_full(self) -> bool:
        """Whether the newest state has its whole past behind it."""
        return len(self._states) == self._states.maxlen and len(self._actions) == self._actions.maxlen

    def history(self) -> History:
        """With the newest state as the present; only if `is_full`."""
        states = list(self._states)[:: self._layout.steps_per_token]
        quat = np.stack([state.pelvis_quat_w for state in states])
        lin_vel, gyro = (
            np.stack([np.asarray(getattr(state, name)) for state in states])
            for name in ("pelvis_lin_vel_b", "pelvis_gyro_b")
        )
        return History(
            root_pos_w=np.stack([np.asarray(state.pelvis_pos_w) for state in states]),
            root_quat_w=quat,
            root_lin_vel_w=np.asarray(quat_rotate(quat, lin_vel)),
            root_ang_vel_w=np.asarray(quat_rotate(quat, gyro)),
            joint_pos=np.stack([state.joint_pos for state in states]),
            joint_vel=np.stack([state.joint_vel for state in states]),
            actions=np.stack(list(self._actions)),
        )
