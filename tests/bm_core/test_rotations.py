"""Rotations against scipy (xyzw there), also half turns, tiny angles, both signs, any batch shape."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation, Slerp

from bm_core.rotations import (
    angular_velocity_from_quats,
    gravity_in_body,
    matrix_from_quat,
    quat_angle,
    quat_conjugate,
    quat_from_axis_angle,
    quat_from_euler_xyz,
    quat_from_matrix,
    quat_from_rotvec,
    quat_from_yaw,
    quat_multiply,
    quat_rotate,
    quat_rotate_inverse,
    quat_slerp,
    quat_wxyz_from_xyzw,
    quat_xyzw_from_wxyz,
    rot6d_from_quat,
    rotvec_from_quat,
    yaw_from_quat,
    yaw_quat,
)

COMPONENT = st.floats(-1.0, 1.0, allow_nan=False, width=64)
VECTOR = hnp.arrays(np.float64, 3, elements=st.floats(-10.0, 10.0))
HALF_TURNS = [np.array(q, dtype=float) for q in ([0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0.6, 0, -0.8])]


@st.composite
def quats(draw):
    """Unit quaternions of both signs, with exact zeros, half turns and angles down to 1e-12 among them."""
    kind = draw(st.sampled_from(["any", "any", "half turn", "tiny"]))
    if kind == "half turn":
        return draw(st.sampled_from(HALF_TURNS))
    if kind == "tiny":
        axis = draw(hnp.arrays(np.float64, 3, elements=COMPONENT))
        quat = np.array([1.0, *(axis * 10.0 ** draw(st.integers(-12, -3)))])
    else:
        quat = draw(hnp.arrays(np.float64, 4, elements=COMPONENT).filter(lambda q: np.linalg.norm(q) > 0.1))
    return quat / np.linalg.norm(quat) * draw(st.sampled_from([1.0, -1.0]))


def oracle(quat):
    return Rotation.from_quat(np.asarray(quat)[..., [1, 2, 3, 0]])


def same_rotation(quat, rotation, tolerance=1e-12):
    return np.all((oracle(quat).inv() * rotation).magnitude() < tolerance)


def test_xyzw_and_wxyz_convert_by_position():
    np.testing.assert_array_equal(quat_wxyz_from_xyzw(np.array([1.0, 2.0, 3.0, 4.0])), [4.0, 1.0, 2.0, 3.0])
    np.testing.assert_array_equal(quat_xyzw_from_wxyz(np.array([4.0, 1.0, 2.0, 3.0])), [1.0, 2.0, 3.0, 4.0])


@given(quats(), quats(), VECTOR)
def test_product_and_rotation_agree_with_scipy(first, second, vector):
    assert same_rotation(quat_multiply(first, second), oracle(first) * oracle(second), 1e-7)
    np.testing.assert_allclose(quat_rotate(first, vector), oracle(first).apply(vector), atol=1e-12)
    np.testing.assert_allclose(quat_rotate_inverse(first, vector), oracle(first).inv().apply(vector), atol=1e-12)
    np.testing.assert_allclose(quat_multiply(first, quat_conjugate(first)), [1, 0, 0, 0], atol=1e-12)


@given(quats())
def test_matrix_and_back_is_the_same_rotation_with_positive_w(quat):
    matrix = matrix_from_quat(quat)
    np.testing.assert_allclose(matrix, oracle(quat).as_matrix(), atol=1e-12)
    back = quat_from_matrix(matrix)
    assert back[0] >= 0.0
    assert min(np.abs(back - quat).max(), np.abs(back + quat).max()) < 1e-9


@given(quats())
def test_logarithm_is_the_short_way_and_inverts_the_exponential(quat):
    rotvec = rotvec_from_quat(quat)
    assert np.linalg.norm(rotvec) <= np.pi + 1e-12
    expected = oracle(quat).as_rotvec()
    half_turn = abs(quat[0]) < 1e-9
    if half_turn:  # both ends of the axis are right
        expected = expected * np.sign(expected @ rotvec)
    np.testing.assert_allclose(rotvec, expected, atol=1e-9)
    back = quat_from_rotvec(rotvec)
    assert min(np.abs(back - quat).max(), np.abs(back + quat).max()) < 1e-9


@given(hnp.arrays(np.float64, 3, elements=st.floats(-1e-7, 1e-7)))
@example(np.zeros(3))
def test_tiny_rotations_keep_their_relative_precision(rotvec):
    np.testing.assert_allclose(rotvec_from_quat(quat_from_rotvec(rotvec)), rotvec, rtol=1e-12, atol=1e-300)


@given(quats(), quats())
def test_angle_is_symmetric_and_ignores_the_sign(first, second):
    expected = (oracle(first).inv() * oracle(second)).magnitude()
    assert quat_angle(first, second) == pytest.approx(expected, abs=1e-7)
    assert quat_angle(second, -first) == pytest.approx(expected, abs=1e-7)


@given(st.floats(-np.pi, np.pi), st.floats(-1.5, 1.5), st.floats(-3.1, 3.1))
def test_euler_angles_are_roll_pitch_yaw_about_fixed_axes(roll, pitch, yaw):
    quat = quat_from_euler_xyz(roll, pitch, yaw)
    assert same_rotation(quat, Rotation.from_euler("xyz", [roll, pitch, yaw]), 1e-7)
    assert yaw_from_quat(quat) == pytest.approx(yaw, abs=1e-9)


@given(quats())
def test_yaw_is_the_heading_of_the_x_axis(quat):
    x_axis = oracle(quat).as_matrix()[:, 0]
    if np.hypot(x_axis[0], x_axis[1]) < 1e-3:
        return
    assert np.cos(yaw_from_quat(quat) - np.arctan2(x_axis[1], x_axis[0])) == pytest.approx(1.0, abs=1e-9)
    flat = oracle(yaw_quat(quat))
    np.testing.assert_allclose(flat.apply([0, 0, 1]), [0, 0, 1], atol=1e-12)


@given(quats(), quats(), st.floats(0.0, 1.0))
def test_slerp_agrees_with_scipy(first, second, fraction):
    if abs(first @ second) < 1e-6:  # half a turn apart: two shortest arcs
        return
    expected = Slerp([0.0, 1.0], Rotation.concatenate([oracle(first), oracle(second)]))(fraction)
    assert same_rotation(quat_slerp(first, second, np.array(fraction)), expected, 1e-6)


def test_slerp_takes_the_short_way_between_opposite_signs():
    first, second = quat_from_yaw(0.1), -quat_from_yaw(0.3)
    assert yaw_from_quat(quat_slerp(first, second, np.array(0.5))) == pytest.approx(0.2)


@given(quats())
def test_rot6d_is_the_first_two_columns_row_major(quat):
    m = oracle(quat).as_matrix()
    expected = [m[0, 0], m[0, 1], m[1, 0], m[1, 1], m[2, 0], m[2, 1]]
    np.testing.assert_allclose(rot6d_from_quat(quat), expected, atol=1e-12)


def test_axis_angle_broadcasts_one_axis_over_many_angles():
    angles = np.linspace(-3.0, 3.0, 7)
    quat = quat_from_axis_angle(np.array([0.0, 0.0, 1.0]), angles)
    assert quat.shape == (7, 4)
    np.testing.assert_allclose(quat, quat_from_yaw(angles), atol=1e-15)


def test_gravity_of_a_robot_pitched_forward_points_along_its_x():
    nose_down = quat_from_euler_xyz(0.0, np.pi / 2, 0.0)
    np.testing.assert_allclose(gravity_in_body(nose_down), [1.0, 0.0, 0.0], atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.sampled_from([(3,), (2, 5), (4, 1, 2)]))
@settings(max_examples=25)
def test_batches_are_the_stack_of_single_results(seed, shape):
    rng = np.random.default_rng(seed)
    first, second = (q / np.linalg.norm(q, axis=-1, keepdims=True) for q in rng.normal(size=(2, *shape, 4)))
    vector = rng.normal(size=(*shape, 3))
    for index in np.ndindex(*shape):
        np.testing.assert_allclose(quat_multiply(first, second)[index], quat_multiply(first[index], second[index]))
        np.testing.assert_allclose(quat_rotate(first, vector)[index], quat_rotate(first[index], vector[index]))
        np.testing.assert_allclose(rotvec_from_quat(first)[index], rotvec_from_quat(first[index]))
        np.testing.assert_allclose(
            quat_from_matrix(matrix_from_quat(first))[index], quat_from_matrix(matrix_from_quat(first[index]))
        )


def test_angular_velocity_of_a_constant_spin_is_that_spin_also_at_the_ends():
    spin_w = np.array([1.0, -2.0, 0.5])
    start = quat_from_euler_xyz(0.3, -0.2, 1.0)
    times = np.arange(20) * 0.02
    quat = quat_multiply(quat_from_rotvec(times[:, None] * spin_w), start)
    quat[7:] *= -1.0  # a sign flip is no rotation
    np.testing.assert_allclose(angular_velocity_from_quats(quat, 0.02), np.tile(spin_w, (20, 1)), atol=1e-9)


def test_angular_velocity_of_a_body_fixed_spin_is_given_in_the_world_frame():
    tilt = quat_from_euler_xyz(np.pi / 2, 0.0, 0.0)  # body z lies along world -y
    quat = quat_multiply(tilt, quat_from_yaw(0.02 * 3.0 * np.arange(5)))
    np.testing.assert_allclose(angular_velocity_from_quats(quat, 0.02), np.tile([0.0, -3.0, 0.0], (5, 1)), atol=1e-9)


def test_angular_velocity_keeps_batch_axes_and_a_single_frame_rests():
    quat = np.tile([1.0, 0.0, 0.0, 0.0], (6, 30, 1))
    assert angular_velocity_from_quats(quat, 0.02).shape == (6, 30, 3)
    np.testing.assert_array_equal(angular_velocity_from_quats(quat[:1], 0.02), np.zeros((1, 30, 3)))
