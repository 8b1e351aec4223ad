"""What the launch arguments say, checked together before anything starts."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from launch import LaunchContext
from launch.substitutions import LaunchConfiguration

LOOPBACK = "lo"
"""The interface of the simulated robot."""
STALL_ALLOWANCE_S = 0.2
"""s that the guard forgives in simulation: shared computers stand still for 20 to 90 ms by themselves [measured]."""


class ArgumentError(Exception):
    """Launch arguments that contradict each other. The message is one line: what, and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Arguments by name, as text."""

    read: Callable[[str], str]

    @classmethod
    def of(cls, context: LaunchContext) -> Settings:
        """Of this launch. ArgumentError where arguments contradict each other."""
        settings = cls(read=lambda name: LaunchConfiguration(name).perform(context))
        if settings.is_hardware and not settings.read("network_interface"):
            raise ArgumentError(
                "backend:=hardware needs network_interface:=..., the interface of the robot's cable (see `ip link`)"
            )
        if settings.is_hardware and settings.read("network_interface") == LOOPBACK:
            raise ArgumentError("network_interface:=lo is the simulated robot; use backend:=sim")
        if settings.is_hardware and os.environ.get("ROS_DOMAIN_ID", "0") == "0":
            raise ArgumentError("ROS_DOMAIN_ID is 0, which is the robot's own; export ROS_DOMAIN_ID=1 (or any other)")
        if settings.is_hardware and settings.is_on("use_sim_time"):
            raise ArgumentError("use_sim_time:=true with backend:=hardware: a real robot has no simulated time")
        if settings.is_hardware and settings.stall_allowance:
            raise ArgumentError("stall_allowance with backend:=hardware: a real robot falls when its computer stalls")
        if settings.is_hardware and settings.real_time_factor != 1.0:
            raise ArgumentError("real_time_factor with backend:=hardware: a real robot has the time of the wall clock")
        return settings

    def is_on(self, name: str) -> bool:
        """Of an argument that is true or false."""
        return self.read(name) == "true"

    def number(self, name: str) -> float:
        """Of an argument that is one. ArgumentError if it is not."""
        try:
            return float(self.read(name))
        except ValueError:
            raise ArgumentError(f"{name}:={self.read(name)}: a number expected") from None

    def numbers(self, name: str) -> list[float]:
        """Of an argument that lists numbers. ArgumentError if it does not."""
        try:
            return [float(part) for part in self.read(name).split(",")]
        except ValueError:
            raise ArgumentError(f"{name}:={self.read(name)}: numbers between commas expected") from None

    @property
    def is_hardware(self) -> bool:
        """Whether a real robot shall move."""
        return self.read("backend") == "hardware"

    @property
    def interface(self) -> str:
        """Of the robot."""
        return self.read("network_interface") if self.is_hardware else LOOPBACK

    @property
    def stall_allowance(self) -> float:
        """s; by default what laptops and virtual machines need to walk at all. A real robot has none."""
        if self.read("stall_allowance"):
            return self.number("stall_allowance")
        return 0.0 if self.is_hardware else STALL_ALLOWANCE_S

    @property
    def real_time_factor(self) -> float:
        """Simulated s per s of the wall clock."""
        return self.number("real_time_factor")

    @property
    def has_rviz(self) -> bool:
        """Whether a window may open."""
        return self.is_on("rviz") and not self.is_on("headless")

    @property
    def has_ghost(self) -> bool:
        """Whether the reference is published as a robot."""
        wanted = self.read("ghost")
        return self.has_rviz or self.is_on("foxglove") or self.is_on("record") if wanted == "auto" else wanted == "true"

    @property
    def bag(self) -> Path:
        """Where the recording goes."""
        given = self.read("bag")
        return Path(given) if given else Path("bags") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
