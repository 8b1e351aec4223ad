"""The simulated gantry, which stands in for the person at the hoist."""

import dataclasses

import numpy as np
import pytest

from bm_core.g1 import G1
from bm_core.state import LowCommand
from bm_sim2real.robots.gantry import Gantry
from bm_sim2real.robots.mujoco import MujocoRobot

ZERO = np.zeros(29)
SOFT = LowCommand(seq=1, state_seq=0, q=ZERO, dq=ZERO, tau=ZERO, kp=ZERO, kd=np.full(29, 8.0))
STIFF = LowCommand(seq=2, state_seq=0, q=G1.default_joint_pos, dq=ZERO, tau=ZERO, kp=G1.kp, kd=G1.kd)


def let_run(robot, gantry, command, seconds):
    robot.write(command)
    for _ in range(round(seconds / 0.002)):
        gantry.tick(command)
        robot.step()


def test_a_robot_that_lies_damped_is_picked_up_and_its_clock_goes_on():
    robot = MujocoRobot()
    robot.connect()
    let_run(robot, Gantry(robot, 0.0, lift_after=1.0), SOFT, 3.0)
    assert robot.is_hanging and robot.pelvis_height() > 0.7
    assert abs(robot.read().time - 3.0) < 1e-9


def test_without_lift_after_the_fallen_robot_is_left_alone():
    robot = MujocoRobot()
    robot.connect()
    let_run(robot, Gantry(robot, 4.0), SOFT, 3.0)
    assert not robot.is_hanging and robot.pelvis_height() < 0.5


def test_a_robot_that_only_holds_a_pose_is_let_down_and_stays_on_the_rope():
    robot, gantry = hung()
    height = robot.pelvis_height()
    let_run(robot, gantry, STIFF, 4.0)
    assert robot.is_hanging and robot.pelvis_height() == pytest.approx(height - 0.06, abs=0.02)


def test_a_robot_whose_targets_move_is_unhooked():
    robot, gantry = hung()
    for k in range(125):
        sway = dataclasses.replace(STIFF, q=STIFF.q + 1e-3 * (k % 2))
        let_run(robot, gantry, sway, 0.02)
    assert not robot.is_hanging


def hung():
    robot = MujocoRobot()
    robot.connect()
    robot.hang()
    return robot, Gantry(robot, lower_after=0.5, hold=0.2)


def test_a_robot_that_is_stiff_is_not_picked_up_even_if_it_lies():
    robot = MujocoRobot()
    robot.connect()
    gantry = Gantry(robot, 0.0, lift_after=1.0)
    let_run(robot, Gantry(robot, 0.0), SOFT, 2.0)
    let_run(robot, gantry, STIFF, 2.0)
    assert not robot.is_hanging
