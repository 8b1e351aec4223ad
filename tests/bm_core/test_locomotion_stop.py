"""Stops: from any phase of any gait to standing, starting where the robot is and as fast as it moves."""

from dataclasses import replace

import numpy as np
import pytest

from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_core.kinematics import g1_kinematics
from bm_core.locomotion.generator import generate
from bm_core.locomotion.stop import stand_reference, state_at, steady_state, stop_reference
from bm_core.rotations import matrix_from_quat, quat_from_yaw, quat_multiply, quat_rotate, yaw_from_quat

GAITS = [(0.6, 0.0, 0.0), (1.0, 0.0, 0.0), (-0.5, 0.0, 0.0), (0.0, 0.35, 0.0), (0.0, 0.0, 0.8), (0.5, 0.1, 0.4)]
PHASES = range(200, 244, 6)  # a stride has 44 frames


@pytest.fixture(scope="module", params=GAITS, ids=str)
def stops(request):
    commands = np.tile(request.param, (300, 1)).astype(float)
    commands[:20] = 0.0
    walk = generate(commands)
    return [(walk, frame, stop_reference(state_at(walk, frame))) for frame in PHASES]


def test_it_begins_where_the_walk_is_and_as_fast(stops):
    for walk, frame, stop in stops:
        assert stop.joint_pos[0] == pytest.approx(walk.joint_pos[frame], abs=0.06)
        assert stop.root_pos[0] == pytest.approx(walk.root_pos[frame], abs=0.006)
        before = (walk.root_pos[frame] - walk.root_pos[frame - 1]) * 50.0
        after = (stop.root_pos[1] - stop.root_pos[0]) * 50.0
        assert np.linalg.norm(after - before) < 0.15  # m/s; the walk's own change from frame to frame is up to 0.1


def test_it_ends_standing_still_on_parallel_feet_within_two_and_a_half_seconds(stops):
    for _, _, stop in stops:
        assert stop.foot_contact[125:].all()
        assert np.abs(stop.joint_pos[-1] - stop.joint_pos[-2]).max() * 50.0 < 0.005
        assert np.abs(stop.root_pos[-1] - stop.root_pos[-2]).max() * 50.0 < 0.002
        stance = stop.foot_pos[-1, 0] - stop.foot_pos[-1, 1]
        assert 0.19 < np.linalg.norm(stance) < 0.29
        assert stop.joint_pos[-1] == pytest.approx(G1.default_joint_pos, abs=0.1)


def test_feet_on_the_ground_stay_and_no_sole_sinks(stops):
    for _, _, stop in stops:
        down = stop.foot_contact[1:] & stop.foot_contact[:-1]
        assert np.linalg.norm(np.diff(stop.foot_pos, axis=0), axis=-1)[down].max() < 1e-9
        pos, quat = g1_kinematics().forward(stop.root_pos, stop.root_quat, stop.joint_pos)
        for name in ("left_ankle_roll_link", "right_ankle_roll_link"):
            body = G1.body_index[name]
            ends = np.array([(0.142, 0.0, -0.035), (-0.064, 0.0, -0.035), (0.1, 0.036, -0.035), (0.1, -0.036, -0.035)])
            low = pos[:, body, None, 2] + (matrix_from_quat(quat[:, body]) @ ends.T)[:, 2]
            assert low.min() > -0.012


def test_it_stays_inside_joint_ranges_and_motor_speeds(stops):
    for _, _, stop in stops:
        assert (stop.joint_pos >= G1.lower - 1e-9).all() and (stop.joint_pos <= G1.upper + 1e-9).all()
        assert (np.abs(np.diff(stop.joint_pos, axis=0)).max(0) * 50.0 < 0.8 * G1.velocity).all()


def test_it_works_without_knowing_where_the_robot_is():
    walk = generate(np.tile((0.6, 0.0, 0.0), (250, 1)))
    known = state_at(walk, 205)
    blind = stop_reference(replace(known, root_xy=None, root_lin_vel=None, velocity=None))
    seen = stop_reference(known)
    # The standing foot tells the speed; only the place is lost.
    assert blind.root_pos[0, :2] == pytest.approx(np.zeros(2), abs=0.005)
    assert blind.root_pos[-1] - blind.root_pos[0] == pytest.approx(seen.root_pos[-1] - seen.root_pos[0], abs=0.06)


