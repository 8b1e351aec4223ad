"""Every observation term against numbers worked out by hand, and the torso's pose against MuJoCo."""

import dataclasses

import mujoco
import numpy as np
import pytest

from bm_core.contract import Contract, Training, g1_contract
from bm_core.errors import BundleError, RobotError
from bm_core.g1 import PELVIS_COM, PELVIS_IMU, mjcf_path
from bm_core.observation import ObservationBuilder
from bm_core.observation_terms import observation_term, tracker_terms
from bm_core.reference import ReferenceFrame
from bm_core.state import RobotState

HALF = np.sqrt(0.5)
YAW_90 = np.array([HALF, 0.0, 0.0, HALF])
YAW_180 = np.array([0.0, 0.0, 0.0, 1.0])
IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])
TORSO, PELVIS = 15, 0
NO_ACTION = np.zeros(29)
TRAINING = Training(commit="", motion_set="", motion_set_sha256="", steps=0, run="")

# The first joints of whole_body_tracking, and their places in Unitree's order.
BREADTH_FIRST = [
    "left_hip_pitch", "right_hip_pitch", "waist_yaw", "left_hip_roll", "right_hip_roll", "waist_roll", "left_hip_yaw",
    "right_hip_yaw", "waist_pitch", "left_knee", "right_knee", "left_shoulder_pitch", "right_shoulder_pitch",
    "left_ankle_pitch", "right_ankle_pitch", "left_shoulder_roll", "right_shoulder_roll", "left_ankle_roll",
    "right_ankle_roll", "left_shoulder_yaw", "right_shoulder_yaw", "left_elbow", "right_elbow", "left_wrist_roll",
    "right_wrist_roll", "left_wrist_pitch", "right_wrist_pitch", "left_wrist_yaw", "right_wrist_yaw",
]  # fmt: skip


class Frames:
    """A reference out of a list of frames."""

    def __init__(self, *frames: ReferenceFrame) -> None:
        self.frames = frames
        self.num_frames = len(frames)

    def frame(self, k: int) -> ReferenceFrame:
        return self.frames[min(max(k, 0), self.num_frames - 1)]


def frame(
    body=TORSO, pos=(0.0, 0.0, 0.0), quat=IDENTITY, lin_vel=(0.0, 0.0, 0.0), joint_pos=NO_ACTION, joint_vel=NO_ACTION
):
    """Only `body` is set; whatever reads another one gets NaN."""
    rows = {name: np.full((30, width), np.nan) for name, width in (("pos", 3), ("quat", 4), ("lin", 3), ("ang", 3))}
    rows["pos"][body], rows["quat"][body], rows["lin"][body] = pos, quat, lin_vel
    return ReferenceFrame(joint_pos, joint_vel, rows["pos"], rows["quat"], rows["lin"], rows["ang"])


def state(**fields) -> RobotState:
    defaults = dict(
        seq=0, time=0.0, joint_pos=np.zeros(29), joint_vel=np.zeros(29), joint_torque=np.zeros(29),
        pelvis_quat_w=IDENTITY, pelvis_gyro_b=np.zeros(3), pelvis_acc_b=np.zeros(3),
        pelvis_pos_w=np.zeros(3), pelvis_lin_vel_b=np.zeros(3),
    )  # fmt: skip
    return RobotState(**(defaults | fields))


def contract(*terms, anchor_body="torso_link", joint_names=None) -> Contract:
    made = g1_contract(tuple(observation_term(t) if isinstance(t, str) else t for t in terms), TRAINING)
    made = dataclasses.replace(made, anchor_body=anchor_body)
    if joint_names is None:
        return made
    zeros = (0.0,) * 29
    return dataclasses.replace(
        made, action=dataclasses.replace(made.action, joint_names=joint_names, default_joint_pos=zeros)
    )


def observe(made: Contract, robot: RobotState, reference, k=0, last_action=NO_ACTION):
    return ObservationBuilder(made).compute(robot, reference, k, last_action)


def test_sizes_are_those_of_the_paper():
    sizes = [sum(t.size for t in tracker_terms(state_estimation=se)) for se in (True, False)]
    assert sizes == [160, 154]
    assert [(t.name, t.dim) for t in tracker_terms(state_estimation=True)] == [
        ("command", 58), ("motion_anchor_pos_b", 3), ("motion_anchor_ori_b", 6), ("base_lin_vel", 3),
        ("base_ang_vel", 3), ("joint_pos", 29), ("joint_vel", 29), ("actions", 29),
    ]  # fmt: skip
    with_window = tracker_terms(state_estimation=False, window_steps=(4, 8, 16))
    assert sum(t.size for t in with_window) == 154 + 3 * 39


