"""The faults: how each is put in, and what DESIGN section 3 demands of the guard."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bm_core.state import LowCommand, RobotState
from bm_sim2real.fault_injection.rig import DdsRig, Rig
from bm_sim2real.mailbox import PolicyCommand

Inject = Callable[[Any], Callable[[], None] | None]
"""Breaks the rig; may return what is to be called before each following tick."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One fault."""

    name: str
    inject: Inject
    fault: str | None
    """Name of the fault that must latch, with damping; None = must be survived."""
    ticks: int = 0
    """At most so many writer ticks from the injection to the first damping frame."""
    speed_limit: float = 1.0
    """Fraction of the motors' own speed limit that no joint of the real robot may pass."""
    only: str | None = None
    """Transport on which alone it exists."""


def command(**changes: Any) -> Inject:
    """Every command from now on with these values."""

    def inject(rig: Rig) -> None:
        rig.forge = lambda low: dataclasses.replace(low, **changes)

    return inject


def command_joint(field: str, joint: int, value: float) -> Inject:
    """One number in every command from now on."""

    def forge(low: LowCommand) -> LowCommand:
        values = np.array(getattr(low, field))
        values[joint] = value
        return dataclasses.replace(low, **{field: values})

    def inject(rig: Rig) -> None:
        rig.forge = forge

    return inject


def sensor(**changes: Any) -> Inject:
    """Every reading from now on with these values."""

    def inject(rig: Rig) -> None:
        rig.alter(lambda state: dataclasses.replace(state, **changes))

    return inject


def sensor_joint(field: str, joint: int, value: float) -> Inject:
    """One number in every reading from now on."""

    def change(state: RobotState) -> RobotState:
        values = np.array(getattr(state, field))
        values[joint] = value
        return dataclasses.replace(state, **{field: values})

    def inject(rig: Rig) -> None:
        rig.alter(change)

    return inject


def no_policy(rig: Rig) -> None:
    rig.forge = lambda low: None


def slow_policy(rig: Rig) -> None:
    rig.period = 25


def frozen_sequence(rig: Rig) -> None:
    rig.forge = lambda low: dataclasses.replace(low, seq=3)


def huge_targets(rig: Rig) -> None:
    rig.forge = lambda low: dataclasses.replace(low, q=low.q + 100.0)


def mute(rig: Rig) -> None:
    rig.mute(True)


def burst(ticks: int) -> Inject:
    """So many ticks without a reading."""

    def inject(rig: Rig) -> Callable[[], None]:
        rig.mute(True)
        left = iter(range(ticks, -1, -1))
        return lambda: rig.mute(next(left, 0) > 0)

    return inject


def lose(fraction: float) -> Inject:
    return lambda rig: rig.lose(fraction)


def frozen_clock(rig: Rig) -> None:
    held: list[float] = []

    def change(state: RobotState) -> RobotState:
        held.append(state.time)
        return dataclasses.replace(state, time=held[0])

    rig.alter(change)


def clock_jump(seconds: float) -> Inject:
    def inject(rig: Rig) -> None:
        rig.alter(lambda state: dataclasses.replace(state, time=state.time + seconds))

    return inject


def reordered(rig: Rig) -> None:
    """Every third reading is one that is 6 ms older."""
    past: list[RobotState] = []

    def change(state: RobotState) -> RobotState:
        past.append(state)
        return past[-4] if len(past) > 4 and len(past) % 3 == 0 else state

    rig.alter(change)


def duplicated(rig: Rig) -> None:
    """Every reading is sent twice."""
    held: list[RobotState] = []

    def change(state: RobotState) -> RobotState:
        if not held or state.seq - held[0].seq >= 2:
            held[:] = [state]
        return held[0]

    rig.alter(change)


def estop(rig: Rig) -> None:
    rig.estop()


def remote_estop(rig: DdsRig) -> None:
    from bm_sim2real.robots.unitree.remote import Button, Remote

    rig.robot.wire.remote = Remote(buttons=Button.B)


def second_publisher(rig: DdsRig) -> Callable[[], None]:
    from bm_sim2real.robots.unitree.dds import LOW_COMMAND_TOPIC, DdsLink
    from bm_sim2real.robots.unitree.sdk import load_sdk

    link = DdsLink("lo")
    writer = link.writer(LOW_COMMAND_TOPIC, load_sdk().LowCmd)
    return lambda: None if writer.guid and link.interface else None  # holds both as long as the scenario lasts


def corrupt_readings(rig: DdsRig) -> None:
    whole = rig.robot.wire.message

    def broken() -> bytes:
        message = bytearray(whole())
        message[300] ^= 1
        return bytes(message)

    rig.robot.wire.message = broken


def hot_motor(rig: DdsRig) -> None:
    rig.robot.wire.motor_temperature[4] = 96.0


def motor_error(rig: DdsRig) -> None:
    rig.robot.wire.motor_error[9] = 2