def test_it_turns_and_moves_with_the_robot():
    walk = generate(np.tile((0.5, 0.0, 0.3), (250, 1)))
    state = state_at(walk, 210)
    turn, shift = quat_from_yaw(2.0), np.array([3.0, -1.0, 0.0])
    moved = replace(
        state,
        root_xy=(quat_rotate(turn, np.append(state.root_xy, 0.0)) + shift)[:2],
        root_quat=quat_multiply(turn, state.root_quat),
        root_lin_vel=quat_rotate(turn, state.root_lin_vel),
        root_ang_vel=quat_rotate(turn, state.root_ang_vel),
    )
    here, there = stop_reference(state), stop_reference(moved)
    assert there.joint_pos == pytest.approx(here.joint_pos, abs=1e-6)
    assert there.root_pos == pytest.approx(quat_rotate(turn, here.root_pos) + shift, abs=1e-6)


@pytest.mark.parametrize("heading", [3.1, np.pi, -3.1])
def test_headings_near_half_a_turn_are_no_seam(heading):
    here = steady_state(np.array([0.4, 0.0, 0.6]), 0.3, np.array([0.0, 0.0, 0.0]))
    there = steady_state(np.array([0.4, 0.0, 0.6]), 0.3, np.array([0.0, 0.0, heading]))
    assert stop_reference(there).joint_pos == pytest.approx(stop_reference(here).joint_pos, abs=1e-6)


def test_a_shaken_robot_still_gets_a_stop_that_motors_could_follow():
    rng = np.random.default_rng(7)
    walk = generate(np.tile((0.6, 0.1, 0.3), (400, 1)))
    for frame in rng.integers(100, 390, 20):
        state = state_at(walk, int(frame))
        shaken = replace(
            state,
            joint_pos=state.joint_pos + rng.normal(0.0, 0.05, 29),
            joint_vel=state.joint_vel + rng.normal(0.0, 0.5, 29),
            root_ang_vel=state.root_ang_vel + rng.normal(0.0, 0.3, 3),
            root_lin_vel=state.root_lin_vel + rng.normal(0.0, 0.1, 3),
        )
        stop = stop_reference(shaken)
        assert np.abs(np.diff(stop.joint_pos, axis=0)).max() * 50.0 < 25.0
        assert stop.root_pos[:, 2].min() > 0.5
        assert stop.joint_pos[-1] == pytest.approx(G1.default_joint_pos, abs=0.03)


def test_a_standing_robot_stays_on_its_feet():
    stand = stand_reference(1.0)
    stop = stop_reference(state_at(stand, 20))
    assert stop.foot_contact.all()
    assert stop.joint_pos == pytest.approx(np.tile(stand.joint_pos[20], (len(stop.joint_pos), 1)), abs=0.02)


def test_a_robot_that_stands_on_crossed_feet_steps_them_right():
    stand = stand_reference(1.0)
    state = state_at(stand, 20)
    joints = state.joint_pos.copy()
    joints[G1.joint_index["left_hip_pitch_joint"]] -= 0.25  # left foot 15 cm ahead
    joints[G1.joint_index["left_ankle_pitch_joint"]] += 0.25
    stop = stop_reference(replace(state, joint_pos=joints))
    assert not stop.foot_contact.all()
    stance = stop.foot_pos[-1, 0] - stop.foot_pos[-1, 1]
    assert np.linalg.norm(stance) == pytest.approx(0.237, abs=1e-3)


def test_arms_and_torso_come_home_from_another_posture():
    walk = generate(np.tile((0.4, 0.0, 0.0), (250, 1)))
    state = state_at(walk, 205)
    joints = state.joint_pos.copy()
    raised = [G1.joint_index["left_shoulder_roll_joint"], G1.joint_index["right_elbow_joint"]]
    joints[raised] += 0.8
    stop = stop_reference(replace(state, joint_pos=joints))
    assert stop.joint_pos[0, raised] == pytest.approx(joints[raised], abs=1e-6)
    assert stop.joint_pos[60:, raised] == pytest.approx(np.tile(G1.default_joint_pos[raised], (141, 1)), abs=1e-3)


def test_a_steady_state_is_one_of_that_walk():
    pose = np.array([2.0, 1.0, 0.7])
    state = steady_state(np.array([0.8, 0.0, 0.0]), 0.25, pose)
    assert state.root_xy == pytest.approx(pose[:2])
    assert yaw_from_quat(state.root_quat) == pytest.approx(0.7, abs=1e-9)
    assert state.root_lin_vel[:2] @ [np.cos(0.7), np.sin(0.7)] == pytest.approx(0.8, abs=0.12)
    with pytest.raises(ConfigError, match="stands"):
        steady_state(np.zeros(3), 0.0)
