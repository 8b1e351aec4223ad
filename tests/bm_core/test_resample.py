"""Resampling and finite differences against motions whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bm_core.resample import resample_linear, resample_quat, sample_points, time_derivative
from bm_core.rotations import quat_from_rotvec, quat_from_yaw, rotvec_from_quat, yaw_from_quat

RATES = st.sampled_from([24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0, 100.0, 120.0])


@pytest.mark.parametrize(
    "frames, fps, expected",
    [(31, 30.0, 51), (61, 60.0, 51), (51, 50.0, 51), (121, 120.0, 51), (150, 30.0, 249), (2, 30.0, 2), (2, 60.0, 1)],
)
def test_a_second_of_any_rate_is_51_frames(frames, fps, expected):
    # (frames - 1) / fps seconds, at 50 fps, both ends included: floor(t * 50) + 1
    assert len(resample_linear(np.zeros((frames, 3)), fps, 50.0)) == expected


@given(st.integers(2, 400), RATES)
def test_a_straight_line_stays_on_the_line_and_within_the_clip(frames, fps):
    times = np.arange(frames) / fps
    line = np.stack([2.0 * times - 1.0, -0.5 * times], axis=-1)
    sampled = resample_linear(line, fps, 50.0)
    new_times = np.arange(len(sampled)) / 50.0
    assert new_times[-1] <= times[-1] + 1e-3 / 50.0
    assert times[-1] - new_times[-1] < 1.0 / 50.0
    np.testing.assert_allclose(sampled[:, 0], 2.0 * new_times - 1.0, atol=1e-4)
    np.testing.assert_allclose(sampled[:, 1], -0.5 * new_times, atol=1e-4)


@given(st.integers(2, 200), RATES)
def test_a_steady_turn_stays_steady_across_the_half_turn_and_sign_flips(frames, fps):
    yaw = 2.0 * np.arange(frames) / fps
    quat = quat_from_yaw(yaw)
    quat[::3] *= -1.0
    sampled = resample_quat(quat, fps, 50.0)
    np.testing.assert_allclose(np.linalg.norm(sampled, axis=-1), 1.0, atol=1e-12)
    expected = 2.0 * np.arange(len(sampled)) / 50.0
    np.testing.assert_allclose(np.cos(yaw_from_quat(sampled) - expected), 1.0, atol=1e-6)


@given(st.integers(0, 2**32 - 1), RATES)
@settings(max_examples=30)
def test_interpolated_values_never_leave_the_neighbours(seed, fps):
    values = np.random.default_rng(seed).normal(size=(40, 5))
    sampled = resample_linear(values, fps, 50.0)
    before, _ = sample_points(40, fps, 50.0)
    low, high = np.minimum(values[before], values[before + 1]), np.maximum(values[before], values[before + 1])
    assert np.all(sampled >= low - 1e-12)
    assert np.all(sampled <= high + 1e-12)


def test_the_same_rate_changes_nothing_and_shares_no_memory():
    values = np.random.default_rng(0).normal(size=(9, 3))
    sampled = resample_linear(values, 50.0, 50.0)
    np.testing.assert_array_equal(sampled, values)
    assert not np.shares_memory(sampled, values)


def test_slerp_runs_at_constant_speed_along_the_arc():
    quat = np.stack([quat_from_rotvec(np.zeros(3)), quat_from_rotvec(np.array([0.0, 1.2, 0.0]))])
    sampled = resample_quat(quat, 10.0, 50.0)  # 0.1 s: five steps
    np.testing.assert_allclose(rotvec_from_quat(sampled)[:, 1], [0.0, 0.24, 0.48, 0.72, 0.96, 1.2], atol=1e-12)


def test_central_difference_is_exact_for_a_parabola_inside_and_one_sided_at_the_ends():
    times = np.arange(6) * 0.02
    speed = time_derivative(times[:, None] ** 2, 50.0)[:, 0]
    np.testing.assert_allclose(speed[1:-1], 2.0 * times[1:-1], atol=1e-12)
    # t^2 over the first and last 0.02 s: 0.02 and 2 * 0.1 - 0.02
    np.testing.assert_allclose(speed[[0, -1]], [0.02, 0.18], atol=1e-12)


def test_a_single_frame_rests():
    np.testing.assert_array_equal(time_derivative(np.ones((1, 4)), 50.0), np.zeros((1, 4)))
