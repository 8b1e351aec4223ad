"""The torch rotations are the NumPy ones: same random inputs, same results; plus what only torch can get wrong."""

import inspect

import numpy as np
import pytest
import torch

from bm_core import rotations as reference
from bm_training import rotations

RNG = np.random.default_rng(7)


def _quats(*shape):
    return reference.quat_normalize(RNG.normal(size=(*shape, 4)))


FIRST, SECOND = _quats(5, 40), _quats(5, 40)
VECTOR = RNG.normal(size=(5, 40, 3))
AXIS = VECTOR / np.linalg.norm(VECTOR, axis=-1, keepdims=True)
ANGLE = RNG.uniform(-3.0, 3.0, size=(5, 40))
# Rotations about the world's axes by 180 degrees and nothing: every branch of the matrix conversion, both signs of w.
EXACT = np.vstack([np.eye(4), -np.eye(4)])

CASES = {
    "quat_wxyz_from_xyzw": (FIRST,),
    "quat_xyzw_from_wxyz": (FIRST,),
    "quat_normalize": (3.0 * FIRST,),
    "quat_conjugate": (FIRST,),
    "quat_multiply": (FIRST, SECOND),
    "quat_rotate": (FIRST, VECTOR),
    "quat_rotate_inverse": (FIRST, VECTOR),
    "cross": (VECTOR, VECTOR[::-1].copy()),
    "quat_from_axis_angle": (AXIS, ANGLE),
    "quat_from_rotvec": (VECTOR,),
    "rotvec_from_quat": (np.concatenate([FIRST.reshape(-1, 4), EXACT]),),
    "quat_angle": (FIRST, SECOND),
    "yaw_from_quat": (FIRST,),
    "quat_from_yaw": (ANGLE,),
    "yaw_quat": (FIRST,),
    "quat_from_euler_xyz": (ANGLE, 0.5 * ANGLE, ANGLE[::-1].copy()),
    "matrix_from_quat": (FIRST,),
    "quat_from_matrix": (reference.matrix_from_quat(np.concatenate([FIRST.reshape(-1, 4), EXACT])),),
    "rot6d_from_quat": (FIRST,),
    "quat_slerp": (FIRST, SECOND, RNG.uniform(size=(5, 40))),
    "angular_velocity_from_quats": (FIRST, 0.02),
    "gravity_in_body": (FIRST,),
}


def _torch(args, dtype=torch.float64):
    return [torch.as_tensor(a, dtype=dtype) if isinstance(a, np.ndarray) else a for a in args]


def test_every_numpy_rotation_has_a_twin_that_is_tested():
    public = {
        name
        for name, function in inspect.getmembers(reference, inspect.isfunction)
        if not name.startswith("_") and function.__module__ == reference.__name__
    }
    assert public == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_twin_equals_the_numpy_function(name):
    expected = getattr(reference, name)(*CASES[name])
    actual = getattr(rotations, name)(*_torch(CASES[name]))
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_single_precision_stays_single_and_close(name):
    actual = getattr(rotations, name)(*_torch(CASES[name], torch.float32))
    assert actual.dtype == torch.float32
    # 180 degree turns may come out with either sign of the axis in single precision; they are tested in double.
    keep = slice(0, 200) if name in ("rotvec_from_quat", "quat_from_matrix") else slice(None)
    expected = getattr(reference, name)(*CASES[name])
    # Velocities divide by 2 x 0.02 s.
    np.testing.assert_allclose(actual.numpy()[keep], expected[keep], atol=2e-4 if "velocity" in name else 5e-6)


@pytest.mark.parametrize("name", ["quat_multiply", "quat_rotate", "quat_angle"])
def test_one_rotation_broadcasts_over_a_batch(name):
    second = torch.as_tensor(VECTOR if name == "quat_rotate" else SECOND)
    one = torch.as_tensor(FIRST[0, 0])
    actual = getattr(rotations, name)(one, second)
    torch.testing.assert_close(actual, getattr(rotations, name)(one.expand(5, 40, 4), second))


@pytest.mark.parametrize("name", CASES)
def test_function_compiles_without_a_graph_break(name):
    compiled = torch.compile(getattr(rotations, name), fullgraph=True, backend="eager")
    args = _torch(CASES[name])
    torch.testing.assert_close(compiled(*args), getattr(rotations, name)(*args))


@pytest.mark.parametrize("name", ["rotvec_from_quat", "yaw_from_quat", "matrix_from_quat", "rot6d_from_quat"])
def test_gradient_at_the_identity_is_finite(name):
    quat = torch.tensor([1.0, 0.0, 0.0, 0.0], requires_grad=True)
    getattr(rotations, name)(quat).sum().backward()
    assert quat.grad is not None and torch.isfinite(quat.grad).all()


def test_gradient_of_the_exponential_map_at_zero_is_half_the_identity():
    # d sin(|v|/2) v/|v| / dv = 1/2 at v = 0; the scalar part is flat there.
    jacobian = torch.autograd.functional.jacobian(rotations.quat_from_rotvec, torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(jacobian, torch.cat([torch.zeros(1, 3), 0.5 * torch.eye(3)]).double())


def test_single_precision_angle_of_a_microradian_is_not_rounded_away():
    # arccos(w) would give 0 or 3e-4 here: cos(5e-7) is 1 in float32.
    turned = rotations.quat_from_rotvec(torch.tensor([1e-6, 0.0, 0.0]))
    assert float(rotations.quat_angle(torch.tensor([1.0, 0.0, 0.0, 0.0]), turned)) == pytest.approx(1e-6, rel=1e-3)
