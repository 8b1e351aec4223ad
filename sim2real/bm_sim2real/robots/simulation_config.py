"""Settings of the simulated G1: the robot as published, and the ways in which a real one may differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bm_core.errors import ConfigError
from bm_sim2real.robots.imu_errors import ImuErrors
from bm_sim2real.robots.protocol import BaseState

TICK_DT = 0.002
"""Writer period and physics step, s (500 Hz)."""
TICK_MS = 2


@dataclass(frozen=True, kw_only=True)
class SimulationConfig:
    """A simulated G1 on a flat floor. The defaults are the nominal robot."""

    model: Literal["g1", "mjlab"] = "g1"
    """This project's model of the robot, or that of mjlab's wheel, where it is installed: other collision shapes."""
    delay_ms: int = 0
    """From write() to the motors, ms; a multiple of 2, the physics step."""
    friction: float = 1.0
    """Sliding friction between soles and floor."""
    mass_scale: float = 1.0
    """Factor on every mass and inertia."""
    gain_scale: float = 1.0
    """Factor on the stiffness and damping that the motors really apply."""
    strength_scale: float = 1.0
    """Factor on the effort limits that the motors really have."""
    has_speed_limit: bool = False
    """Motors lose their torque towards their no-load speed, as real ones do; without it only the effort is limited."""
    base_state: BaseState = BaseState.NONE
    """What fills pelvis_pos_w and pelvis_lin_vel_b of a reading."""
    imu: ImuErrors = field(default_factory=ImuErrors)
    """What the IMU adds to the truth."""

    def __post_init__(self) -> None:
        if self.delay_ms < 0 or self.delay_ms % TICK_MS:
            raise ConfigError(
                f"delay_ms = {self.delay_ms}: must be a multiple of {TICK_MS} ms, the physics step, and >= 0"
            )
        for name in ("friction", "mass_scale", "gain_scale", "strength_scale"):
            value = getattr(self, name)
            if not 0.0 < value <= 10.0:
                raise ConfigError(f"{name} = {value}: must be above 0 and at most 10; 1 is the nominal robot")

    @property
    def delay_ticks(self) -> int:
        """Ticks from write() to the motors."""
        return self.delay_ms // TICK_MS
