"""The estimator's parts by themselves: leg kinematics, ground force, odometry corrections, health, the poor IMU."""

import dataclasses

import numpy as np
import pytest

from bm_core.errors import ConfigError, RobotError
from bm_core.g1 import FEET, G1
from bm_core.kinematics import g1_kinematics
from bm_core.rotations import matrix_from_quat, quat_from_yaw, quat_normalize, yaw_from_quat
from bm_core.state import RobotState
from bm_sim2real.estimator.base_estimator import BaseEstimator
from bm_sim2real.estimator.config import ContactConfig, EstimatorConfig, HealthConfig
from bm_sim2real.estimator.contact import GroundForce
from bm_sim2real.estimator.health import HealthMonitor
from bm_sim2real.estimator.legs import Legs, imu_offset, total_mass
from bm_sim2real.estimator.odometry import OdometryConfig, OdometryCorrection, OdometryFix
from bm_sim2real.robots.imu_errors import TYPICAL, ImuErrors, ImuModel

UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])
ORIGIN = np.zeros(3)


def reading(**fields):
    values = {
        "seq": 0,
        "time": 0.0,
        "joint_pos": np.array(G1.default_joint_pos),
        "joint_vel": np.zeros(29),
        "joint_torque": np.zeros(29),
        "pelvis_quat_w": UPRIGHT,
        "pelvis_gyro_b": np.zeros(3),
        "pelvis_acc_b": np.array([0.0, 0.0, 9.81]),
    }
    return RobotState(**{**values, **fields})


@pytest.mark.parametrize("seed", range(5))
def test_legs_agree_with_the_tree_in_pose_and_velocity(seed):
    rng = np.random.default_rng(seed)
    joint_pos, joint_vel = rng.uniform(-0.8, 0.8, 29), rng.normal(size=29)
    quat = quat_normalize(rng.normal(size=4))
    tree = g1_kinematics()
    pos, quats = tree.forward(ORIGIN, quat, joint_pos)
    lin, ang = tree.velocities(ORIGIN, ORIGIN, joint_vel, pos, quats)
    feet = [tree.body_names.index(name) for name in FEET]
    motion = Legs().motion(matrix_from_quat(quat), joint_pos, joint_vel)
    assert motion.ankle_pos == pytest.approx(pos[feet], abs=1e-12)
    assert motion.ankle_vel == pytest.approx(lin[feet], abs=1e-12)
    assert motion.foot_ang_vel == pytest.approx(ang[feet], abs=1e-12)


def test_figures_are_the_published_ones():
    """33.34 kg; ankle origin 3.5 cm above the sole. IMU site of Unitree's model."""
    assert total_mass() == pytest.approx(33.34, abs=0.01)
    assert imu_offset() == (0.04525, 0.0, -0.08339)
    legs = Legs()
    motion = legs.motion(np.eye(3), np.zeros(29), np.zeros(29))
    assert motion.ankle_pos[:, 2] - motion.sole_points[..., 2].min(axis=1) + legs.sole_radius == pytest.approx(0.035)


def test_legs_hanging_still_feel_no_ground():
    """And 100 N under the left ankle are felt there alone; the damped inverse may lose some 5 %."""
    legs = Legs()
    ground = GroundForce(legs, ContactConfig(), 0.002)
    motion = legs.motion(np.eye(3), np.array(G1.default_joint_pos), np.zeros(29))
    weight = np.array([0.0, 0.0, 9.81])
    holding = np.zeros(29)
    holding[legs.joints] = ground._needed_torque(motion, np.zeros((2, 6)), weight)
    assert ground.update(motion, np.zeros(29), holding, weight) == pytest.approx([0.0, 0.0], abs=1e-6)
    # 100 N upwards on the left ankle: torque = what holds the leg - J^T force.
    pushed = holding.copy()
    pushed[legs.joints[0]] -= motion.jacobian[0, 2] * 100.0
    ground.reset()
    assert ground.update(motion, np.zeros(29), pushed, weight) == pytest.approx([100.0, 0.0], abs=7.0)


def test_without_a_position_the_robot_starts_on_its_soles():
    assert BaseEstimator().reset(reading()).pelvis_pos_w == pytest.approx([0.0, 0.0, 0.7526], abs=0.01)


def test_it_refuses_to_estimate_before_a_reset():
    with pytest.raises(RobotError, match="reset"):
        BaseEstimator().update(reading())


def torque_in_the_air(estimator):
    """(29,) N m that hold the legs in the default pose, feet free."""
    legs = estimator._legs
    motion = legs.motion(np.eye(3), np.array(G1.default_joint_pos), np.zeros(29))
    torque = np.zeros(29)
    torque[legs.joints] = estimator._ground._needed_torque(motion, np.zeros((2, 6)), np.array([0.0, 0.0, 9.81]))
    return torque


