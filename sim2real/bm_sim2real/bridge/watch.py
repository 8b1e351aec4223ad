"""What only the owner of the link sees: strangers on the command topic, hot or broken motors, the remote's red key."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bm_core.g1 import G1
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.robots.unitree.low_state import LowState
from bm_sim2real.robots.unitree.remote import ESTOP, RemoteEdges, read_remote

PUBLISHERS_EVERY = 25
"""Ticks between two looks at who publishes commands."""

Trip = tuple[str, str]
"""Name and detail of a fault."""


class LinkWatch:
    """Looks at each reading; `arm_refusal` is why the robot must not be armed now, empty if it may."""

    def __init__(self, limits: GuardLimits, own: frozenset[str], publishers: Callable[[], frozenset[str]]) -> None:
        """`own`: DDS GUIDs of our own writers."""
        self._limits, self._own, self._publishers = limits, own, publishers
        self._edges = RemoteEdges()
        self._ticks = 0
        self.strangers: frozenset[str] = frozenset()
        self.hottest = 0.0
        """degC"""
        self.is_warm = False
        """A motor is above the warning limit."""

    def look(self, reading: LowState) -> Trip | None:
        """Once a tick."""
        if self._ticks % PUBLISHERS_EVERY == 0:
            self.strangers = self._publishers() - self._own
        self._ticks += 1
        pressed, _ = self._edges.update(read_remote(reading.remote).buttons)
        if pressed & ESTOP:
            return "estop", "red button (B) of the remote"
        if self.strangers:
            return (
                "second_publisher",
                f"{len(self.strangers)} other writer(s) of motor commands: {_names(self.strangers)}",
            )
        if reading.motor_error.any():
            joint = int(np.flatnonzero(reading.motor_error)[0])
            return "motor_error", f"{G1.joint_names[joint]} reports error 0x{int(reading.motor_error[joint]):x}"
        joint = int(reading.motor_temperature.argmax())
        self.hottest = float(reading.motor_temperature[joint])
        self.is_warm = self.hottest >= self._limits.motor_warn_c
        if self.hottest >= self._limits.motor_damping_c:
            limit = self._limits.motor_damping_c
            return "motor_temperature", f"{G1.joint_names[joint]} at {self.hottest:.0f} degC (limit {limit:.0f})"
        return None

    def arm_refusal(self, gravity_z: float) -> str:
        """`gravity_z`: z of the pelvis's own axis in the world, 1 = upright."""
        if self.strangers:
            return f"other writers of motor commands ({_names(self.strangers)}); end them first"
        if self.hottest >= self._limits.motor_refuse_arm_c:
            return f"a motor is at {self.hottest:.0f} degC (limit {self._limits.motor_refuse_arm_c:.0f}); let it cool"
        if not gravity_z >= float(np.cos(self._limits.tilt)):
            return "the pelvis is not upright; hang the robot on the gantry"
        return ""


def _names(guids: frozenset[str]) -> str:
    return ", ".join(sorted(guids))
