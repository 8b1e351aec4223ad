"""The bridge in lockstep: what the robot says of its motors, joints and battery."""

import numpy as np
import pytest
from bridge_bench import Bench

from bm_core.errors import RobotError
from bm_sim2real.holds import Hold
from bm_sim2real.robots.unitree.battery import Battery
from bm_sim2real.robots.unitree.simulated import WireConfig


def test_a_motor_error_damps_at_once_and_is_named(running):
    running.robot.wire.motor_error[3] = 0x20
    running.tick(2)
    assert running.is_damping
    assert running.fault.name == "motor_error" and "left_knee_joint" in running.fault.detail


@pytest.mark.parametrize("celsius, fault", [(94.0, None), (95.0, "motor_temperature")])
def test_a_motor_at_95_degrees_damps(running, celsius, fault):
    running.robot.wire.motor_temperature[10] = celsius
    running.tick(2)
    assert (running.fault and running.fault.name) == fault


def test_a_motor_at_80_degrees_refuses_arming(bench):
    bench.robot.wire.motor_temperature[10] = 80.0
    bench.tick(2)
    with pytest.raises(RobotError, match="arm: refused: a motor is at 80 degC"):
        bench.client.arm()


def test_a_robot_that_lies_down_is_not_armed(bench):
    bench.robot.wire.overrides["imu_quat"] = np.array([0.70710678, 0.0, 0.70710678, 0.0])
    bench.tick(2)
    with pytest.raises(RobotError, match="arm: refused: the pelvis is not upright"):
        bench.client.arm()


@pytest.mark.parametrize(
    "field, value, name, ticks",
    [
        ("imu_quat", np.zeros(4), "imu_implausible", 3),
        ("imu_quat", np.full(4, np.nan), "imu_implausible", 3),
        ("imu_gyro", np.array([0.0, 40.0, 0.0]), "imu_implausible", 3),
        ("imu_acc", np.array([0.0, 0.0, np.inf]), "imu_implausible", 3),
        ("joint_vel", np.full(29, 60.0), "joint_speed", 3),
        ("joint_vel", np.full(29, -60.0), "joint_speed", 3),
        ("joint_vel", np.full(29, np.nan), "invalid_state", 2),
        ("joint_pos", np.full(29, np.nan), "invalid_state", 2),
    ],
)
def test_an_impossible_reading_damps(running, field, value, name, ticks):
    running.put()
    running.robot.wire.overrides[field] = value
    assert running.ticks_until_damping() == ticks
    assert running.fault.name == name


def test_reset_is_refused_while_the_cause_is_there(running):
    running.robot.wire.overrides["joint_vel"] = np.full(29, 60.0)
    running.tick(5)
    with pytest.raises(RobotError, match="reset: refused, still there.*joint_speed"):
        running.client.reset()


@pytest.mark.parametrize(
    "celsius, warm, held", [(74.0, False, 0), (75.0, True, 0), (85.0, True, Hold.MOTOR_TEMPERATURE)]
)
def test_a_warm_motor_is_published_a_hot_one_stands_the_robot(running, celsius, warm, held):
    running.robot.wire.motor_temperature[10] = celsius
    running.run(6)
    status = running.client.status()
    assert (status["is_warm"], running.client.holds) == (warm, held)
    assert (status["hottest_motor_c"], status["hottest_joint"]) == (celsius, "right_ankle_pitch_joint")
    assert running.fault is None


@pytest.mark.parametrize(
    "charge, is_low, held, fault",
    [
        (31.0, False, 0, None),
        (29.0, True, 0, None),
        (9.0, True, Hold.BATTERY, None),
        (2.0, True, Hold.BATTERY, "battery"),
    ],
)
def test_the_battery_warns_stands_and_damps(running, charge, is_low, held, fault):
    running.robot.wire.charge = charge
    running.run(60)  # it speaks twice a second
    assert running.client.status()["is_battery_low"] == is_low
    assert running.client.holds & Hold.BATTERY == held
    assert (running.fault and running.fault.name) == fault


def test_a_battery_below_20_percent_refuses_arming(tmp_path):
    bench = Bench(tmp_path, wire=WireConfig(charge=19.0))
    bench.tick(300)
    try:
        with pytest.raises(RobotError, match="arm: refused: the battery is at 19 %"):
            bench.client.arm()
    finally:
        bench.close()


@pytest.mark.parametrize("volts, percent", [(13 * 4.2, 100.0), (13 * 3.55, 15.0), (13 * 2.9, 0.0)])
def test_a_battery_that_says_nothing_is_judged_by_its_voltage(volts, percent):
    battery = Battery()
    assert np.isnan(battery.percent)
    battery.look(np.full(29, volts), None)
    assert battery.percent == pytest.approx(percent)
    battery.look(np.full(29, volts), 61.0)
    assert battery.percent == 61.0


def test_a_battery_that_falls_silent_is_judged_by_its_voltage_again(bench, monkeypatch):
    monkeypatch.setattr("bm_sim2real.robots.unitree.robot._BMS_SILENT", 10)
    bench.robot.wire.charge = 60.0
    bench.tick(300)
    assert bench.client.status()["battery_percent"] == 60.0
    bench.robot.wire.charge = None
    bench.core.watch.battery.voltage = bench.robot.wire.motor_voltage = 13 * 3.55
    bench.tick(850)
    assert bench.client.status()["battery_percent"] == pytest.approx(15.0, abs=0.5)
