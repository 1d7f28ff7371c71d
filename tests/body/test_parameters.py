"""Flat vectors and their blocks, and what a mirror makes of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from bodyreg import reference
from bodyreg.body import AXIS_ANGLE, MIRROR_JOINTS, QUATERNION, Body, Layout, Parameters
from bodyreg.body.parameters import mirrored
from bodyreg.body.rotations import axis_angle_to_quaternion, rotation_matrices
from bodyreg.data import Fits

LAYOUTS = pytest.mark.parametrize("layout", [AXIS_ANGLE, QUATERNION], ids=["108", "132"])


def flat(layout: Layout, *people: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(*people, layout.count, generator=random, dtype=torch.float64)


def test_counts_and_places():
    assert (AXIS_ANGLE.count, QUATERNION.count) == (108, 132)
    assert AXIS_ANGLE.sizes == [72, 24, 9, 2, 1]
    assert AXIS_ANGLE.slices == {
        "pose": slice(0, 72), "segment_scale": slice(72, 96), "rotation": slice(96, 105),
        "translation": slice(105, 107), "scale": slice(107, 108),
    }  # fmt: skip
    assert QUATERNION.slices["segment_scale"] == slice(96, 120)
    assert tuple(AXIS_ANGLE.shapes) == tuple(QUATERNION.slices) == Parameters._fields


@LAYOUTS
@pytest.mark.parametrize("people", [(), (0,), (1,), (5,), (3, 2)])
def test_split_and_join_are_inverse(layout, people):
    vectors = flat(layout, *people)
    parameters = layout.split(vectors)
    for name, block in parameters._asdict().items():
        assert block.shape == (*people, *layout.shapes[name]) and block.is_contiguous()
        own = vectors[..., layout.slices[name]]
        assert torch.equal(block.reshape(own.shape), own)
    assert torch.equal(layout.join(parameters), vectors)


@LAYOUTS
def test_both_are_differentiable(layout):
    vectors = flat(layout, 2).requires_grad_()
    assert gradcheck(lambda v: layout.join(layout.split(v)), vectors)


@LAYOUTS
def test_wrong_shapes_are_refused(layout):
    with pytest.raises(ValueError, match=f"expected {layout.count} numbers each, got 107"):
        layout.split(torch.zeros(3, 107))
    parameters = layout.split(flat(layout, 3))
    with pytest.raises(ValueError, match=r"rotation: expected shape \(3, 3, 3\), got \(3, 9\)"):
        layout.join(parameters._replace(rotation=torch.zeros(3, 9)))
    with pytest.raises(ValueError, match=r"translation: expected shape \(3, 2\), got \(2, 2\)"):
        layout.join(parameters._replace(translation=torch.zeros(2, 2)))


def test_of_fits_and_back():
    rng = np.random.default_rng(3)
    arrays = {
        name: rng.normal(size=(4, *shape)).astype(np.float32)
        for name, shape in AXIS_ANGLE.shapes.items()
    }
    fits = Fits(id=np.arange(4), frame=np.ones((4, 3), np.float32), **arrays)
    fits.pose = np.asfortranarray(fits.pose)
    parameters = Parameters.of(fits)
    assert all(block.is_contiguous() for block in parameters)
    found = AXIS_ANGLE.split(AXIS_ANGLE.join(parameters)).arrays()
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())


def test_mirrored_parameters_give_the_mirrored_picture():
    """Reference: the plain-torch engine; every vertex lands where the mirror shows its twin."""
    body, parameters = Body.default(), AXIS_ANGLE.split(0.3 * flat(AXIS_ANGLE, 3))
    rotation = rotation_matrices(flat(AXIS_ANGLE, 3, seed=1)[:, :3])
    parameters = parameters._replace(rotation=rotation, segment_scale=1 + parameters.segment_scale)
    points = body.vertex_points().to(dtype=torch.float64)

    def picture(p: Parameters) -> tuple[torch.Tensor, torch.Tensor]:
        transforms, _ = reference.kinematics(
            rotation_matrices(p.pose), p.segment_scale,
            torch.from_numpy(body.joints).double(), body.parents,
        )  # fmt: skip
        placed = reference.lbs(transforms, points.joint_ids, points.anchors)
        return reference.projection(placed, p.rotation, p.scale, p.translation)

    (xy, z), (mirror_xy, mirror_z) = picture(parameters), picture(mirrored(parameters))
    twin = torch.from_numpy(body.mirror_vertices)
    expected = xy[:, twin] * torch.tensor([-1.0, 1.0])
    torch.testing.assert_close(mirror_xy, expected, rtol=0, atol=2e-5)
    torch.testing.assert_close(mirror_z, z[:, twin], rtol=0, atol=2e-5)


@LAYOUTS
def test_a_mirror_is_its_own_inverse(layout):
    parameters = layout.split(flat(layout, 5))
    again = mirrored(mirrored(parameters))
    assert all(torch.equal(a, b) for a, b in zip(again, parameters, strict=True))


def test_quaternions_are_mirrored_as_their_vectors():
    parameters = AXIS_ANGLE.split(flat(AXIS_ANGLE, 5))
    of_vectors = axis_angle_to_quaternion(mirrored(parameters).pose)
    quaternions = parameters._replace(pose=axis_angle_to_quaternion(parameters.pose))
    assert torch.equal(mirrored(quaternions).pose, of_vectors)
    assert not torch.equal(of_vectors, quaternions.pose[:, list(MIRROR_JOINTS)])