def test_anchor_position_is_seen_from_the_robots_anchor():
    robot = state(pelvis_pos_w=np.array([1.0, 2.0, 0.8]), pelvis_quat_w=YAW_90)
    reference = Frames(frame(body=PELVIS, pos=(1.0, 3.0, 0.9)))
    # One metre along world y is one metre ahead of a robot that faces y.
    seen = observe(contract("motion_anchor_pos_b", anchor_body="pelvis"), robot, reference)
    np.testing.assert_allclose(seen, [1.0, 0.0, 0.1], atol=1e-6)


def test_anchor_orientation_is_the_first_two_columns_row_by_row():
    robot = state(pelvis_quat_w=YAW_90)
    reference = Frames(frame(body=PELVIS, quat=YAW_180))
    # 90 degrees to the left: [[0, -1, 0], [1, 0, 0], [0, 0, 1]].
    seen = observe(contract("motion_anchor_ori_b", anchor_body="pelvis"), robot, reference)
    np.testing.assert_allclose(seen, [0.0, -1.0, 1.0, 0.0, 0.0, 0.0], atol=1e-6)


def test_the_anchor_turns_with_the_waist_not_with_the_imu():
    waist = np.zeros(29)
    waist[12] = np.pi / 2
    # Torso 90 degrees left of an upright pelvis, target straight ahead: R^T = [[0, 1, 0], [-1, 0, 0], [0, 0, 1]].
    seen = observe(contract("motion_anchor_ori_b"), state(joint_pos=waist), Frames(frame()))
    np.testing.assert_allclose(seen, [0.0, 1.0, -1.0, 0.0, 0.0, 0.0], atol=1e-6)


def test_base_velocities_are_the_pelvis_frames():
    robot = state(pelvis_lin_vel_b=np.array([1.0, 2.0, 3.0]), pelvis_gyro_b=np.array([4.0, 5.0, 6.0]))
    seen = observe(contract("base_lin_vel", "base_ang_vel"), robot, Frames(frame()))
    np.testing.assert_array_equal(seen, [1, 2, 3, 4, 5, 6])


def test_base_velocities_of_other_trainers_are_of_other_points_of_the_pelvis():
    """v + w x c by hand: w = (0, 2, 1), IMU at (0.04525, 0, -0.08339), centre of mass at (0, 0, -0.07605)."""
    robot = state(pelvis_lin_vel_b=np.array([0.5, 0.0, 0.1]), pelvis_gyro_b=np.array([0.0, 2.0, 1.0]))
    seen = observe(contract("base_lin_vel_imu", "base_lin_vel_com"), robot, Frames(frame()))
    imu, com = seen[:3], seen[3:]
    assert imu == pytest.approx([0.5 - 2 * 0.08339, 0.04525, 0.1 - 2 * 0.04525], abs=1e-6)
    assert com == pytest.approx([0.5 - 2 * 0.07605, 0.0, 0.1], abs=1e-6)


def test_the_points_of_the_pelvis_are_those_of_the_model():
    model = mujoco.MjModel.from_xml_path(str(mjcf_path()))
    assert model.site("imu_in_pelvis").pos == pytest.approx(PELVIS_IMU, abs=1e-9)
    assert model.body("pelvis").ipos == pytest.approx(PELVIS_COM, abs=1e-9)


def test_projected_gravity_points_down_in_the_pelvis_frame():
    made = contract("projected_gravity")
    assert observe(made, state(), Frames(frame())) == pytest.approx([0.0, 0.0, -1.0])
    nose_down = state(pelvis_quat_w=np.array([HALF, 0.0, HALF, 0.0]))  # pitched by 90 degrees: its x axis points down
    assert observe(made, nose_down, Frames(frame())) == pytest.approx([1.0, 0.0, 0.0], abs=1e-6)


def test_joint_positions_are_offsets_from_the_default_pose():
    seen = observe(contract("joint_pos"), state(), Frames(frame()))
    # whole_body_tracking's g1.py: hip pitch -0.312, knee 0.669, ankle pitch -0.363, shoulder roll +-0.2, elbow 0.6.
    np.testing.assert_allclose(seen[[0, 3, 4, 16, 18, 23]], [0.312, -0.669, 0.363, -0.2, -0.6, 0.2], atol=1e-6)


def test_a_breadth_first_policy_gets_its_joints_by_name():
    count = np.arange(29.0)
    made = contract(
        "joint_pos", "joint_vel", "command", "actions", joint_names=tuple(f"{n}_joint" for n in BREADTH_FIRST)
    )
    robot = state(joint_pos=count, joint_vel=count + 100)
    reference = Frames(frame(joint_pos=count + 200, joint_vel=count + 300))
    seen = observe(made, robot, reference, last_action=count + 400)
    # left hip pitch 0, right hip pitch 6, waist yaw 12, left hip roll 1 in Unitree's order.
    for start, offset in ((0, 0), (29, 100), (58, 200), (87, 300)):
        np.testing.assert_array_equal(seen[start : start + 4] - offset, [0, 6, 12, 1])
    # The last action is the policy's own: never reordered.
    np.testing.assert_array_equal(seen[116:], count + 400)