def test_the_imu_turning_about_the_origin_does_not_move_the_origin():
    """Spinning at 2 rad/s about z, the IMU 4.5 cm in front moves at 9 cm/s; the origin rests."""
    estimator = BaseEstimator()
    state = reading(
        joint_torque=torque_in_the_air(estimator),
        pelvis_gyro_b=np.array([0.0, 0.0, 2.0]),
        pelvis_acc_b=np.array([-4.0 * 0.04525, 0.0, 9.81]),
    )
    estimator.reset(state, np.array([0.0, 0.0, 2.0]))
    for tick in range(1, 100):
        turned = dataclasses.replace(state, time=0.002 * tick, pelvis_quat_w=quat_from_yaw(0.004 * tick))
        estimate = estimator.update(turned)
    assert estimate.pelvis_lin_vel_w == pytest.approx([0.0, 0.0, 0.0], abs=2e-3)


def test_a_carried_robot_is_taken_to_rest():
    """In the air for 5 s with a bias of 0.3 m/s^2: integrated blindly that is 1.5 m/s and 3.75 m."""
    estimator = BaseEstimator()
    rng = np.random.default_rng(0)
    state = reading(joint_torque=torque_in_the_air(estimator))
    estimator.reset(state, np.array([0.0, 0.0, 1.0]))
    for tick in range(2500):
        acc = np.array([0.3, 0.0, 9.81]) + 0.01 * rng.standard_normal(3)
        gyro = 0.001 * rng.standard_normal(3)
        estimate = estimator.update(dataclasses.replace(state, time=0.002 * tick, pelvis_acc_b=acc, pelvis_gyro_b=gyro))
    assert np.abs(estimate.pelvis_lin_vel_w).max() < 0.02
    assert np.abs(estimate.pelvis_pos_w[:2]).max() < 0.5
    assert not estimate.healthy and estimate.reason.startswith("flight")


@pytest.mark.parametrize("wrong", [{"kinematics": 0.0}, {"contact": ContactConfig(filter_s=-1.0)}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match="must be above 0"):
        EstimatorConfig(**wrong)


def sound(**changes):
    values = {
        "nis": 0.05,
        "sole_speed": 0.0,
        "contact": 1.0,
        "acc": [0.0],
        "gyro": [0.0],
        "leg_pos": np.zeros((2, 6)),
        "leg_vel": np.zeros((2, 6)),
        "bias": 0.1,
        "pos": np.array([0.0, 0.0, 0.75]),
        "vel": np.zeros(3),
        "vel_var": 0.001,
    }
    return {**values, **changes}


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"nis": 5.0}, "innovation"),
        ({"sole_speed": 3.0}, "sliding"),
        ({"bias": 2.0}, "bias"),
        ({"vel": np.array([9.0, 0.0, 0.0])}, "implausible"),
        ({"pos": np.array([0.0, 0.0, -0.1])}, "implausible"),
        ({"pos": np.full(3, np.nan)}, "implausible"),
        ({"nis": np.nan}, "innovation"),
        ({"contact": 0.0}, "flight"),
        ({"vel_var": 1.0}, "covariance"),
    ],
)
def test_each_sign_of_a_bad_estimate_is_named(change, reason):
    monitor = HealthMonitor(HealthConfig(), 0.002)
    for tick in range(600):
        monitor.update(**sound(acc=[float(tick)], gyro=[float(tick)]))
    assert monitor.is_healthy
    for tick in range(600):
        monitor.update(**sound(acc=[float(tick)], gyro=[float(tick)], **change))
    assert not monitor.is_healthy
    assert monitor.reason.startswith(reason)


@pytest.mark.parametrize("frozen", ["acc", "gyro"])
def test_a_frozen_imu_is_noticed_after_a_tenth_of_a_second(frozen):
    monitor = HealthMonitor(HealthConfig(), 0.002)
    alive = "gyro" if frozen == "acc" else "acc"
    for tick in range(50):
        monitor.update(**sound(**{alive: [float(tick)]}))
    assert monitor.is_healthy
    for tick in range(50, 54):
        monitor.update(**sound(**{alive: [float(tick)]}))
    assert monitor.reason.startswith("frozen")


@pytest.mark.parametrize("speed, is_noticed", [(1.0, True), (0.1, False)])
def test_a_leg_whose_encoders_repeat_while_the_other_moves_is_noticed(speed, is_noticed):
    monitor = HealthMonitor(HealthConfig(), 0.002)
    for tick in range(60):
        leg_pos = np.zeros((2, 6))
        leg_pos[1] = 0.002 * speed * tick
        leg_vel = np.array([np.zeros(6), np.full(6, speed)])
        monitor.update(**sound(acc=[float(tick)], gyro=[float(tick)], leg_pos=leg_pos, leg_vel=leg_vel))
    assert monitor.is_healthy is not is_noticed


def test_health_returns_a_second_after_the_last_complaint():
    monitor = HealthMonitor(HealthConfig(), 0.002)
    monitor.complain("something")
    for tick in range(499):
        monitor.update(**sound(acc=[float(tick)], gyro=[float(tick)]))
    assert not monitor.is_healthy
    for tick in range(499, 502):
        monitor.update(**sound(acc=[float(tick)], gyro=[float(tick)]))
    assert monitor.is_healthy


