"""The faults of a walking robot: what only its balance shows, and the ends that must leave it standing."""

from __future__ import annotations

from typing import Any

from bm_sim2real.fault_injection import injections as put
from bm_sim2real.fault_injection import walking_injections as broken
from bm_sim2real.fault_injection.drivers import Walk
from bm_sim2real.fault_injection.injections import Inject
from bm_sim2real.fault_injection.scenarios import LINK_SCENARIOS, Scenario
from bm_sim2real.holds import Hold

_TWO_SECONDS, _TO_STAND = 1000, 3500


def _falls(name: str, inject: Inject, fault: str, **changes: Any) -> Scenario:
    """The robot cannot go on: damped within 2 s."""
    settings: dict[str, Any] = {"ticks": _TWO_SECONDS, "watched": _TWO_SECONDS + 100, "speed_limit": 1.5, **changes}
    return Scenario(name=f"walking, {name}", inject=inject, fault=fault, driver=Walk, **settings)


def _stands(name: str, inject: Inject, hold: str, **changes: Any) -> Scenario:
    """The policy lives: BRAKE, then STAND."""
    return Scenario(
        name=f"walking, {name}", inject=inject, hold=hold, driver=Walk, watched=_TO_STAND, speed_limit=1.5, **changes
    )


def _survives(name: str, inject: Inject) -> Scenario:
    return Scenario(name=f"walking, {name}", inject=inject, driver=Walk, watched=_TWO_SECONDS, speed_limit=1.5)


WALKING_SCENARIOS = (
    _falls("IMU upside down", broken.turned_imu(3.1416, 0.0, 0.0), "tracking_lost", ticks=11),
    _falls("IMU turned 90 degrees in roll", broken.turned_imu(1.5708, 0.0, 0.0), "tracking_lost", ticks=11),
    _falls("quaternion as xyzw", broken.quaternion_xyzw, "tracking_lost"),
    _falls("IMU frozen", broken.frozen_imu, "imu_disagreement"),
    _falls(
        "waist encoder off by 0.5 rad",
        broken.encoder_offset("waist_pitch_joint", 0.5),
        "imu_disagreement",
        ticks=60,
    ),
    _falls("knee motor dead", broken.dead_motor("left_knee_joint"), "tracking_lost"),
    _falls("legs exchanged", broken.exchanged_legs, "tracking_lost"),
    _falls("joints in reverse order", broken.reversed_joints, "tracking_lost"),
    _falls("policy killed", put.no_policy, "silent_policy", ticks=31),
    # The policy copes, and nothing that the guard sees is impossible: see docs/safety.md.
    _survives("knee encoder off by 0.3 rad", broken.encoder_offset("left_knee_joint", 0.3)),
    _survives("10 % lost", put.link(loss=0.1)),
    _survives("latency 4 ms each way", put.link(delay_ticks=2)),
    _survives("jitter up to 4 ms", put.link(jitter_ticks=2)),
    _stands("operator lost", broken.operator_leaves, "operator", beats=True),
    _stands("deadman of the remote let go", broken.remote_lost, "operator", holds_deadman=True),
    _stands("planner lost", broken.source_lost(Hold.PLANNER), "planner"),
    _stands("guidance lost", broken.source_lost(Hold.GUIDANCE), "guidance"),
    _stands("motor at 85 degC", put.motor_at(85.0), "motor_temperature"),
    _stands("battery at 9 %", put.battery_at(9.0), "battery"),
)

SCENARIOS = (*LINK_SCENARIOS, *WALKING_SCENARIOS)
