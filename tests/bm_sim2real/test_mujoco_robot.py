"""Physics of the simulated G1. Numbers from Unitree's model and from mechanics, not from the module."""

import mujoco
import numpy as np
import pytest

from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_core.rotations import quat_from_euler_xyz, quat_rotate_inverse
from bm_core.state import LowCommand
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.protocol import BaseState
from bm_sim2real.robots.simulation_config import SimulationConfig

ZERO = np.zeros(29)


def make(**settings):
    robot = MujocoRobot(SimulationConfig(**settings))
    robot.connect()
    return robot


def command(q=G1.default_joint_pos, dq=ZERO, tau=ZERO, gain=1.0):
    return LowCommand(seq=1, state_seq=0, q=q, dq=dq, tau=tau, kp=gain * G1.kp, kd=gain * G1.kd)


def run(robot, ticks):
    for _ in range(ticks):
        robot.step()


def test_total_mass_is_the_published_one():
    assert make().model.body_mass.sum() == pytest.approx(33.34, abs=0.005)


def test_mass_scale_scales_inertia_too():
    light, heavy = make().model, make(mass_scale=1.1).model
    assert heavy.body_mass.sum() == pytest.approx(1.1 * light.body_mass.sum())
    assert np.allclose(heavy.body_inertia[1:31], 1.1 * light.body_inertia[1:31])


def test_position_control_alone_falls_in_about_1_4_s():
    robot = make()
    robot.write(command())
    height = []
    for _ in range(1000):
        robot.step()
        height.append(robot.ground_truth().body_pos_w[0, 2])
    assert 1.2 < 0.002 * np.argmax(np.array(height) < 0.45) < 1.6


def test_hanging_it_holds_the_default_pose_without_touching_the_floor():
    robot = make()
    robot.hang(0.1)
    robot.write(command())
    run(robot, 1500)
    assert robot.floor_contacts() == frozenset()
    assert np.abs(robot.read().joint_pos - G1.default_joint_pos).max() < 0.2
    assert np.abs(robot.read().joint_vel).max() < 0.2


def test_lowered_and_released_the_feet_carry_it():
    robot = make()
    robot.hang(0.05)
    robot.write(command())
    for _ in range(500):
        robot.lower(0.05 / 500)
        robot.step()
    robot.release()
    run(robot, 50)
    assert not robot.is_hanging
    assert robot.floor_contacts() == {"left_ankle_roll_link", "right_ankle_roll_link"}
    assert robot.ground_truth().body_pos_w[0, 2] > 0.7


def test_in_free_fall_the_accelerometer_reads_nothing():
    robot = make()
    robot.reset(root_pos_w=np.array([0.0, 0.0, 5.0]))
    run(robot, 100)
    assert np.linalg.norm(robot.read().pelvis_acc_b) < 0.5
    assert robot.ground_truth().body_lin_vel_w[0, 2] == pytest.approx(-9.81 * 0.2, abs=0.05)


def test_effort_limits_are_reached_and_not_exceeded():
    robot = make()
    robot.reset(root_pos_w=np.array([0.0, 0.0, 5.0]))
    robot.write(command(q=G1.default_joint_pos + 50.0, gain=5.0))
    robot.step()
    torque = np.abs(robot.motor_torque())
    assert torque.max() == pytest.approx(139.0)  # hip roll and knee
    assert torque == pytest.approx(G1.effort)


def test_motor_law_is_tau_plus_kp_error_plus_kd_speed_error():
    robot = make()
    dq, tau = np.full(29, 0.1), np.full(29, -0.2)
    robot.write(command(q=G1.default_joint_pos + 0.02, dq=dq, tau=tau))
    robot.step()
    # At rest before the step: knee 99.0984 * 0.02 + 6.3088 * 0.1 - 0.2, wrist yaw 16.7783 * 0.02 + 1.0681 * 0.1 - 0.2.
    assert robot.motor_torque()[G1.joint_index["left_knee_joint"]] == pytest.approx(2.41285, abs=1e-3)
    assert robot.motor_torque()[G1.joint_index["left_wrist_yaw_joint"]] == pytest.approx(0.24238, abs=1e-3)


@pytest.mark.parametrize("settings, factor", [({"gain_scale": 0.9}, 0.9), ({"strength_scale": 0.5}, 1.0), ({}, 1.0)])
def test_gain_scale_scales_the_motors_real_gains(settings, factor):
    robot = make(**settings)
    robot.write(command(q=G1.default_joint_pos + 0.02))
    robot.step()
    assert robot.motor_torque()[G1.joint_index["left_knee_joint"]] == pytest.approx(factor * 1.98197, abs=1e-3)


def test_strength_scale_scales_the_effort_limit():
    robot = make(strength_scale=0.5)
    robot.write(command(q=G1.default_joint_pos + 50.0))
    robot.step()
    assert np.abs(robot.motor_torque()).max() == pytest.approx(69.5)


@pytest.mark.parametrize("delay_ms", [0, 2, 10])
def test_a_command_takes_effect_after_exactly_the_delay(delay_ms):
    robot, idle = make(delay_ms=delay_ms), make()
    robot.write(command(q=G1.default_joint_pos + 0.3))
    same = []
    for _ in range(10):
        robot.step()
        idle.step()
        same.append(np.array_equal(robot.read().joint_pos, idle.read().joint_pos))
    assert same == [tick < delay_ms / 2 for tick in range(10)]