def drifting_walk(correction, delay_s, seconds=40.0):
    """Truth: 0.5 m/s along x. Estimate: turned by 0.1 rad and 3 % short. A fix at 10 Hz, `delay_s` old on arrival."""
    for tick in range(round(seconds / 0.02)):
        time = 0.02 * tick
        travelled = 0.97 * 0.5 * time
        correction.record(time, travelled * np.array([np.cos(0.1), np.sin(0.1), 0.0]), quat_from_yaw(0.1))
        taken = time - delay_s
        if tick % 5 == 0 and taken >= 0.0:
            correction.correct(OdometryFix(time=taken, pos=np.array([0.5 * taken, 0.0, 0.0]), yaw=0.0))
    error = correction.pos_in_map(travelled * np.array([np.cos(0.1), np.sin(0.1), 0.0])) - [0.5 * time, 0.0, 0.0]
    return float(np.linalg.norm(error)), float(yaw_from_quat(correction.quat_in_map(quat_from_yaw(0.1))))


@pytest.mark.parametrize("delay_s", [0.0, 0.1, 0.4])
def test_late_fixes_hold_the_drift(delay_s):
    position, yaw = drifting_walk(OdometryCorrection(), delay_s)
    assert position < 0.06  # uncorrected: 2.0 m; the delay alone at 0.5 m/s: 0.2 m
    assert abs(yaw) < 0.01


def test_a_fix_taken_as_fresh_would_be_off_by_its_delay():
    """The sabotaged twin: the same fixes with the time of arrival instead of the time of capture."""
    correction = OdometryCorrection()
    for tick in range(1000):
        time = 0.02 * tick
        correction.record(time, np.array([0.5 * time, 0.0, 0.0]), UPRIGHT)
        if tick % 5 == 0:
            correction.correct(OdometryFix(time=time, pos=np.array([0.5 * (time - 0.4), 0.0, 0.0]), yaw=0.0))
    assert abs(correction.shift[0]) > 0.15


@pytest.mark.parametrize(
    "fix",
    [
        OdometryFix(time=0.5, pos=np.zeros(3), yaw=0.0),
        OdometryFix(time=9.0, pos=np.zeros(3), yaw=0.0),
        OdometryFix(time=2.0, pos=np.array([3.0, 0.0, 0.0]), yaw=0.0),
        OdometryFix(time=2.0, pos=np.full(3, np.nan), yaw=0.0),
        OdometryFix(time=2.0, pos=np.zeros(3), yaw=np.nan),
    ],
    ids=["too old", "from the future", "too far", "no position", "no heading"],
)
def test_fixes_that_cannot_be_true_are_refused_and_counted(fix):
    correction = OdometryCorrection(OdometryConfig(max_age_s=1.0))
    for tick in range(101):
        correction.record(0.02 * tick, np.zeros(3), UPRIGHT)
    assert not correction.correct(fix)
    assert correction.refused == 1
    assert correction.shift == pytest.approx([0.0, 0.0, 0.0])
    assert correction.turn == 0.0


def test_the_first_fix_may_come_from_a_map_with_another_origin():
    correction = OdometryCorrection()
    for tick in range(51):
        correction.record(0.02 * tick, np.array([0.02 * tick, 0.0, 0.8]), UPRIGHT)
    far = OdometryFix(time=0.5, pos=np.array([7.0, -3.0, 1.0]), yaw=np.pi / 2)
    assert not correction.correct(far) and not correction.begin(OdometryFix(time=9.0, pos=np.zeros(3), yaw=0.0))
    assert correction.refused == 2 and correction.begin(far)
    assert correction.pos_in_map(np.array([0.5, 0.0, 0.8])) == pytest.approx([7.0, -3.0, 1.0])
    assert correction.pos_in_map(np.array([1.0, 0.0, 0.8])) == pytest.approx([7.0, -2.5, 1.0])


def test_the_poor_imu_is_repeatable_and_off_by_what_it_says():
    def read(errors):
        model = ImuModel(errors)
        return [model.read(0.002 * k, UPRIGHT, np.zeros(3), np.array([0.0, 0.0, 9.81])) for k in range(2000)]

    first, second, other = read(TYPICAL), read(TYPICAL), read(dataclasses.replace(TYPICAL, seed=1))
    assert all(np.array_equal(a, b) for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True))
    assert not np.array_equal(first[0][2], other[0][2])
    acc = np.array([row[2] for row in first])
    assert acc.mean(axis=0) == pytest.approx([0.1, -0.1, 9.86], abs=0.01)
    assert acc.std(axis=0) == pytest.approx([0.1] * 3, rel=0.1)
    assert float(yaw_from_quat(first[-1][0])) == pytest.approx(0.004, abs=1e-4)
    assert ImuErrors().is_none and not TYPICAL.is_none
