"""What only the owner of the link sees: strangers on the command topic, motors, battery, torso IMU, remote."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from bm_core.g1 import G1
from bm_sim2real.bridge.torso_imu import TorsoImuCheck
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.holds import Hold
from bm_sim2real.robots.unitree.battery import Battery
from bm_sim2real.robots.unitree.low_state import LowState
from bm_sim2real.robots.unitree.remote import DEADMAN, ESTOP, RemoteEdges, read_remote
from bm_sim2real.robots.unitree.torso_imu import TorsoImu

PUBLISHERS_EVERY = 25
"""Ticks between two looks at who publishes commands."""

Trip = tuple[str, str]
"""Name and detail of a fault."""


class LinkWatch:
    """Looks at each reading; `arm_refusal` is why the robot must not be armed now, empty if it may."""

    def __init__(
        self,
        limits: GuardLimits,
        own: frozenset[str],
        publishers: Callable[[], frozenset[str]],
        *,
        is_dry_run: bool = False,
    ) -> None:
        """`own`: DDS GUIDs of our own writers. Who sends nothing is in nobody's way: a dry run tolerates others."""
        self._limits, self._own, self._publishers, self._is_dry_run = limits, own, publishers, is_dry_run
        self._edges = RemoteEdges()
        self._ticks = 0
        self._torso = TorsoImuCheck(limits)
        self.battery = Battery()
        self.strangers: frozenset[str] = frozenset()
        self.hottest = 0.0
        """degC"""
        self.hottest_joint = ""
        self.is_deadman_held = False
        """The remote's deadman key is down: somebody is there."""
        self.is_estop_pressed = False
        """The remote's red button went down with this reading."""

    def look(self, reading: LowState, torso: TorsoImu | None, charge: float | None) -> Trip | None:
        """Once a tick; `torso` and `charge` (%, as the battery says) where there are any.

        What is wrong is said in every tick in which it is wrong: a button that is still held allows no reset.
        """
        if self._ticks % PUBLISHERS_EVERY == 0 and not self._is_dry_run:
            self.strangers = self._publishers() - self._own
        self._ticks += 1
        buttons = read_remote(reading.remote).buttons
        self.is_deadman_held = bool(buttons & DEADMAN)
        pressed, _ = self._edges.update(buttons)
        self.is_estop_pressed = bool(pressed & ESTOP)
        self.battery.look(reading.motor_voltage, charge)
        joint = int(reading.motor_temperature.argmax())
        self.hottest, self.hottest_joint = float(reading.motor_temperature[joint]), G1.joint_names[joint]
        if buttons & ESTOP:
            return "estop", "red button (B) of the remote"
        if self.strangers:
            return (
                "second_publisher",
                f"{len(self.strangers)} other writer(s) of motor commands: {_names(self.strangers)}",
            )
        if reading.motor_error.any():
            joint = int(np.flatnonzero(reading.motor_error)[0])
            return "motor_error", f"{G1.joint_names[joint]} reports error 0x{int(reading.motor_error[joint]):x}"
        return self._worn() or self._torso.look(reading, torso)

    def holds(self) -> Hold:
        """What asks for rest now."""
        holds = Hold.NONE
        if self.hottest >= self._limits.motor_stand_c:
            holds |= Hold.MOTOR_TEMPERATURE
        if self.battery.percent < self._limits.battery_stand:
            holds |= Hold.BATTERY
        return holds

    @property
    def is_warm(self) -> bool:
        """A motor is above the warning limit."""
        return self.hottest >= self._limits.motor_warn_c

    @property
    def is_battery_low(self) -> bool:
        """Below the warning limit, or not known."""
        return not self.battery.percent >= self._limits.battery_warn

    @property
    def torso_imu_error(self) -> float:
        """rad between the two IMUs' ideas of up; NaN without a torso IMU."""
        return self._torso.error

    def arm_refusal(self, gravity_z: float, *, needs_battery: bool) -> str:
        """`gravity_z`: z of the pelvis's own axis in the world, 1 = upright."""
        limits, percent = self._limits, self.battery.percent
        if self.strangers:
            return f"other writers of motor commands ({_names(self.strangers)}); end them first"
        if self.hottest >= limits.motor_refuse_arm_c:
            return f"a motor is at {self.hottest:.0f} degC (limit {limits.motor_refuse_arm_c:.0f}); let it cool"
        if percent < limits.battery_refuse_arm:
            return f"the battery is at {percent:.0f} % (limit {limits.battery_refuse_arm:.0f}); charge it"
        if needs_battery and math.isnan(percent):
            return "the battery's charge is unknown: neither BMS nor motors report; --ignore-battery if you know better"
        if not gravity_z >= math.cos(limits.tilt):
            return "the pelvis is not upright; hang the robot on the gantry"
        if self._torso.error > limits.torso_imu:
            return f"the torso IMU disagrees with the pelvis IMU by {self._torso.error:.2f} rad; check their mounting"
        return ""

    def _worn(self) -> Trip | None:
        limits, percent = self._limits, self.battery.percent
        if self.hottest >= limits.motor_damping_c:
            limit = limits.motor_damping_c
            return "motor_temperature", f"{self.hottest_joint} at {self.hottest:.0f} degC (limit {limit:.0f})"
        if percent < limits.battery_damping:
            return "battery", f"charge {percent:.0f} % (limit {limits.battery_damping:.0f})"
        return None


def _names(guids: frozenset[str]) -> str:
    return ", ".join(sorted(guids))
