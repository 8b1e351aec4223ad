"""Diffusion states and action tokens: exact, mirrored as the robot is, scaled as the data says."""

import numpy as np
import pytest
from squat_motion import squat

from bm_core.diffusion.emphasis import projected_mirror, random_emphasis
from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.mirror import action_mirror, joint_mirror, state_mirror
from bm_core.diffusion.normaliser import Normaliser
from bm_core.diffusion.state import (
    StateRepresentation,
    decode_states,
    encode_states,
    quat_from_rot6d,
    reframe,
    state_slices,
)
from bm_core.diffusion.trajectory import PresentFrame, RobotTrajectory
from bm_core.errors import ConfigError
from bm_core.g1 import G1, TARGET_BODIES
from bm_core.kinematics import g1_kinematics
from bm_core.motion import clip_from_qpos
from bm_core.rotations import (
    matrix_from_quat,
    quat_from_yaw,
    quat_multiply,
    quat_normalize,
    quat_rotate,
    rot6d_from_quat,
)

REPRESENTATIONS = list(StateRepresentation)
MIRROR_MODEL_ERROR = 2.1e-5
"""m: Unitree's description puts the right shoulder 1e-5 m off the left one's mirror image."""


def random_joints(batch=(6, 21), seed=0):
    """Root pose and velocity (world) and joints of random, tumbling robots."""
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(*batch, 3)),
        quat_normalize(rng.normal(size=(*batch, 4))),
        rng.normal(size=(*batch, 3)),
        rng.normal(size=(*batch, 3)),
        rng.uniform(G1.lower, G1.upper, size=(*batch, 29)),
        rng.normal(size=(*batch, 29)),
    )


@pytest.mark.parametrize("representation, width", [("body_pos", 99), ("joint_rot", 73)])
def test_state_has_the_width_of_the_design(representation, width):
    states = RobotTrajectory.from_joints(*random_joints())
    representation = StateRepresentation(representation)
    assert encode_states(states, states.present(4), representation).shape == (6, 21, width)
    assert state_slices(representation).width == width


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_states_are_inverted_exactly_given_the_present(representation):
    states = RobotTrajectory.from_joints(*random_joints())
    present = states.present(4)
    back = decode_states(encode_states(states, present, representation), present, representation)
    for name in ("root_pos_w", "root_lin_vel_w", "root_ang_vel_w", "body_pos_w", "body_lin_vel_w"):
        assert np.abs(getattr(back, name) - getattr(states, name)).max() < 1e-9, name
    turned = matrix_from_quat(back.root_quat_w) - matrix_from_quat(states.root_quat_w)
    assert np.abs(turned).max() < 1e-9


