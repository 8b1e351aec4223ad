"""How each fault is put into a rig: functions of the rig, which may return what to call before each later tick."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bm_core.rotations import quat_from_euler_xyz, quat_multiply
from bm_core.state import LowCommand, RobotState
from bm_sim2real.fault_injection.rig import Rig
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.robots.unitree.dds import LOW_COMMAND_TOPIC, DdsLink
from bm_sim2real.robots.unitree.remote import Button, Remote
from bm_sim2real.robots.unitree.sdk import load_sdk

Inject = Callable[[Rig], Callable[[], None] | None]
"""Breaks the rig; may return what is to be called before each following tick."""


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
    """The robot says nothing any more."""
    rig.robot.wire.is_mute = True


def cut(rig: Rig) -> None:
    """Nothing passes, either way: a cable that is pulled."""
    rig.robot.wire.is_mute = rig.robot.wire.is_deaf = True


def burst(ticks: int, every: int = 0) -> Inject:
    """So many ticks without a reading, once or again every so many ticks."""

    def inject(rig: Rig) -> Callable[[], None]:
        passed = iter(range(10**9))

        def before_tick() -> None:
            tick = next(passed)
            rig.robot.wire.is_mute = (tick % every if every else tick) < ticks

        before_tick()
        return before_tick

    return inject


def link(**changes: Any) -> Inject:
    """Both directions of the link with these fields of ChannelConfig."""

    def inject(rig: Rig) -> None:
        rig.channel(**changes)

    return inject


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


def dead_writer(rig: Rig) -> None:
    """The writer process is killed or stopped: in lockstep both are a core that ticks no more."""
    rig.is_writer_alive = False


def ending(rig: Rig) -> Callable[[], None]:
    """As the writer process does it on SIGTERM."""
    passed = iter(range(10**9))
    rig.core.end()

    def before_tick() -> None:
        if next(passed) == rig.core.config.limits.release_ticks:
            rig.core.damp()

    return before_tick


def estop(rig: Rig) -> None:
    rig.client.estop()


def signal_estop(rig: Rig) -> None:
    """As the writer process does it on SIGUSR1."""
    rig.core.estop("signal", "signal SIGUSR1")


def remote_estop(rig: Rig) -> None:
    rig.robot.wire.remote = Remote(buttons=Button.B)


def second_publisher(rig: Rig) -> Callable[[], None]:
    other = DdsLink("lo") if rig.network is None else rig.network.link()
    writer = other.writer(LOW_COMMAND_TOPIC, load_sdk().LowCmd)
    return lambda: None if writer.guid and other.interface else None  # holds both as long as the scenario lasts


def corrupt_readings(rig: Rig) -> None:
    whole = rig.robot.wire.message

    def broken() -> bytes:
        message = bytearray(whole())
        message[300] ^= 1
        return bytes(message)

    rig.robot.wire.message = broken


def motor_at(celsius: float) -> Inject:
    def inject(rig: Rig) -> None:
        rig.robot.wire.motor_temperature[4] = celsius

    return inject


def battery_at(percent: float) -> Inject:
    def inject(rig: Rig) -> None:
        rig.robot.wire.charge = percent

    return inject


def motor_error(rig: Rig) -> None:
    rig.robot.wire.motor_error[9] = 2


def wrong_lease(rig: Rig) -> None:
    rig.client._lease ^= 1


def torn_mailbox(rig: Rig) -> None:
    """The client dies in the middle of each of its writes, at the worst moment: the index has moved already."""
    whole = rig.client.put

    def torn(command: PolicyCommand) -> None:
        whole(command)
        box = rig.memory.command
        box._heads[box.index % 2][2] ^= 1

    rig.client.put = torn


def full_disk(rig: Rig) -> None:
    rig.log._path = Path("/dev/full")
    rig.log.add("to have something to write", 0)


def busy(rig: Rig) -> Callable[[], None]:
    """A machine with too much to do: writer ticks up to 40 ms late, commands up to 40 ms late."""

    def before_tick() -> None:
        late = rig.random.random() < 0.1
        rig.overrun_s = 0.04 * rig.random.random() if late else 0.0
        if late:
            rig.period = int(rig.random.integers(10, 20))

    return before_tick


def late_writer_on_hardware(rig: Rig) -> None:
    """One tick comes 150 ms late, where time does not wait for it."""
    view = rig.core.guard.view
    assert view is not None
    view.is_hardware, rig.overrun_s = True, 0.15


def torso_imu_turned(rig: Rig) -> None:
    reading = rig.body.torso_imu

    def turned() -> Any:
        imu = reading()
        turn = quat_from_euler_xyz(np.pi / 2, 0.0, 0.0)
        return imu._replace(quat=np.asarray(quat_multiply(imu.quat, turn), dtype=np.float64))

    rig.body.torso_imu = turned  # type: ignore[method-assign]
