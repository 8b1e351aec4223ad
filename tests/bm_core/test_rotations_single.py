"""The float versions must be the array versions, number by number."""

import numpy as np
import pytest

from bm_core import rotations, rotations_single

_RNG = np.random.default_rng(3)
QUATS = rotations.quat_normalize(_RNG.normal(size=(20, 4)))
VECTORS = _RNG.normal(size=(20, 3))


@pytest.mark.parametrize("i", range(0, 20, 2))
def test_single_rotations_equal_the_array_ones(i):
    first, second, vector = QUATS[i], QUATS[i + 1], VECTORS[i]
    pairs = [
        (rotations_single.multiply(first, second), rotations.quat_multiply(first, second)),
        (rotations_single.rotate(first, vector), rotations.quat_rotate(first, vector)),
        (rotations_single.rotate_inverse(first, vector), rotations.quat_rotate_inverse(first, vector)),
        (rotations_single.rot6d(first), rotations.rot6d_from_quat(first)),
        (rotations_single.yaw(first), rotations.yaw_from_quat(first)),
        (
            rotations_single.from_axis_angle([0.6, 0.0, 0.8], vector[0]),
            rotations.quat_from_axis_angle(np.array([0.6, 0.0, 0.8]), vector[0]),
        ),
    ]
    for single, array in pairs:
        np.testing.assert_allclose(single, array, atol=1e-12)
