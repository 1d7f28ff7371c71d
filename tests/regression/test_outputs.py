"""A network's numbers as parameters, and fits as its labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bodyreg import RegistrationConfig
from bodyreg.body import QUATERNION, SIX_NUMBERS, Parameters
from bodyreg.body.rotations import quaternion_to_axis_angle, rotation_matrices
from bodyreg.regression.outputs import (
    SMALLEST,
    as_fits,
    labels_of,
    mean_parameters,
    parameters_of,
    positive,
    unit_quaternions,
)

from .people import seen_in, some_fits


def test_the_mean_is_a_body_in_t_pose():
    p = parameters_of(mean_parameters()[None])
    assert torch.equal(p.pose, torch.tensor([1.0, 0, 0, 0]).expand(1, 24, 4))
    assert torch.equal(p.segment_scale, torch.ones(1, 24))
    assert torch.equal(p.rotation, torch.eye(3)[None])
    assert not p.translation.any() and p.scale.item() == pytest.approx(0.9)


def test_six_numbers_are_the_rotations_first_columns():
    fits = some_fits(40, 3)
    matrices = rotation_matrices(torch.from_numpy(fits.pose).double())
    numbers = matrices[..., :2].transpose(-1, -2).flatten(-2)
    turned = numbers * torch.tensor([3.0] * 3 + [0.2] * 3)  # lengths do not count
    turned[..., 3:] += 0.7 * turned[..., :3]  # neither does the first column in the second one
    rest = QUATERNION.split(mean_parameters().double().expand(40, -1))
    p = parameters_of(SIX_NUMBERS.join(rest._replace(pose=turned)))
    found = rotation_matrices(quaternion_to_axis_angle(p.pose))
    torch.testing.assert_close(found[:, 1:], matrices[:, 1:], atol=1e-7, rtol=0)
    assert (p.pose[..., 0] >= 0).all() and torch.equal(p.pose[:, 0], rest.pose[:, 0])
    mean = parameters_of(mean_parameters(SIX_NUMBERS)[None])
    for one, other in zip(mean, parameters_of(mean_parameters()[None]), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("value", [0.0, 1e-30, 1e-8, -1e-3, 1e15])
def test_gradients_of_six_numbers_are_finite_at_ill_numbers(value):
    flat = torch.full((2, 180), value, requires_grad=True)
    p = parameters_of(flat)
    sum(block.sum() for block in p._replace(pose=quaternion_to_axis_angle(p.pose))).backward()
    assert all(block.isfinite().all() for block in p) and flat.grad.isfinite().all()


def test_gradients_of_six_numbers():
    """They turn each column; those of the root and of lengths are zero."""
    random = torch.Generator().manual_seed(4)
    flat = torch.randn(2, 180, generator=random, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 24, 4, generator=random, dtype=torch.float64)
    (weights * parameters_of(flat).pose).sum().backward()
    step = 1e-6
    for place in range(0, 144, 7):
        there, back = flat.detach().clone(), flat.detach().clone()
        there[:, place] += step
        back[:, place] -= step
        moved = parameters_of(there).pose - parameters_of(back).pose
        slope = (weights * moved).sum((1, 2)) / (2 * step)
        torch.testing.assert_close(flat.grad[:, place], slope, atol=1e-5, rtol=1e-5)
    pose = SIX_NUMBERS.split(flat.grad).pose
    assert not pose[:, 0].any() and pose[:, 1:].any(-1).all()


@pytest.mark.parametrize("six_numbers", [False, True])
def test_any_numbers_are_valid_parameters(six_numbers):
    flat = 3 * torch.randn(200, 132, generator=torch.Generator().manual_seed(0)).double()
    p = parameters_of(flat, six_numbers=six_numbers)
    torch.testing.assert_close(p.pose.norm(dim=-1), torch.ones(200, 24).double())
    assert (p.pose[..., 0] >= 0).all() and (p.segment_scale > 0).all() and (p.scale > 0).all()
    assert torch.equal(p.pose[:, 0], torch.tensor([1.0, 0, 0, 0]).double().expand(200, 4))
    eye = torch.eye(3).double().expand(200, 3, 3)
    torch.testing.assert_close(p.rotation.mT @ p.rotation, eye, atol=1e-12, rtol=0)
    signs = torch.linalg.det(p.rotation).round()
    raw = torch.linalg.det(QUATERNION.split(flat).rotation).sign()
    assert torch.equal(signs, torch.ones_like(raw) if six_numbers else raw)


@pytest.mark.parametrize("value", [0.0, 1e-30, -1e-30, 1e-8, -1e-3, 1e15, -1e15])
def test_gradients_are_finite_at_ill_numbers(value):
    """All numbers alike: rotations without a second axis, quaternions of no length, huge ones."""
    flat = torch.full((2, 132), value, requires_grad=True)
    p = parameters_of(flat)
    sum(block.sum() for block in p._replace(pose=quaternion_to_axis_angle(p.pose))).backward()
    assert all(block.isfinite().all() for block in p) and flat.grad.isfinite().all()


def test_opposite_quaternions_are_the_same():
    q = torch.randn(50, 24, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(unit_quaternions(q), unit_quaternions(-q))
    torch.testing.assert_close(unit_quaternions(q), unit_quaternions(7 * q))


def test_scales_stay_above_zero():
    x = torch.tensor([-30.0, -0.1, 0.0, 0.05, SMALLEST, 0.3, 5.0], dtype=torch.float64)
    x.requires_grad_()
    y = positive(x)
    y.sum().backward()
    assert (y > 0).all() and (y.diff() > 0).all() and (x.grad > 0).all()
    assert torch.equal(y[4:], x[4:]) and torch.equal(x.grad[4:], torch.ones(3).double())
    torch.testing.assert_close(x.grad[1], (SMALLEST / (2 * SMALLEST - x[1])) ** 2)


def test_labels_are_the_same_bodies(body):
    fits = some_fits(20, 2, root=True)
    labels = labels_of(fits, body)
    flat = QUATERNION.join(labels)
    assert flat.shape == (20, 132) and flat.dtype == torch.float32
    again = parameters_of(flat)
    for label, block in zip(labels, again, strict=True):
        torch.testing.assert_close(block, label, atol=2e-6, rtol=1e-6)
    back = as_fits(labels, seen_in(fits))
    np.testing.assert_allclose(back.joints(body), fits.joints(body), atol=3e-6)
    np.testing.assert_allclose(back.vertices(body), fits.vertices(body), atol=3e-6)
    assert not back.pose[:, 0].any() and (back.id == fits.id).all()
    turns = rotation_matrices(torch.from_numpy(back.pose[:, 1:]))
    torch.testing.assert_close(turns, rotation_matrices(torch.from_numpy(fits.pose[:, 1:])))


def test_fits_have_the_cameras_of_a_registration(body):
    fits = some_fits(3, 3)
    focal, size = np.array([500, np.nan, np.inf]), np.full((3, 2), (640, 480))
    people = seen_in(fits, focal=focal, picture_size=size)
    labels = labels_of(fits, body)
    found = as_fits(labels, people)
    np.testing.assert_allclose(found.focal, [500, 2 * 800, np.nan])
    np.testing.assert_allclose(found.principal_point[:2], [[320, 240]] * 2)
    weak = as_fits(labels, people, RegistrationConfig(camera="weak"))
    assert weak.focal is None and weak.principal_point is None


def test_double_precision_stays():
    flat = torch.randn(4, 132, dtype=torch.float64)
    assert all(block.dtype == torch.float64 for block in parameters_of(flat))
    assert isinstance(parameters_of(flat), Parameters)
