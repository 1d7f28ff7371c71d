"""Axis-angle vectors, matrices and quaternions, against SciPy and finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.autograd import gradcheck

from bodyreg.body.rotations import (
    axis_angle_to_quaternion,
    matrix_to_quaternion,
    quaternion_to_axis_angle,
    rotation_matrices,
)

F64 = torch.float64
ANGLES = (0.0, 1e-30, 1e-12, 1e-7, 1e-4, 0.5, 2.0, math.pi - 1e-7, math.pi)


def axes(count: int, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, 3, generator=random, dtype=F64), dim=1)


def vectors(angle: float, count: int = 40) -> Tensor:
    """Vectors of this angle: any axis, and the six along the coordinates."""
    along = torch.cat((torch.eye(3), -torch.eye(3))).double()
    return angle * torch.cat((axes(count), along))


def xyzw(quaternions: Tensor) -> np.ndarray:
    return quaternions.roll(-1, -1).numpy()


@pytest.mark.parametrize("angle", [*ANGLES, 4.0, 2 * math.pi, 20.0])
def test_matrices_and_quaternions_are_scipys(angle):
    v = vectors(angle)
    expected = Rotation.from_rotvec(v.numpy())
    np.testing.assert_allclose(rotation_matrices(v).numpy(), expected.as_matrix(), atol=1e-14)
    q = axis_angle_to_quaternion(v)
    torch.testing.assert_close(q.norm(dim=1), torch.ones(len(q), dtype=F64), rtol=0, atol=1e-15)
    turned = Rotation.from_quat(xyzw(q)).as_matrix()
    np.testing.assert_allclose(turned, expected.as_matrix(), atol=1e-14)
    # The exponential of half the vector: cos θ/2, sin(θ/2) a.
    np.testing.assert_allclose(q[:, 0].numpy(), math.cos(angle / 2), atol=1e-14)


@pytest.mark.parametrize("dtype", [F64, torch.float32])
@pytest.mark.parametrize("angle", ANGLES)
def test_there_and_back(angle, dtype):
    """The vector comes back, at π as itself or its opposite, whatever the quaternion's length."""
    v = vectors(angle).to(dtype)
    for length in (1.0, -1.0, 1e-6, 3e5):
        back = quaternion_to_axis_angle(length * axis_angle_to_quaternion(v))
        if angle > 3:
            back = torch.where((back * v).sum(1, keepdim=True) < 0, -back, back)
        scale = max(angle, 1e-10)
        tolerance = 20 * torch.finfo(dtype).eps * scale
        torch.testing.assert_close(back, v, rtol=0, atol=tolerance)


@pytest.mark.parametrize("angle", [3.5, 5.0, 2 * math.pi - 1e-3, 9.0])
def test_large_angles_come_back_as_the_shortest(angle):
    v = vectors(angle)
    back = quaternion_to_axis_angle(axis_angle_to_quaternion(v))
    np.testing.assert_allclose(
        back.numpy(), Rotation.from_rotvec(v.numpy()).as_rotvec(), atol=1e-12
    )
    assert (back.norm(dim=1) <= math.pi).all()


def test_random_quaternions_are_scipys():
    random = torch.Generator().manual_seed(2)
    q = torch.randn(500, 4, generator=random, dtype=F64)
    expected = Rotation.from_quat(xyzw(q)).as_rotvec()
    np.testing.assert_allclose(quaternion_to_axis_angle(q).numpy(), expected, atol=1e-12)


def test_known_quaternions():
    q = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 1], [-1, 0, 0, 0]])
    expected = [[0, 0, 0], [math.pi, 0, 0], [0, -math.pi, 0], [0, 0, math.pi / 2], [0, 0, 0]]
    np.testing.assert_allclose(quaternion_to_axis_angle(q).numpy(), expected, atol=3e-7)


@pytest.mark.parametrize("angle", [*ANGLES, 5.0])
def test_gradients_to_quaternions(angle):
    assert gradcheck(axis_angle_to_quaternion, vectors(angle, 3).requires_grad_())


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-4, 0.5, 2.0, math.pi - 1e-3, 5.0])
def test_gradients_to_vectors(angle):
    q = 1.7 * axis_angle_to_quaternion(vectors(angle, 3))
    assert gradcheck(quaternion_to_axis_angle, q.requires_grad_(), atol=1e-6)


@pytest.mark.parametrize("dtype", [F64, torch.float32])
@pytest.mark.parametrize("angle", ANGLES)
def test_the_gradient_of_there_and_back_is_the_identity(angle, dtype):
    """At every angle up to π, where finite differences would meet the jump."""
    v = vectors(angle).to(dtype).requires_grad_()
    back = quaternion_to_axis_angle(axis_angle_to_quaternion(v))
    pull, axis = axes(len(v), 3).to(dtype), vectors(1.0).to(dtype)
    (gradient,) = torch.autograd.grad(back, v, pull)
    # At π rounding may choose the opposite vector, v - 2π a, whose derivative turns about the axis.
    opposite = (back * v).sum(1, keepdim=True) < 0
    turned = 2 * axis * (axis * pull).sum(1, keepdim=True) - pull
    expected = torch.where(opposite, turned, pull)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=50 * torch.finfo(dtype).eps)
    assert angle > 3 or not opposite.any()


@pytest.mark.parametrize("dtype", [F64, torch.float32])
@pytest.mark.parametrize("angle", [*ANGLES, 4.0, 2 * math.pi])
def test_quaternions_of_matrices(angle, dtype):
    """Half turns too, where a formula by the trace would divide by zero."""
    v = vectors(angle)
    expected = Rotation.from_rotvec(v.numpy())
    found = matrix_to_quaternion(torch.from_numpy(expected.as_matrix()).to(dtype))
    assert found.dtype == dtype
    sign = torch.from_numpy((expected.as_quat() * xyzw(found)).sum(1, keepdims=True)).sign()
    atol = 1e-14 if dtype == F64 else 3e-7
    np.testing.assert_allclose(xyzw(found.double()), sign.numpy() * expected.as_quat(), atol=atol)


def test_gradients_of_quaternions_of_matrices():
    """Along rotations, as the chain over axis-angle vectors shows."""
    v = vectors(2.0, 5).requires_grad_()

    def there(v: Tensor) -> Tensor:
        q = matrix_to_quaternion(rotation_matrices(v))
        return q * q[..., :1].sign()

    assert gradcheck(there, v)
    torch.testing.assert_close(there(v), axis_angle_to_quaternion(v))
