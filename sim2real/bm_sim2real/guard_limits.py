"""Every number of the guard (docs/safety.md) in one place; `bm check --limits` prints it, the bridge publishes it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

from bm_core.errors import ConfigError
from bm_core.g1 import CONTROL_DT

TICKS_PER_PERIOD = 10
"""Writer ticks (2 ms) in a control period (20 ms)."""
MOST_STALL_S = 2.0
"""s that a computer may be allowed to stand still in simulation."""
_AGES = (
    "silent_ticks",
    "silent_wall_s",
    "stale_state_ticks",
    "frozen_ticks",
    "guardian_silent_ticks",
    "guardian_lost_ticks",
    "heartbeat_s",
)


@dataclass(frozen=True, kw_only=True)
class GuardLimits:
    """Limits of command guard, task guard and guardian. The same in simulation and on hardware."""

    silent_ticks: int = 30
    """Writer ticks without a new policy sequence before damping."""
    silent_wall_s: float = 0.150
    """The same on the wall clock, s: a writer that is itself late must not stretch the 30 ticks."""
    stale_state_ticks: int = 25
    """Writer ticks (50 ms) without a fresh robot state before damping blindly."""
    frozen_ticks: int = 25
    """Writer ticks (50 ms) in which readings arrive but the robot's own clock stands still."""
    refused_ticks: int = 10
    """Writer ticks from a refused command (NaN, wrong length) to damping: one period."""
    overrun_counted_s: float = 0.020
    """A writer tick later than this is counted and published, s."""
    overrun_fault_s: float = 0.100
    """A writer tick later than this damps hardware, s. In simulation time slips instead."""
    guardian_silent_ticks: int = 10
    """Guardian ticks (2 ms) without a frame of the writer before the guardian takes over."""

    most_number: float = 1e4
    """Targets, speeds and torques beyond this (rad, rad/s, N m) are nonsense, and refused like NaN."""
    most_stiffness: float = 1000.0
    """N m/rad; beyond it a command is refused: the motor's own loop would shake before the next frame corrects it."""
    most_damping: float = 100.0
    """N m s/rad, likewise."""
    hard_stop_margin: float = 0.05
    """rad from a joint's end in which torque outwards is removed."""
    slew_per_period: float = 0.1
    """rad that a target may move in 20 ms in HANG and on entry."""
    entry_ticks: int = 50
    """Writer ticks (0.1 s) after HANG or DAMPING in which the slew limit still holds."""

    position_beyond: float = 1.0
    """rad beyond a joint's range from which a reading is no angle but an error."""
    most_speed: float = 500.0
    """rad/s; faster is no speed but an error, and damps at the first reading."""
    joint_speed_factor: float = 1.5
    """Joint speed limit as a multiple of the motor's no-load speed."""
    joint_speed_ticks: int = 2
    """Consecutive readings above it before damping."""
    gyro_limit: float = 34.9
    """rad/s; 2000 deg/s, the end of the sensor's range."""
    acceleration_limit: float = 300.0
    """m/s^2; a drop from 0.8 m onto legs that hold their pose gives 150 [measured in simulation]."""
    quat_norm_tolerance: float = 0.02
    """How far the IMU quaternion's length may be from 1."""
    imu_ticks: int = 2
    """Consecutive implausible readings before damping."""

    motor_warn_c: float = 75.0
    """degC from which a motor is published as warm."""
    motor_refuse_arm_c: float = 80.0
    """degC from which the robot is not armed."""
    motor_stand_c: float = 85.0
    """degC from which it brakes, stands and stays."""
    motor_damping_c: float = 95.0
    """degC from which it damps."""
    battery_warn: float = 30.0
    """% of charge below which the battery is published as low."""
    battery_refuse_arm: float = 20.0
    """% below which the robot is not armed."""
    battery_stand: float = 10.0
    """% below which it brakes, stands and stays."""
    battery_damping: float = 3.0
    """% below which it damps, while there is still power to damp with."""

    torso_imu: float = 0.35
    """rad between the up directions of the torso IMU and of the pelvis IMU through the waist."""
    torso_imu_ticks: int = 50
    """Writer ticks (0.1 s) above it before damping."""

    anchor_pos: float = 0.25
    """m, height error of the torso against the reference; only with a healthy estimate of the height."""
    anchor_ori: float = 0.8
    """Difference of the z components of gravity seen in the torso, robot against reference (unit vectors)."""
    ee_body_pos: float = 0.25
    """m, height error of a hand or foot against the reference; relative to the torso without an estimate."""
    ee_periods: int = 3
    """Control periods (60 ms) above ee_body_pos before damping, where the height is not estimated: a torso that dips
    while a foot lifts adds both errors up for a moment, and trained policies recover from it [measured]."""
    tilt: float = 1.0
    """rad of the pelvis from upright, where there is no reference."""
    tilt_periods: int = 10
    """Control periods (0.2 s) above the tilt limit before damping."""

    lease_ticks: int = 5000
    """Writer ticks (10 s) in DAMPING without a command after which an armed client loses its lease."""
    guardian_lost_ticks: int = 250
    """Writer ticks (0.5 s) without a sign of the guardian before damping."""

    heartbeat_s: float = 0.5
    """s without operator, planner or guidance before BRAKE."""

    damping_legs: float = 8.0
    """kd of the damping output at legs and waist, N m s/rad; the field's value."""
    damping_arms: float = 3.0
    """kd of the damping output at the arms: light links, on which 8 would be stiff at 500 Hz."""
    exit_damping_s: float = 1.0
    """s of damping frames before a writer ends."""
    connect_ticks: int = 250
    """Writer ticks (0.5 s) in which damping comes in after connecting."""
    release_ticks: int = 250
    """Writer ticks (0.5 s) in which stiffness fades to damping at an orderly release; a fault damps at once."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"guard.{field.name} = {value}: must be a number above 0; default {field.default}")
        if self.silent_ticks < TICKS_PER_PERIOD:
            raise ConfigError(
                f"guard.silent_ticks = {self.silent_ticks}: must be >= {TICKS_PER_PERIOD}, a policy period; default 30"
            )

    @property
    def slew_per_tick(self) -> float:
        """rad that a target may move in one writer tick."""
        return self.slew_per_period / TICKS_PER_PERIOD

    def allowing_stalls(self, seconds: float) -> GuardLimits:
        """The same with every age limit wider by `seconds`, for a simulated robot on a computer that stands still now
        and then. ConfigError for a time below 0. What is judged by posture, speed or torque stays as it is.
        """
        if not 0.0 <= seconds <= MOST_STALL_S:
            raise ConfigError(f"stall allowance = {seconds}: must be 0..{MOST_STALL_S:g} s")
        ticks = round(seconds / CONTROL_DT * TICKS_PER_PERIOD)
        return replace(
            self,
            silent_ticks=self.silent_ticks + ticks,
            silent_wall_s=self.silent_wall_s + seconds,
            stale_state_ticks=self.stale_state_ticks + ticks,
            frozen_ticks=self.frozen_ticks + ticks,
            guardian_silent_ticks=self.guardian_silent_ticks + ticks,
            guardian_lost_ticks=self.guardian_lost_ticks + ticks,
            heartbeat_s=self.heartbeat_s + seconds,
        )

    @property
    def allows_stalls(self) -> bool:
        """Whether an age limit is wider than a real robot's."""
        usual = GuardLimits()
        return any(getattr(self, name) > getattr(usual, name) for name in _AGES)
