"""The simulated gantry, which stands in for the person at the hoist."""

import numpy as np

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


def test_a_robot_that_is_stiff_is_not_picked_up_even_if_it_lies():
    robot = MujocoRobot()
    robot.connect()
    gantry = Gantry(robot, 0.0, lift_after=1.0)
    let_run(robot, Gantry(robot, 0.0), SOFT, 2.0)
    let_run(robot, gantry, STIFF, 2.0)
    assert not robot.is_hanging
