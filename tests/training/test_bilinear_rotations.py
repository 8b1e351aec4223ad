"""The two-kernel rotations equal the written-out ones."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from bm_training import rotations  # noqa: E402
from bm_training.tracking import bilinear_rotations  # noqa: E402


def random_quats(*shape: int):
    torch.manual_seed(0)
    return torch.nn.functional.normalize(torch.randn(*shape, 4), dim=-1)


def test_product_equals_the_hamilton_product():
    first, second = random_quats(50, 1), random_quats(50, 14).flip(0)
    expected = rotations.quat_multiply(first, second)
    torch.testing.assert_close(bilinear_rotations.quat_multiply(first, second), expected, atol=1e-6, rtol=0)


def test_matrix_equals_the_written_out_one():
    quat = random_quats(64, 3)
    expected = rotations.matrix_from_quat(quat)
    torch.testing.assert_close(bilinear_rotations.matrix_from_quat(quat), expected, atol=1e-6, rtol=0)


def test_a_quarter_turn_about_z_takes_x_to_y():
    quat = torch.tensor([0.70710678, 0.0, 0.0, 0.70710678])
    torch.testing.assert_close(bilinear_rotations.matrix_from_quat(quat)[:, 0], torch.tensor([0.0, 1.0, 0.0]))
