"""Goal sources: scripts, waypoints, sticks, keys and a gamepad's raw events."""

import os
import struct

import numpy as np
import pytest

from bm_core.errors import ConfigError, RobotError
from bm_core.state import RobotState
from bm_sim2real.guidance.arrival import Arrival, ArrivalRule
from bm_sim2real.guidance.gamepad import Gamepad
from bm_sim2real.guidance.keyboard import Keyboard
from bm_sim2real.guidance.operator_input import OperatorSource, StickConfig, Sticks, stick_velocity
from bm_sim2real.guidance.planar_state import PlanarState, planar_reading, planar_state
from bm_sim2real.guidance.sources import ScriptedVelocity, VelocityTowards, Waypoints


def at(time=0.0, x=0.0, y=0.0, yaw=0.0, speed=0.0):
    return PlanarState(time=time, pos_xy=np.array([x, y]), yaw=yaw, velocity=np.array([speed, 0.0, 0.0]))


def test_velocities_are_in_the_robots_yaw_frame():
    half = np.sqrt(0.5)
    north = np.array([half, 0.0, 0.0, half])
    state = planar_state(1.0, np.array([1.0, 2.0, 0.7]), north, np.array([0.0, 0.5, 9.0]), np.array([0.0, 0.0, 0.3]))
    assert state.velocity == pytest.approx([0.5, 0.0, 0.3]) and state.yaw == pytest.approx(np.pi / 2)
    assert state.speed == pytest.approx(0.5)


def test_a_reading_without_estimate_has_no_place_on_the_map():
    zero, joints = np.zeros(3), np.zeros(29)
    values = dict(
        seq=1, time=0.5, joint_pos=joints, joint_vel=joints, joint_torque=joints,
        pelvis_quat_w=np.array([1.0, 0, 0, 0]), pelvis_gyro_b=zero, pelvis_acc_b=zero,
    )  # fmt: skip
    assert planar_reading(RobotState(**values)) is None
    state = planar_reading(
        RobotState(**values, pelvis_pos_w=np.array([1.0, 2, 3]), pelvis_lin_vel_b=np.array([0.4, 0, 0]))
    )
    assert state is not None and state.pos_xy.tolist() == [1.0, 2.0] and state.velocity[0] == 0.4


def test_a_script_changes_on_time_and_keeps_its_last_velocity():
    script = ScriptedVelocity([(1.0, (0.6, 0.0, 0.0)), (2.0, (0.0, 0.0, 0.6))])
    said = [script.goal(at(time=5.0 + t)).velocity for t in (0.0, 0.96, 1.0, 2.96, 3.0, 60.0)]
    assert said == [(0.6, 0.0, 0.0)] * 2 + [(0.0, 0.0, 0.6)] * 4
    with pytest.raises(ConfigError):
        ScriptedVelocity([])


def test_arrival_wants_nearness_and_then_rest_without_a_break():
    arrival = Arrival(ArrivalRule())
    steps = [(0.0, 0.29, 0.09), (0.5, 0.29, 0.2), (0.6, 0.29, 0.0), (1.5, 0.29, 0.0), (1.6, 0.1, 0.0)]
    assert [arrival.step(*step) for step in steps] == [False, False, False, False, True]
    fast = Arrival(ArrivalRule())
    assert not any(fast.step(0.1 * k, 0.0, 0.15) for k in range(100))


def test_waypoints_advance_after_standing_and_stay_at_the_last():
    source = Waypoints([(1.0, 0.0), (1.0, 2.0)], headings=[None, 1.5])
    assert source.goal(at(0.0)).waypoint == (1.0, 0.0)
    for k in range(40):
        goal = source.goal(at(1.0 + 0.04 * k, x=1.1))
    assert goal.waypoint == (1.0, 2.0) and goal.heading == 1.5 and source.index == 1
    for k in range(40):
        goal = source.goal(at(9.0 + 0.04 * k, x=1.0, y=2.0))
    assert source.is_done and goal.waypoint == (1.0, 2.0)


def test_a_waypoint_that_is_not_reached_in_time_is_given_up():
    source = Waypoints([(1.0, 0.0), (3.0, 0.0)], timeout_s=20.0)
    assert [source.goal(at(t)).waypoint for t in (0.0, 19.96, 20.0)] == [(1.0, 0.0), (1.0, 0.0), (3.0, 0.0)]


def test_velocity_towards_a_place_turns_first_and_slows_down():
    towards = VelocityTowards((4.0, 0.0))
    assert towards.goal(at()).velocity == pytest.approx((0.6, 0.0, 0.0))
    behind = towards.goal(at(yaw=np.pi - 0.01)).velocity
    assert behind[0] == 0.0 and behind[2] == pytest.approx(-0.6)
    near = towards.goal(at(x=3.8)).velocity
    assert near[0] == pytest.approx(0.2) and near[2] == 0.0


def test_sticks_have_a_dead_zone_and_need_the_dead_mans_switch():
    config = StickConfig(forward=1.0, backward=0.5, sideways=0.4, turn=0.9, dead_zone=0.1)
    assert stick_velocity(Sticks(ahead=1.0, left=-1.0, turn=0.05), config) == pytest.approx((1.0, -0.4, 0.0))
    assert stick_velocity(Sticks(ahead=-1.0), config)[0] == pytest.approx(-0.5)
    assert stick_velocity(Sticks(ahead=0.55), config)[0] == pytest.approx(0.5)
    assert stick_velocity(Sticks(ahead=1.0, is_held=False), config) == (0.0, 0.0, 0.0)
    assert stick_velocity(Sticks(ahead=float("nan")), config) == (0.0, 0.0, 0.0)


def test_an_operator_cannot_make_the_command_leap():
    source = OperatorSource(config=StickConfig(slew=1.5, dead_zone=0.0))
    source.sticks = Sticks(ahead=1.0)
    said = [source.goal(at(time=0.04 * k)).velocity for k in range(30)]
    forward = np.array(said)[:, 0]
    assert np.diff(forward).max() == pytest.approx(0.06) and forward[-1] == pytest.approx(1.0)


def test_keys_nudge_and_space_stops():
    keyboard = Keyboard()
    for key in "wwa?":
        keyboard.press(key)
    assert (keyboard.ahead, keyboard.left, keyboard.turn) == (0.5, 0.25, 0.0)
    for _ in range(9):
        keyboard.press("E")
    assert keyboard.turn == -1.0
    keyboard.press(" ")
    assert (keyboard.ahead, keyboard.left, keyboard.turn) == (0.0, 0.0, 0.0)


def event(value, kind, number):
    return struct.pack("<IhBB", 0, value, kind, number)


def test_gamepad_events_become_sticks_and_a_lost_pad_holds_nothing(tmp_path):
    path = tmp_path / "js0"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY)
    pad = Gamepad(path)
    # Stick forward (kernel: negative), turned right (positive), L1 held; 0x80 marks the state at opening.
    os.write(writer, event(-32767, 0x02, 1) + event(16384, 0x02, 3) + event(1, 0x81, 4))
    sticks = pad.poll()
    assert sticks.ahead == 1.0 and sticks.turn == pytest.approx(-0.5, abs=1e-3) and sticks.is_held
    assert pad.poll() == sticks
    os.write(writer, event(0, 0x01, 4))
    assert not pad.poll().is_held
    os.write(writer, event(1, 0x01, 4))
    assert pad.poll().is_held
    os.close(writer)
    os.close(reader)
    assert not pad.poll().is_held
    pad.close()
    with pytest.raises(RobotError, match="no gamepad"):
        Gamepad(tmp_path / "js9")