def test_entries_are_what_the_table_says():
    yaw, at = np.pi / 2, np.array([2.0, 3.0, 0.7])
    quat = quat_from_yaw(np.array([yaw, yaw]))
    body_pos = np.tile(at, (2, 14, 1))
    body_pos[1, 3] += [0.0, 0.25, -0.7]
    body_vel = np.zeros((2, 14, 3))
    body_vel[1, 3] = [1.0, 0.0, 0.0]
    lin_vel = np.array([[0.0, 0.5, 0.0], [0.0, 0.6, 0.0]])
    states = RobotTrajectory(
        root_pos_w=at + np.array([[0.0, 0.0, 0.0], [0.0, 0.1, 0.05]]),
        root_quat_w=quat,
        root_lin_vel_w=lin_vel,
        root_ang_vel_w=np.array([[0.0, 0.0, 0.0], [0.3, 0.0, 0.2]]),
        body_pos_w=body_pos + np.array([0.0, 0.0, 0.0]),
        body_lin_vel_w=body_vel,
    )
    token = encode_states(states, states.present(0))[1]
    # Facing +y: the robot's x is the world's y, its y is the world's -x. Body 3 is the left foot.
    assert TARGET_BODIES[3] == "left_ankle_roll_link"
    assert token[9:12] == pytest.approx([0.25 - 0.1, 0.0, -0.7 - 0.05])
    assert token[42 + 9 : 42 + 12] == pytest.approx([-0.6, -1.0, 0.0])
    assert token[84:87] == pytest.approx([0.1, 0.0, 0.75])
    assert token[87:93] == pytest.approx([1.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    assert token[93:96] == pytest.approx([0.6, 0.0, 0.0])
    assert token[96:99] == pytest.approx([0.0, -0.3, 0.2])


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_moving_and_turning_the_whole_world_changes_nothing(representation):
    root_pos, root_quat, lin_vel, ang_vel, joint_pos, joint_vel = random_joints(seed=1)
    turn = quat_from_yaw(1.234)
    moved = RobotTrajectory.from_joints(
        quat_rotate(turn, root_pos) + [5.0, -3.0, 0.0],
        quat_multiply(turn, root_quat),
        quat_rotate(turn, lin_vel),
        quat_rotate(turn, ang_vel),
        joint_pos,
        joint_vel,
    )
    states = RobotTrajectory.from_joints(root_pos, root_quat, lin_vel, ang_vel, joint_pos, joint_vel)
    there = encode_states(moved, moved.present(4), representation)
    assert np.abs(there - encode_states(states, states.present(4), representation)).max() < 1e-9


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_reframing_equals_encoding_from_the_new_present(representation):
    states = RobotTrajectory.from_joints(*random_joints(seed=2))
    old, new = states.present(4), states.present(5)
    moved = reframe(encode_states(states, old, representation), old, new, representation)
    assert np.abs(moved - encode_states(states, new, representation)).max() < 1e-9


def test_an_inexact_rotation_is_made_orthonormal_and_an_exact_one_kept():
    quat = quat_normalize(np.random.default_rng(3).normal(size=(50, 4)))
    exact = rot6d_from_quat(quat)
    assert np.abs(rot6d_from_quat(quat_from_rot6d(exact)) - exact).max() < 1e-12
    noisy = exact + 0.1 * np.random.default_rng(4).normal(size=exact.shape)
    matrix = matrix_from_quat(quat_from_rot6d(noisy))
    assert np.abs(matrix @ np.swapaxes(matrix, -1, -2) - np.eye(3)).max() < 1e-9
    assert np.abs(rot6d_from_quat(quat_from_rot6d(noisy)) - noisy).max() < 0.6


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_mirrored_state_is_the_state_of_the_mirrored_robot(representation):
    root_pos, root_quat, lin_vel, ang_vel, joint_pos, joint_vel = random_joints(seed=5)
    joints = joint_mirror()
    # Reflection at the plane y = 0: vectors change y; rotations and angular velocities change x and z.
    mirrored = RobotTrajectory.from_joints(
        root_pos * [1, -1, 1],
        root_quat * [1, -1, 1, -1],
        lin_vel * [1, -1, 1],
        ang_vel * [-1, 1, -1],
        joints(joint_pos),
        joints(joint_vel),
    )
    states = RobotTrajectory.from_joints(root_pos, root_quat, lin_vel, ang_vel, joint_pos, joint_vel)
    expected = encode_states(mirrored, mirrored.present(4), representation)
    found = state_mirror(representation)(encode_states(states, states.present(4), representation))
    # Velocities: the shoulder's 1e-5 m times the trunk's rad/s.
    assert np.abs(found - expected).max() < 10 * MIRROR_MODEL_ERROR
    assert np.abs(found - encode_states(states, states.present(4), representation)).max() > 0.5


def test_mirrored_joints_put_every_body_on_the_other_side():
    _, _, _, _, joint_pos, _ = random_joints(batch=(40,), seed=6)
    origin, upright = np.zeros((40, 3)), np.tile([1.0, 0.0, 0.0, 0.0], (40, 1))
    pos, _ = g1_kinematics().forward(origin, upright, joint_pos)
    mirrored, _ = g1_kinematics().forward(origin, upright, joint_mirror()(joint_pos))
    for name in G1.body_names:
        other = {"left": "right", "right": "left"}.get(name.split("_")[0], name.split("_")[0])
        twin = "_".join([other, *name.split("_")[1:]])
        difference = mirrored[:, G1.body_index[name]] - pos[:, G1.body_index[twin]] * [1, -1, 1]
        assert np.abs(difference).max() < MIRROR_MODEL_ERROR, name


def test_mirrored_action_is_the_action_of_the_mirrored_target():
    layout, rng = TokenLayout(), np.random.default_rng(7)
    actions = rng.normal(size=(5, 58))
    target = G1.default_joint_pos + G1.action_scale * layout.unpack(actions)
    mirrored = G1.default_joint_pos + G1.action_scale * layout.unpack(action_mirror(layout)(actions))
    assert np.abs(joint_mirror()(target) - mirrored).max() < 1e-12
    assert G1.joint_names[1] == "left_hip_roll_joint" and G1.joint_names[7] == "right_hip_roll_joint"
    assert mirrored[0, 1] == pytest.approx(-target[0, 7])


def test_mirroring_twice_is_the_identity():
    for mirror in (*(state_mirror(kind) for kind in REPRESENTATIONS), action_mirror(TokenLayout())):
        assert np.array_equal(mirror.matrix @ mirror.matrix, np.eye(len(mirror.index)))
    with pytest.raises(ConfigError, match="no mirror image"):
        action_mirror(TokenLayout(step_width=32))


def test_layout_of_the_design():
    layout = TokenLayout()
    assert (layout.tokens, layout.present, layout.action_width, layout.window_steps) == (21, 4, 58, 42)
    assert layout.look_ahead == pytest.approx(0.64)
    assert layout.token_dt == pytest.approx(0.04)
    assert layout.state_offsets.tolist() == list(range(-8, 33, 2))
    assert layout.action_offsets[4].tolist() == [0, 1]
    actions = np.arange(42 * 29).reshape(42, 29)
    assert np.array_equal(layout.unpack(layout.pack(actions)), actions)
    assert np.array_equal(layout.pack(actions)[4, 29:], actions[9])


def test_a_clip_and_its_joints_make_the_same_states():
    clip = clip_from_qpos("squat", *squat(), 30.0)
    instants = np.arange(21) * 2 + 20
    from_clip = RobotTrajectory.from_clip(clip).take(instants)
    rebuilt = RobotTrajectory.from_joints(
        clip.root_pos,
        clip.root_quat,
        clip.body_lin_vel_w[:, 0],
        clip.body_ang_vel_w[:, 0],
        clip.joint_pos,
        clip.joint_vel,
    ).take(instants)
    difference = encode_states(from_clip, from_clip.present(4)) - encode_states(rebuilt, rebuilt.present(4))
    # A clip's body velocities are differences over 40 ms, those of the kinematics exact.
    assert np.abs(difference[:, :42]).max() < 1e-12
    assert np.abs(difference[:, 42:84]).max() < 0.05


def test_percentiles_become_plus_minus_one_and_dead_dimensions_keep_their_size():
    rng = np.random.default_rng(8)
    samples = rng.uniform(-3.0, 5.0, size=(20001, 2)) * [1.0, 0.0] + [0.0, 0.25]
    normaliser = Normaliser.fit(samples)
    assert normaliser.offset == pytest.approx([1.0, 0.25], abs=0.05)
    assert normaliser.scale == pytest.approx([4.0 * 0.99, 1.0], abs=0.03)
    values = normaliser.normalise(samples)
    assert normaliser.denormalise(values) == pytest.approx(samples)
    assert (values.min(0), values.max(0)) == (pytest.approx(normaliser.low), pytest.approx(normaliser.high))


def test_normaliser_fitted_with_a_mirror_commutes_with_it():
    mirror = state_mirror()
    samples = np.random.default_rng(9).normal(size=(500, 99)) + np.arange(99) * 0.1
    normaliser = Normaliser.fit(samples, mirror)
    assert np.abs(mirror(normaliser.normalise(samples)) - normaliser.normalise(mirror(samples))).max() < 1e-12
    assert (normaliser.normalise(mirror(samples)) <= normaliser.high + 1e-12).all()


def test_emphasis_is_inverted_by_its_pseudo_inverse_and_boosts_the_root():
    root = state_slices(StateRepresentation.BODY_POS).root
    emphasis = random_emphasis(99, root, factor=6.0, seed=0)
    values = np.random.default_rng(10).normal(size=(7, 99))
    projected = values @ emphasis.matrix.T
    assert projected.shape == (7, 198)
    assert np.abs(projected @ emphasis.inverse.T - values).max() < 1e-9
    gain = np.linalg.norm(emphasis.matrix[:99], axis=0)
    assert gain[root].mean() / gain[: root.start].mean() == pytest.approx(6.0, rel=0.1)
    assert not np.array_equal(emphasis.matrix, random_emphasis(99, root, factor=6.0, seed=1).matrix)


def test_symmetric_emphasis_commutes_with_the_mirror():
    mirror, root = state_mirror(), state_slices(StateRepresentation.BODY_POS).root
    values = np.random.default_rng(11).normal(size=(7, 99))
    symmetric = random_emphasis(99, root, factor=6.0, seed=0, mirror=mirror)
    there = projected_mirror(mirror)(values @ symmetric.matrix.T)
    assert np.abs(there - mirror(values) @ symmetric.matrix.T).max() < 1e-12
    plain = random_emphasis(99, root, factor=6.0, seed=0)
    assert np.abs(projected_mirror(mirror)(values @ plain.matrix.T) - mirror(values) @ plain.matrix.T).max() > 0.1
    assert np.linalg.matrix_rank(symmetric.mixture) > 90


def test_the_present_frame_is_yaw_only():
    quat = quat_multiply(quat_from_yaw(0.7), np.array([np.cos(0.2), 0.0, np.sin(0.2), 0.0]))
    present = PresentFrame.of(np.array([1.0, 2.0, 0.8]), quat)
    assert present.yaw == pytest.approx(0.7)
    assert present.pos_xy == pytest.approx([1.0, 2.0])
