"""The bridge in lockstep around a simulated body: the base's estimate, and the torso IMU that checks the pelvis's."""

import numpy as np
import pytest
from bridge_bench import Bench

from bm_core.errors import RobotError
from bm_sim2real.robots.mujoco import MujocoRobot


@pytest.mark.parametrize("quat", [[0.70710678, 0.70710678, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [np.nan, 0.0, 0.0, 0.0]])
def test_a_torso_imu_that_disagrees_damps_after_a_tenth_of_a_second(tmp_path, quat):
    bench = Bench(tmp_path, body=MujocoRobot())
    try:
        bench.start()
        bench.run(10)
        assert bench.client.status()["torso_imu_error"] < 0.02 and bench.fault is None
        reading = bench.robot.body.torso_imu()
        bench.robot.body.torso_imu = lambda: reading._replace(quat=np.array(quat))
        assert 46 <= bench.ticks_until_damping(is_commanded=True) <= 52 and bench.fault.name == "imu_disagreement"
    finally:
        bench.close()


def test_reset_is_refused_in_every_tick_while_the_two_imus_disagree(tmp_path):
    bench = Bench(tmp_path, body=MujocoRobot())
    try:
        bench.start()
        reading = bench.robot.body.torso_imu()
        bench.robot.body.torso_imu = lambda: reading._replace(quat=np.array([0.70710678, 0.70710678, 0.0, 0.0]))
        bench.ticks_until_damping(is_commanded=True)
        for _ in range(10):
            bench.tick()
            with pytest.raises(RobotError, match="reset: refused, still there: imu_disagreement"):
                bench.client.reset()
        bench.robot.body.torso_imu = lambda: reading
        bench.tick(10)
        bench.client.reset()
    finally:
        bench.close()


def test_a_torso_imu_that_falls_silent_is_no_fault(tmp_path):
    bench = Bench(tmp_path, body=MujocoRobot())
    try:
        bench.start()
        bench.run(3)
        bench.robot.wire.has_torso_imu = False
        bench.run(10)
        assert bench.fault is None and bench.client.status()["torso_imu_error"] is None
    finally:
        bench.close()


def test_clients_see_the_estimate_and_may_begin_it_anew(tmp_path):
    bench = Bench(tmp_path, body=MujocoRobot())
    try:
        bench.start()
        bench.run(10)
        state = bench.client.read()
        assert state.pelvis_pos_w[2] == pytest.approx(bench.robot.body.pelvis_height(), abs=0.01)
        assert bench.client.covariance().shape == (6, 6) and np.diag(bench.client.covariance()).min() > 0.0
        bench.core.estimate._estimator._filter.x[:3] += 5.0
        bench.client.reset_estimate()
        bench.tick()
        assert bench.client.read().pelvis_pos_w[0] == pytest.approx(0.0, abs=0.01)
    finally:
        bench.close()


def test_without_the_estimator_readings_have_no_base(tmp_path):
    bench = Bench(tmp_path, estimates_base=False)
    bench.tick(3)
    state = bench.client.read()
    bench.close()
    assert state.pelvis_pos_w is None and state.pelvis_lin_vel_b is None