def wrong_lease(rig: DdsRig) -> None:
    rig.client._lease ^= 1


def torn_mailbox(rig: DdsRig) -> None:
    """The client dies in the middle of each of its writes, at the worst moment: the index has moved already."""
    whole = rig.client.put

    def torn(command: PolicyCommand) -> None:
        whole(command)
        box = rig.memory.command
        box._heads[box.index % 2][2] ^= 1

    rig.client.put = torn


def full_disk(rig: DdsRig) -> None:
    from pathlib import Path

    rig.log._path = Path("/dev/full")
    rig.log.add("to have something to write", 0)


NAN, INF = float("nan"), float("inf")
FLIPPED = np.array([0.0, 0.0, 0.0, 0.0])

SCENARIOS = (
    Scenario(name="policy silent", inject=no_policy, fault="silent_policy", ticks=31),
    Scenario(name="policy at 20 Hz", inject=slow_policy, fault=None),
    Scenario(name="sequence frozen", inject=frozen_sequence, fault="silent_policy", ticks=31),
    Scenario(name="sequence old", inject=command(seq=-5), fault="silent_policy", ticks=31),
    Scenario(name="target NaN", inject=command_joint("q", 3, NAN), fault="refused_command", ticks=21),
    Scenario(name="target infinite", inject=command_joint("q", 12, INF), fault="refused_command", ticks=21),
    Scenario(name="torque -infinite", inject=command_joint("tau", 0, -INF), fault="refused_command", ticks=21),
    Scenario(name="stiffness negative", inject=command_joint("kp", 5, -1.0), fault="refused_command", ticks=21),
    # Full torque everywhere: MuJoCo's motors have no speed limit of their own, light joints pass theirs in 10 ms.
    Scenario(name="target 100 rad off", inject=huge_targets, fault="joint_speed", ticks=12, speed_limit=2.5),
    Scenario(name="robot silent", inject=mute, fault="stale_state", ticks=26),
    Scenario(name="burst of 40 ms lost", inject=burst(20), fault=None),
    Scenario(name="burst of 80 ms lost", inject=burst(40), fault="stale_state", ticks=26),
    Scenario(name="10 % lost", inject=lose(0.1), fault=None),
    Scenario(name="30 % lost", inject=lose(0.3), fault=None),
    Scenario(name="50 % lost", inject=lose(0.5), fault=None),
    Scenario(name="readings duplicated", inject=duplicated, fault=None),
    Scenario(name="readings reordered", inject=reordered, fault=None),
    Scenario(name="robot clock frozen", inject=frozen_clock, fault="frozen_clock", ticks=27),
    Scenario(name="robot clock jumps ahead", inject=clock_jump(5000.0), fault=None),
    Scenario(name="robot clock starts anew", inject=clock_jump(-3600.0), fault=None),
    Scenario(name="IMU quaternion zero", inject=sensor(pelvis_quat_w=FLIPPED), fault="imu_implausible", ticks=3),
    Scenario(name="IMU quaternion NaN", inject=sensor_joint("pelvis_quat_w", 2, NAN), fault="imu_implausible", ticks=3),
    Scenario(name="gyro saturated", inject=sensor_joint("pelvis_gyro_b", 1, 40.0), fault="imu_implausible", ticks=3),
    Scenario(
        name="acceleration infinite", inject=sensor_joint("pelvis_acc_b", 2, INF), fault="imu_implausible", ticks=3
    ),
    Scenario(name="encoder NaN", inject=sensor_joint("joint_pos", 8, NAN), fault="invalid_state", ticks=2),
    Scenario(name="speed NaN", inject=sensor_joint("joint_vel", 8, NAN), fault="invalid_state", ticks=2),
    Scenario(name="speed too high", inject=sensor_joint("joint_vel", 3, 60.0), fault="joint_speed", ticks=3),
    Scenario(name="speed too low", inject=sensor_joint("joint_vel", 3, -60.0), fault="joint_speed", ticks=3),
    Scenario(name="emergency stop", inject=estop, fault="estop", ticks=1),
    Scenario(name="red button of the remote", inject=remote_estop, fault="estop", ticks=2, only="dds"),
    Scenario(name="second publisher", inject=second_publisher, fault="second_publisher", ticks=26, only="dds"),
    Scenario(name="readings corrupt", inject=corrupt_readings, fault="stale_state", ticks=26, only="dds"),
    Scenario(name="motor at 96 degC", inject=hot_motor, fault="motor_temperature", ticks=2, only="dds"),
    Scenario(name="motor error", inject=motor_error, fault="motor_error", ticks=2, only="dds"),
    Scenario(name="wrong lease", inject=wrong_lease, fault="wrong_lease", ticks=21, only="dds"),
    Scenario(name="mailbox torn", inject=torn_mailbox, fault="silent_policy", ticks=31, only="dds"),
    Scenario(name="disk full", inject=full_disk, fault=None, only="dds"),
)