def test_the_command_is_frame_k():
    frames = [frame(joint_pos=np.full(29, k / 1.0), joint_vel=np.full(29, -k / 1.0)) for k in range(3)]
    seen = observe(contract("command"), state(), Frames(*frames), k=2)
    np.testing.assert_array_equal(seen, [2.0] * 29 + [-2.0] * 29)


def test_the_window_looks_ahead_and_stops_at_the_last_frame():
    here, ahead = frame(), frame(pos=(5.0, 5.0, 0.9), quat=YAW_180, lin_vel=(1.0, 0.0, 0.2), joint_pos=np.ones(29))
    window = observation_term("reference_window", steps=(1, 7))
    seen = observe(contract(window, joint_names=contract().action.joint_names), state(), Frames(here, ahead)).reshape(
        2, 39
    )
    # Facing backwards at 1 m/s along world x is walking backwards; z stays. Position in the plane does not matter.
    expected = [1.0] * 29 + [-1.0, 0.0, 0.0, -1.0, 0.0, 0.0] + [0.9] + [-1.0, 0.0, 0.2]
    np.testing.assert_allclose(seen, [expected, expected], atol=1e-6)


def test_the_windows_joints_are_offsets_from_the_default_pose():
    window = observation_term("reference_window", steps=(4,))
    seen = observe(contract(window), state(), Frames(frame()))
    np.testing.assert_allclose(seen[[0, 3]], [0.312, -0.669], atol=1e-6)


def test_the_windows_velocity_ignores_pitch():
    window = observation_term("reference_window", steps=(1,))
    # 1 rad nose down: the heading is still x, and the velocity is not tilted with the body.
    pitched = np.array([np.cos(0.5), 0.0, np.sin(0.5), 0.0])
    seen = observe(contract(window), state(), Frames(frame(quat=pitched, lin_vel=(1.0, 2.0, 3.0))))
    np.testing.assert_allclose(seen[-3:], [1.0, 2.0, 3.0], atol=1e-6)


def test_a_history_starts_full_and_grows_oldest_first():
    made = contract(observation_term("base_ang_vel", history=3, scale=2.0), "base_lin_vel")
    builder = ObservationBuilder(made)
    reference = Frames(frame())
    seen = [
        builder.compute(state(pelvis_gyro_b=np.full(3, n)), reference, 0, NO_ACTION)[:9:3] for n in (1.0, 2.0, 3.0, 4.0)
    ]
    np.testing.assert_array_equal(seen, [[2, 2, 2], [2, 2, 4], [2, 4, 6], [4, 6, 8]])
    builder.reset()
    again = builder.compute(state(pelvis_gyro_b=np.full(3, 9.0)), reference, 0, NO_ACTION)
    np.testing.assert_array_equal(again, [18.0] * 9 + [0.0] * 3)


def test_an_observation_is_the_callers_to_keep():
    builder = ObservationBuilder(contract("base_ang_vel"))
    first = builder.compute(state(pelvis_gyro_b=np.ones(3)), Frames(frame()), 0, NO_ACTION)
    builder.compute(state(pelvis_gyro_b=np.full(3, 7.0)), Frames(frame()), 0, NO_ACTION)
    np.testing.assert_array_equal(first, [1.0, 1.0, 1.0])
    assert first.dtype == np.float32


@pytest.mark.parametrize("term, field", [("motion_anchor_pos_b", "pelvis_pos_w"), ("base_lin_vel", "pelvis_lin_vel_b")])
def test_terms_that_need_an_estimate_are_refused_without_one(term, field):
    with pytest.raises(BundleError, match=f"'{term}' needs {field}"):
        ObservationBuilder(contract(term), supplied=())
    with pytest.raises(RobotError, match=f"without {field}.*'{term}'"):
        observe(contract(term), state(**{field: None}), Frames(frame()))


def test_the_policy_without_state_estimation_runs_on_a_bare_robot():
    made = g1_contract(tracker_terms(state_estimation=False, window_steps=(4,)), TRAINING)
    builder = ObservationBuilder(made, supplied=())
    seen = builder.compute(state(pelvis_pos_w=None, pelvis_lin_vel_b=None), Frames(frame()), 0, NO_ACTION)
    assert seen.shape == (193,) and np.all(np.isfinite(seen))


def test_unknown_terms_are_named():
    with pytest.raises(BundleError, match="'base_lin_acc' is unknown"):
        observation_term("base_lin_acc")
