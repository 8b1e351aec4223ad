"""Every robot behind the protocol keeps the same promises."""

import numpy as np
import pytest

from bm_core.errors import RobotError
from bm_core.g1 import G1
from bm_core.state import LowCommand
from bm_sim2real.robots.mock import MockRobot
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.protocol import BaseState, Robot, SteppedRobot


@pytest.fixture(params=[MujocoRobot, MockRobot])
def robot(request):
    robot = request.param()
    yield robot
    robot.close()


def command(seq, q, kp=1.0, joints=29):
    zero = np.zeros(joints)
    return LowCommand(seq=seq, state_seq=0, q=q, dq=zero, tau=zero, kp=kp * G1.kp[:joints], kd=G1.kd[:joints])


def test_it_is_a_robot(robot):
    assert isinstance(robot, Robot)
    assert isinstance(robot, SteppedRobot)


def test_features_are_known_before_connecting(robot):
    assert robot.features.model == "unitree_g1_29dof"
    assert robot.features.joint_names[3] == "left_knee_joint"
    assert robot.features.tick_dt == 0.002
    assert robot.features.base_state is BaseState.NONE
    assert robot.features.is_simulated


@pytest.mark.parametrize("use", [lambda r: r.read(), lambda r: r.write(command(1, np.zeros(29))), lambda r: r.step()])
def test_unconnected_it_refuses(robot, use):
    with pytest.raises(RobotError, match="not connected"):
        use(robot)


def test_closing_twice_is_harmless(robot):
    robot.connect()
    robot.close()
    robot.close()
    with pytest.raises(RobotError):
        robot.read()


def test_a_reading_is_whole_and_finite(robot):
    robot.connect()
    state = robot.read()
    shapes = [len(state.joint_pos), len(state.joint_vel), len(state.joint_torque)]
    assert shapes == [29, 29, 29]
    assert len(state.pelvis_quat_w) == 4 and len(state.pelvis_gyro_b) == 3 and len(state.pelvis_acc_b) == 3
    assert np.isfinite(np.concatenate([state.joint_pos, state.joint_vel, state.pelvis_quat_w])).all()
    assert state.pelvis_pos_w is None and state.pelvis_lin_vel_b is None


def test_sequence_counts_ticks_and_repeats_between_them(robot):
    robot.connect()
    first = robot.read().seq
    assert robot.read().seq == first
    robot.step()
    robot.step()
    state = robot.read()
    assert state.seq == first + 2
    assert state.time == pytest.approx(0.004)


def test_a_reading_does_not_change_afterwards(robot):
    robot.connect()
    state = robot.read()
    before = state.joint_pos.copy()
    robot.write(command(1, before + 0.5))
    for _ in range(50):
        robot.step()
    assert np.array_equal(state.joint_pos, before)
    assert not np.allclose(robot.read().joint_pos, before, atol=0.05)


def test_a_command_moves_the_joint_it_names(robot):
    robot.connect()
    target = G1.default_joint_pos.copy()
    elbow = G1.joint_index["left_elbow_joint"]
    target[elbow] += 0.5
    start = robot.read().joint_pos
    robot.write(command(1, target))
    for _ in range(100):
        robot.step()
    moved = np.abs(robot.read().joint_pos - start)
    assert moved.argmax() == elbow
    assert moved[elbow] > 0.2


def test_a_command_of_another_length_is_refused(robot):
    robot.connect()
    with pytest.raises(RobotError, match="not 29 joints"):
        robot.write(command(1, np.zeros(27), joints=27))


def test_two_runs_are_bit_for_bit_the_same(robot):
    traces = []
    for _ in range(2):
        robot.connect()
        for k in range(60):
            robot.write(command(k, G1.default_joint_pos + 0.3 * np.sin(0.3 * k)))
            robot.step()
        traces.append(robot.read().joint_pos)
        robot.close()
    assert np.array_equal(*traces)
