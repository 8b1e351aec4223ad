"""Leg inverse kinematics against the forward kinematics of the whole tree."""

import numpy as np
import pytest

from bm_core.g1 import G1
from bm_core.kinematics import g1_kinematics
from bm_core.locomotion.leg_ik import LEG_JOINTS, guess_legs, leg_forward, solve_legs, within_reach
from bm_core.rotations import matrix_from_quat

FEET = [G1.body_index["left_ankle_roll_link"], G1.body_index["right_ankle_roll_link"]]


def ankles(legs):
    joints = np.zeros((len(legs), 29))
    joints[:, LEG_JOINTS] = legs
    pos, quat = g1_kinematics().forward(np.zeros((len(legs), 3)), np.tile([1.0, 0, 0, 0], (len(legs), 1)), joints)
    return pos[:, FEET], matrix_from_quat(quat[:, FEET])


@pytest.fixture(scope="module")
def postures():
    """Walking postures: pitch, roll, yaw, knee, ankle pitch, ankle roll."""
    rng = np.random.default_rng(1)
    low, high = [-1.0, -0.25, -0.5, 0.3, -0.8, -0.25], [0.4, 0.25, 0.5, 1.7, 0.3, 0.25]
    return rng.uniform(low, high, (300, 2, 6))


def test_leg_joints_are_the_twelve_of_the_legs_in_order():
    assert LEG_JOINTS.tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


def test_forward_is_that_of_the_tree(postures):
    pos, rotation, _ = leg_forward(postures)
    tree_pos, tree_rotation = ankles(postures)
    assert pos == pytest.approx(tree_pos, abs=1e-9)
    assert rotation == pytest.approx(tree_rotation, abs=1e-9)


def test_jacobian_is_the_derivative(postures):
    direction = np.random.default_rng(2).normal(size=postures.shape)
    pos, _, jacobian = leg_forward(postures)
    moved, _, _ = leg_forward(postures + 1e-6 * direction)
    expected = np.einsum("tsij,tsj->tsi", jacobian, direction)[..., :3]
    assert (moved - pos) / 1e-6 == pytest.approx(expected, abs=1e-5)


def test_flat_feet_are_reached_to_a_micrometre_from_the_guess():
    rng = np.random.default_rng(4)
    foot = rng.uniform([-0.28, -0.08, -0.69], [0.28, 0.12, -0.60], (500, 2, 3))
    foot[:, 0, 1], foot[:, 1, 1] = 0.12 + foot[:, 0, 1], -0.12 - foot[:, 1, 1]
    yaw = rng.uniform(-0.4, 0.4, (500, 2))
    foot = within_reach(foot)
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)
    rotation = np.stack([np.cos(yaw), -np.sin(yaw), zero, np.sin(yaw), np.cos(yaw), zero, zero, zero, one], -1)
    rotation = rotation.reshape(500, 2, 3, 3)
    legs, error = solve_legs(foot, rotation, guess_legs(foot, yaw), 5)
    assert error.max() < 1e-6
    pos, reached = ankles(legs)
    assert pos == pytest.approx(foot, abs=1e-6)
    assert reached == pytest.approx(rotation, abs=1e-6)
    assert (legs[..., 3] > 0.0).all()  # knees bend forwards


def test_feet_out_of_reach_are_drawn_in_along_the_leg():
    far = np.array([[[0.6, 0.12, -0.7], [0.0, -0.12, -0.65]]])
    near = within_reach(far)
    assert near[0, 1] == pytest.approx(far[0, 1])
    assert np.linalg.norm(near[0, 0] - [0.0, 0.1165, -0.1332]) < 0.624  # hip-roll axis to ankle, straight
