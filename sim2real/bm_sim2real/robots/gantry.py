"""A simulated gantry that looks after itself.

It lets the robot down once its motors have been stiff for a while, unhooks it once somebody balances it, and picks it
up again once it lies damped.
"""

from __future__ import annotations

import numpy as np

from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_core.state import LowCommand
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.simulation_config import TICK_DT

_STIFF = 0.5
"""Fraction of the nominal stiffness from which a leg counts as carried by its motors."""
_MOST_S = 3600.0
_LOWER_S = 1.0
_LOWER_M = 0.06
"""1 cm more than the clearance under the soles."""
_LEGS = slice(0, 12)
_STILL_TICKS = 50
"""For which targets may stand still while somebody balances: a policy's move in each of its periods, a pose's never."""
_LYING_M = 0.5
"""Height of the pelvis below which the robot no longer stands."""


class Gantry:
    """Watches the commands in place of the person at the hoist."""

    def __init__(self, robot: MujocoRobot, lower_after: float, hold: float = 0.0, lift_after: float = 0.0) -> None:
        """`lower_after` in s of stiff motors, 0 = never; `hold` in s for which it still holds the lowered robot.

        `lift_after` in s of lying with soft motors, after which it picks the robot up again; 0 = never. ConfigError for
        a time that is none.
        """
        for name, seconds in {"lower_after": lower_after, "hold": hold, "lift_after": lift_after}.items():
            if not 0.0 <= seconds <= _MOST_S:
                raise ConfigError(f"gantry: {name} = {seconds:g} s: must be 0 (never) to {_MOST_S:g} s")
        self._robot = robot
        self._hold_ticks = round(lower_after / TICK_DT)
        self._lower_ticks = round(_LOWER_S / TICK_DT)
        self._release_ticks = self._hold_ticks + self._lower_ticks + round(hold / TICK_DT)
        self._lift_ticks = round(lift_after / TICK_DT)
        self._stiff = self._lying = self._still = 0
        self._targets = G1.default_joint_pos[_LEGS]

    def tick(self, command: LowCommand | None) -> None:
        """Once each writer tick with the newest command."""
        is_hanging = self._robot.is_hanging
        if not (self._hold_ticks if is_hanging else self._lift_ticks):
            return
        is_stiff = command is not None and bool(np.all(command.kp[_LEGS] > _STIFF * G1.kp[_LEGS]))
        if is_hanging:
            self._watch_targets(command)
            self._let_down(is_stiff)
        else:
            self._look_after_the_fallen(is_stiff)

    def _look_after_the_fallen(self, is_stiff: bool) -> None:
        is_lying = not is_stiff and self._robot.pelvis_height() < _LYING_M
        self._lying = self._lying + 1 if is_lying else 0
        if self._lying >= self._lift_ticks:
            self._robot.pick_up()
            self._stiff = self._lying = 0

    def _let_down(self, is_stiff: bool) -> None:
        self._stiff = self._stiff + 1 if is_stiff else 0
        if self._hold_ticks < self._stiff <= self._hold_ticks + self._lower_ticks:
            self._robot.lower(_LOWER_M / self._lower_ticks)
        if self._stiff >= self._release_ticks and self._still < _STILL_TICKS:
            self._robot.release()

    def _watch_targets(self, command: LowCommand | None) -> None:
        """Nobody at a hoist unhooks a robot that only holds a pose: on its feet it falls in 1.4 s."""
        self._still += 1
        if command is not None and not np.array_equal(command.q[_LEGS], self._targets):
            self._targets = command.q[_LEGS].copy()
            self._still = 0