@pytest.mark.parametrize("bad", [{"delay_ms": 3}, {"delay_ms": -2}, {"friction": 0.0}, {"mass_scale": float("nan")}])
def test_senseless_settings_are_refused(bad):
    with pytest.raises(ConfigError):
        SimulationConfig(**bad)


def test_reset_puts_every_body_where_and_as_fast_as_asked():
    robot = make(base_state=BaseState.GROUND_TRUTH)
    quat = quat_from_euler_xyz(0.2, -0.3, 2.0)
    lin, ang = np.array([0.5, -0.3, 0.1]), np.array([0.4, 0.2, -0.7])
    robot.reset(
        root_pos_w=np.array([1.0, 2.0, 0.9]),
        root_quat_w=quat,
        root_lin_vel_w=lin,
        root_ang_vel_w=ang,
        joint_pos=G1.default_joint_pos + 0.1,
        joint_vel=np.linspace(-1, 1, 29),
    )
    truth, state = robot.ground_truth(), robot.read()
    assert truth.body_pos_w[0] == pytest.approx([1.0, 2.0, 0.9])
    assert truth.body_lin_vel_w[0] == pytest.approx(lin)
    assert truth.body_ang_vel_w[0] == pytest.approx(ang)
    assert state.pelvis_gyro_b == pytest.approx(quat_rotate_inverse(quat, ang))
    assert state.pelvis_pos_w == pytest.approx([1.0, 2.0, 0.9])
    assert state.pelvis_lin_vel_b == pytest.approx(quat_rotate_inverse(quat, lin))
    assert state.joint_vel == pytest.approx(np.linspace(-1, 1, 29))


def test_ground_truth_velocities_are_those_of_link_origins():
    robot = make()
    robot.reset(
        root_pos_w=np.array([0.0, 0.0, 3.0]),
        root_lin_vel_w=np.array([0.3, 0.1, 0.0]),
        root_ang_vel_w=np.array([1.0, 2.0, 3.0]),
        joint_vel=np.linspace(2, -2, 29),
    )
    before = robot.ground_truth()
    run(robot, 1)
    moved = (robot.ground_truth().body_pos_w - before.body_pos_w) / 0.002
    # A centre-of-mass velocity would be 0.55 m/s off at the torso; the step itself changes speeds by some 0.05 m/s.
    assert np.abs(moved - before.body_lin_vel_w).max() < 0.1


def test_push_adds_to_the_pelvis_velocity_in_the_world_frame():
    robot = make()
    robot.reset(root_quat_w=quat_from_euler_xyz(0.0, 0.0, np.pi / 2), root_lin_vel_w=np.array([0.2, 0.0, 0.0]))
    robot.push(np.array([0.5, 0.0, 0.2]), np.array([0.5, 0.0, 0.0]))
    truth = robot.ground_truth()
    assert truth.body_lin_vel_w[0] == pytest.approx([0.7, 0.0, 0.2])
    assert truth.body_ang_vel_w[0] == pytest.approx([0.5, 0.0, 0.0])
    assert robot.read().pelvis_gyro_b == pytest.approx([0.0, -0.5, 0.0], abs=1e-12)


def test_looking_at_the_truth_does_not_change_it():
    watched, alone = make(), make()
    for robot in (watched, alone):
        robot.write(command())
    for _ in range(300):
        watched.step()
        alone.step()
        watched.ground_truth()
        watched.floor_contacts()
    assert np.array_equal(watched.read().joint_pos, alone.read().joint_pos)


def test_released_motors_only_lose_energy():
    robot = make()
    robot.reset(root_pos_w=np.array([0.0, 0.0, 1.5]), joint_vel=np.linspace(3, -3, 29))
    robot.model.opt.enableflags |= mujoco.mjtEnableBit.mjENBL_ENERGY
    robot.write(LowCommand(seq=1, state_seq=0, q=ZERO, dq=ZERO, tau=ZERO, kp=ZERO, kd=G1.kd))
    energy = []
    for _ in range(1500):
        robot.step()
        energy.append(robot._data.energy.sum())
    assert np.max(np.diff(energy)) < 0.5  # J in a step; contact springs give back a little
    assert energy[-1] < energy[0] - 100.0


def test_arms_collide_with_the_body():
    robot = make()
    target = G1.default_joint_pos.copy()
    target[G1.joint_index["left_shoulder_roll_joint"]] = -1.5
    target[G1.joint_index["left_elbow_joint"]] = 1.5
    robot.hang(0.3)
    robot.write(command(q=target))
    run(robot, 500)
    # The range ends at -1.588; it is the torso that stops the arm.
    assert robot.read().joint_pos[G1.joint_index["left_shoulder_roll_joint"]] > -1.2


def test_low_friction_slides():
    paths = []
    for friction in (1.0, 0.05):
        robot = make(friction=friction)
        robot.write(command())
        run(robot, 100)
        robot.push(np.array([0.0, 0.8, 0.0]), np.zeros(3))
        foot = robot.ground_truth().body_pos_w[6, 1]
        run(robot, 100)
        paths.append(robot.ground_truth().body_pos_w[6, 1] - foot)
    assert paths[1] > paths[0] + 0.05
