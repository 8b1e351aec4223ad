"""The estimator inside the simulated robot, and around any robot."""

import dataclasses

import numpy as np
import pytest

from bm_core.data import shipped
from bm_core.g1 import G1
from bm_sim2real.clip_files import ClipFile
from bm_sim2real.estimator_evaluation import EstimatorTrial, run_trial
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.robots.estimated import EstimatedRobot
from bm_sim2real.robots.imu_errors import TYPICAL
from bm_sim2real.robots.mock import MockRobot
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.protocol import BaseState, Robot
from bm_sim2real.robots.simulation_config import SimulationConfig

FORWARD = np.array([0.2, 0.0, 0.0])


def run(robot, loop, periods):
    """Errors of velocity (m/s, pelvis frame) and position (m) after each control period."""
    errors = []
    for _ in range(periods):
        loop.step()
        state, truth = robot.read(), robot.ground_truth()
        rot_vel = truth.body_lin_vel_w[0]
        estimate = robot.estimator.estimate
        errors.append(np.r_[estimate.pelvis_lin_vel_w - rot_vel, state.pelvis_pos_w - truth.body_pos_w[0]])
    return np.array(errors)


@pytest.mark.parametrize("imu", [{}, {"imu": TYPICAL}], ids=["perfect IMU", "poor IMU"])
def test_a_balancing_robot_knows_where_it_is_through_a_push(standing, imu):
    robot, loop = standing(base_state=BaseState.ESTIMATE, **imu)
    errors = [run(robot, loop, 25)]
    robot.push(FORWARD, np.zeros(3))
    errors = np.vstack([*errors, run(robot, loop, 100)])
    assert loop.fault is None
    assert np.sqrt((errors[:, :3] ** 2).sum(axis=1).mean()) < 0.03
    assert np.abs(errors[:, 5]).max() < 0.005
    assert robot.estimator.estimate.healthy
    assert robot.estimator.estimate.contact.min() > 0.5


def test_the_ground_forces_of_a_standing_robot_carry_it(standing):
    robot, loop = standing(base_state=BaseState.ESTIMATE)
    run(robot, loop, 25)
    assert robot.estimator.estimate.ground_force.sum() == pytest.approx(33.34 * 9.81, rel=0.07)


def test_readings_carry_the_estimate_not_the_truth(standing):
    robot, loop = standing(base_state=BaseState.ESTIMATE)
    run(robot, loop, 25)
    estimate, state = robot.estimator.estimate, robot.read()
    assert robot.features.base_state is BaseState.ESTIMATE
    assert state.pelvis_pos_w == pytest.approx(estimate.pelvis_pos_w)
    assert state.pelvis_lin_vel_b == pytest.approx(estimate.pelvis_lin_vel_b)
    assert not np.array_equal(state.pelvis_pos_w, robot.ground_truth().body_pos_w[0])
    assert estimate.covariance.shape == (6, 6)
    assert np.linalg.eigvalsh(estimate.covariance).min() > 0.0


def test_equal_runs_give_equal_estimates(standing):
    def final():
        robot, loop = standing(base_state=BaseState.ESTIMATE, imu=TYPICAL)
        run(robot, loop, 10)
        return robot.read().pelvis_pos_w

    assert np.array_equal(final(), final())


def test_reading_twice_or_never_changes_nothing(standing):
    often, loop_often = standing(base_state=BaseState.ESTIMATE)
    never, loop_never = standing(base_state=BaseState.ESTIMATE)
    for _ in range(20):
        loop_often.step()
        loop_never.step()
        often.push(np.zeros(3), np.zeros(3))
        often.read()
        often.read()
    assert np.array_equal(often.read().pelvis_pos_w, never.read().pelvis_pos_w)


class DeafRobot(MujocoRobot):
    """Its accelerometer stops after a second."""

    def _sense(self):
        state = super()._sense()
        return dataclasses.replace(state, pelvis_acc_b=np.array([0.0, 0.0, 9.0])) if state.time > 1.0 else state


def test_an_unhealthy_estimate_is_withheld_and_the_robot_stands_on(standing):
    """A tracker without state estimation needs none of it: the task guard goes on without the height."""
    robot, loop = standing(robot=DeafRobot(SimulationConfig(base_state=BaseState.ESTIMATE)))
    for _ in range(50):
        loop.step()
    assert robot.read().pelvis_pos_w is not None
    for _ in range(50):
        loop.step()
    assert robot.read().pelvis_pos_w is None and robot.read().pelvis_lin_vel_b is None
    assert not robot.estimator.estimate.healthy
    assert loop.fault is None


def test_any_robot_can_be_given_an_estimator():
    robot = EstimatedRobot(MockRobot())
    assert isinstance(robot, Robot)
    assert robot.features.base_state is BaseState.ESTIMATE
    robot.connect()
    first = robot.read()
    assert first.pelvis_pos_w[:2] == pytest.approx([0.0, 0.0])
    assert first.pelvis_pos_w[2] == pytest.approx(0.75, abs=0.02)
    assert robot.read() is first
    robot.robot.step()
    assert robot.read().seq == 1
    robot.close()


def tracker():
    return TrackerPolicy.load(shipped("policies", "g1_tracker.onnx"))


@pytest.mark.parametrize("pushed", [False, True])
def test_the_shipped_tracker_walks_and_the_estimator_follows(pushed):
    """10 s; bars of the issue."""
    clip = ClipFile(path=shipped("motions", "stream_s2_001.npz"), start_s=2.0, end_s=12.0)
    result = run_trial(tracker(), EstimatorTrial(name="walk", clips=(clip,), is_pushed=pushed, imu=TYPICAL))
    assert not result.ended
    assert result.vel_rmse < 0.1
    assert result.height_rmse < 0.02
    assert result.drift_m < 0.05 * max(1.0, result.distance_m)
    assert result.healthy_share > 0.99


def test_the_joint_order_is_the_canonical_one():
    """The legs are the first twelve joints, left first: what the estimator's leg arrays rely on."""
    assert [name.split("_")[0] for name in G1.joint_names[:12]] == ["left"] * 6 + ["right"] * 6
