"""The task guard against readings built by hand: limits relative to the reference."""

import dataclasses

import numpy as np
import pytest

from bm_core.g1 import G1
from bm_core.kinematics import g1_kinematics
from bm_core.reference import ReferenceFrame
from bm_core.rotations import quat_from_euler_xyz
from bm_sim2real.robots.mock import MockRobot
from bm_sim2real.task_guard import TaskGuard

UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


def frame(quat=UPRIGHT, height=0.76, joint_pos=G1.default_joint_pos):
    pos, quats = g1_kinematics().forward(np.array([0.0, 0.0, height]), quat, joint_pos)
    zero = np.zeros((30, 3))
    return ReferenceFrame(
        joint_pos=joint_pos,
        joint_vel=np.zeros(29),
        body_pos_w=pos,
        body_quat_w=quats,
        body_lin_vel_w=zero,
        body_ang_vel_w=zero,
    )


def reading(**fields):
    robot = MockRobot()
    robot.connect()
    return dataclasses.replace(robot.read(), **fields)


def bent(joint, angle):
    return G1.default_joint_pos + angle * (np.arange(29) == G1.joint_index[joint])


def test_a_robot_on_its_reference_passes():
    guard = TaskGuard(has_height=True)
    assert guard.check(reading(pelvis_pos_w=np.array([3.0, -1.0, 0.76])), frame(), 1) is None


def test_lying_is_fine_when_the_reference_lies():
    lying = quat_from_euler_xyz(0.0, np.pi / 2, 0.3)
    guard = TaskGuard()
    state = reading(pelvis_quat_w=lying)
    assert guard.check(state, frame(lying), 1) is None
    assert guard.check(state, frame(), 2).name == "tracking_lost"  # gravity: at once


@pytest.mark.parametrize("pitch, is_lost", [(1.3, False), (1.45, True)])
def test_gravity_may_be_0_8_off(pitch, is_lost):
    """1 - cos(1.3) = 0.73, 1 - cos(1.45) = 0.88; the limbs turn with the pelvis, so their limit is taken away here."""
    limits = dataclasses.replace(TaskGuard().limits, ee_body_pos=9.0)
    state = reading(pelvis_quat_w=quat_from_euler_xyz(0.0, pitch, 0.0))
    fault = TaskGuard(limits).check(state, frame(), 1)
    assert (fault is not None and "anchor_ori" in fault.detail) is is_lost


@pytest.mark.parametrize("angle, is_lost", [(-1.0, False), (-1.2, True)])
def test_a_hand_may_be_25_cm_off_in_height(angle, is_lost):
    """Raising the arm by 1.0 rad lifts the wrist 22.7 cm, by 1.2 rad more than 28 cm [computed with MuJoCo]."""
    state = reading(joint_pos=bent("left_shoulder_pitch_joint", angle), pelvis_pos_w=np.array([0.0, 0.0, 0.76]))
    fault = TaskGuard(has_height=True).check(state, frame(), 1)
    assert (fault is not None and "ee_body_pos: left_wrist_yaw_link" in fault.detail) is is_lost


def test_without_an_estimate_a_hand_must_be_off_for_three_periods():
    guard, good = TaskGuard(), reading()
    bad = reading(joint_pos=bent("left_shoulder_pitch_joint", -1.2))
    assert [guard.check(state, frame(), k) for k, state in enumerate((bad, bad, good, bad, bad))] == [None] * 5
    assert guard.check(bad, frame(), 5).name == "tracking_lost"


def test_the_torso_height_counts_only_with_an_estimate():
    low = reading(pelvis_pos_w=np.array([0.0, 0.0, 0.5]))
    assert TaskGuard(has_height=False).check(low, frame(), 1) is None
    fault = TaskGuard(has_height=True).check(low, frame(), 1)
    assert "anchor_pos: torso -0.26 m" in fault.detail


def test_a_promised_estimate_that_is_missing_is_a_fault():
    assert TaskGuard(has_height=True).check(reading(), frame(), 1) is not None


@pytest.mark.parametrize("broken", [{"pelvis_quat_w": np.full(4, np.nan)}, {"joint_pos": np.full(29, np.nan)}])
@pytest.mark.parametrize("has_height", [False, True])
def test_readings_that_are_no_numbers_are_faults(broken, has_height):
    state = reading(pelvis_pos_w=np.array([0.0, 0.0, 0.76]), **broken)
    guard = TaskGuard(has_height=has_height)
    assert [guard.check(state, frame(), k) for k in range(3)][-1] is not None


def test_without_a_reference_tilt_trips_after_0_2_s():
    guard = TaskGuard()
    tilted = reading(pelvis_quat_w=quat_from_euler_xyz(1.1, 0.0, 0.0))
    upright = reading()
    assert [guard.check(tilted, None, k) for k in range(9)] == [None] * 9
    assert guard.check(upright, None, 9) is None
    assert [guard.check(tilted, None, k) for k in range(9)] == [None] * 9
    assert guard.check(tilted, None, 9).name == "tilted"
