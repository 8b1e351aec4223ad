"""The faults of link, sensors and commands: how each is put in, and what docs/safety.md demands of the guard.

The robot hangs on its gantry and is told to hold a pose. Faults of a walking robot: walking_scenarios.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bm_sim2real.fault_injection import injections as put
from bm_sim2real.fault_injection.drivers import HoldPose
from bm_sim2real.fault_injection.injections import Inject
from bm_sim2real.fault_injection.rig import Driver
from bm_sim2real.modes import Mode

WATCHED = 200
"""Ticks after the injection."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One fault."""

    name: str
    inject: Inject
    fault: str | None = None
    """Name of the fault that must latch, with damping; None = none may."""
    ticks: int = 0
    """At most so many writer ticks from the injection to the first damping frame."""
    hold: str = ""
    """Cause for which the robot must brake and stand, without a fault; empty = none."""
    speed_limit: float = 1.0
    """Fraction of the motors' own speed limit that no joint of the real robot may pass."""
    driver: Callable[[], Driver] = HoldPose
    beats: bool = False
    """Whether an operator is there before."""
    holds_deadman: bool = False
    """Whether the operator is there by L1 of the remote."""
    watched: int = WATCHED
    """Ticks after the injection."""


def _estop(mode: Mode) -> Scenario:
    return Scenario(
        name=f"emergency stop in {mode.value}",
        inject=put.estop,
        fault="estop",
        ticks=1,
        driver=lambda: HoldPose(mode),
    )


NAN, INF = float("nan"), float("inf")

POLICY = (
    Scenario(name="policy silent", inject=put.no_policy, fault="silent_policy", ticks=31),
    Scenario(name="policy at 20 Hz", inject=put.slow_policy),
    Scenario(name="sequence frozen", inject=put.frozen_sequence, fault="silent_policy", ticks=31),
    Scenario(name="sequence old", inject=put.command(seq=-5), fault="silent_policy", ticks=31),
    Scenario(name="target NaN", inject=put.command_joint("q", 3, NAN), fault="refused_command", ticks=21),
    Scenario(name="target infinite", inject=put.command_joint("q", 12, INF), fault="refused_command", ticks=21),
    Scenario(name="torque -infinite", inject=put.command_joint("tau", 0, -INF), fault="refused_command", ticks=21),
    Scenario(name="stiffness negative", inject=put.command_joint("kp", 5, -1.0), fault="refused_command", ticks=21),
    # Cut to each motor's effort limit, which still accelerates an unloaded joint: then its speed trips.
    Scenario(name="target 100 rad off", inject=put.huge_targets, fault="joint_speed", ticks=20, speed_limit=2.0),
    Scenario(name="wrong lease", inject=put.wrong_lease, fault="wrong_lease", ticks=21),
    Scenario(name="mailbox torn", inject=put.torn_mailbox, fault="silent_policy", ticks=31),
)

LINK = (
    Scenario(name="robot silent", inject=put.mute, fault="stale_state", ticks=27),
    Scenario(name="link cut both ways", inject=put.cut, fault="stale_state", ticks=27),
    Scenario(name="burst of 40 ms lost", inject=put.burst(20)),
    Scenario(name="bursts of 20 ms, 5 a second", inject=put.burst(10, every=100)),
    Scenario(name="burst of 80 ms lost", inject=put.burst(40), fault="stale_state", ticks=27),
    Scenario(name="10 % lost", inject=put.link(loss=0.1)),
    Scenario(name="30 % lost", inject=put.link(loss=0.3)),
    Scenario(name="50 % lost", inject=put.link(loss=0.5)),
    Scenario(name="latency 6 ms each way", inject=put.link(delay_ticks=3)),
    Scenario(name="latency 20 ms each way", inject=put.link(delay_ticks=10)),
    Scenario(name="jitter up to 10 ms", inject=put.link(jitter_ticks=5)),
    Scenario(name="messages duplicated", inject=put.link(duplicated=0.5)),
    Scenario(name="messages reordered", inject=put.link(reordered=0.3)),
    Scenario(
        name="all at once: lost, late, twice",
        inject=put.link(loss=0.2, delay_ticks=3, jitter_ticks=3, duplicated=0.2, reordered=0.2),
    ),
    Scenario(name="readings corrupt", inject=put.corrupt_readings, fault="stale_state", ticks=27),
    Scenario(name="robot clock frozen", inject=put.frozen_clock, fault="frozen_clock", ticks=27),
    Scenario(name="robot clock jumps ahead", inject=put.clock_jump(5000.0)),
    Scenario(name="robot clock starts anew", inject=put.clock_jump(-3600.0)),
    Scenario(name="second publisher", inject=put.second_publisher, fault="second_publisher", ticks=26),
)

SENSORS = (
    Scenario(
        name="IMU quaternion zero", inject=put.sensor(pelvis_quat_w=np.zeros(4)), fault="imu_implausible", ticks=3
    ),
    Scenario(
        name="IMU quaternion NaN", inject=put.sensor_joint("pelvis_quat_w", 2, NAN), fault="imu_implausible", ticks=3
    ),
    Scenario(
        name="gyro saturated", inject=put.sensor_joint("pelvis_gyro_b", 1, 40.0), fault="imu_implausible", ticks=3
    ),
    Scenario(
        name="acceleration infinite", inject=put.sensor_joint("pelvis_acc_b", 2, INF), fault="imu_implausible", ticks=3
    ),
    Scenario(name="torso IMU turned", inject=put.torso_imu_turned, fault="imu_disagreement", ticks=56),
    Scenario(name="encoder NaN", inject=put.sensor_joint("joint_pos", 8, NAN), fault="invalid_state", ticks=2),
    Scenario(name="speed NaN", inject=put.sensor_joint("joint_vel", 8, NAN), fault="invalid_state", ticks=2),
    Scenario(name="speed too high", inject=put.sensor_joint("joint_vel", 3, 60.0), fault="joint_speed", ticks=3),
    Scenario(name="speed too low", inject=put.sensor_joint("joint_vel", 3, -60.0), fault="joint_speed", ticks=3),
    Scenario(name="motor at 96 degC", inject=put.motor_at(96.0), fault="motor_temperature", ticks=2),
    Scenario(name="motor at 80 degC", inject=put.motor_at(80.0)),
    Scenario(name="motor error", inject=put.motor_error, fault="motor_error", ticks=2),
    Scenario(name="battery at 2 %", inject=put.battery_at(2.0), fault="battery", ticks=302, watched=400),
    Scenario(name="battery at 25 %", inject=put.battery_at(25.0), watched=400),
)

MACHINE = (
    Scenario(name="CPU starved", inject=put.busy),
    Scenario(
        name="writer 150 ms late on hardware", inject=put.late_writer_on_hardware, fault="writer_overrun", ticks=1
    ),
    Scenario(name="disk full", inject=put.full_disk),
    Scenario(name="bridge writer killed or stopped", inject=put.dead_writer, fault="writer_silent", ticks=10),
    # Stiffness fades for 0.5 s first: this end was asked for.
    Scenario(name="bridge told to end", inject=put.ending, fault="shutdown", ticks=252, watched=400),
)

OPERATOR = (
    *(_estop(mode) for mode in Mode),
    Scenario(name="red button of the remote", inject=put.remote_estop, fault="estop", ticks=2),
    Scenario(name="emergency stop by signal", inject=put.signal_estop, fault="estop", ticks=1),
)

LINK_SCENARIOS = (*POLICY, *LINK, *SENSORS, *MACHINE, *OPERATOR)
