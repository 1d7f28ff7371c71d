"""Views: what is applied and undone is the identity, and pictures move as bodies do."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch

from bodyreg import ops
from bodyreg.body import Parameters
from bodyreg.body.rotations import quaternion_to_axis_angle
from bodyreg.data.flip import flip_fits
from bodyreg.regression.augmentation import AugmentationConfig
from bodyreg.regression.outputs import labels_of
from bodyreg.regression.views import MARGIN, Views
from bodyreg.training.loops import generator

from .people import some_fits

WILD = AugmentationConfig(angle=math.pi, zoom=1.0, shift=0.7)
NOTHING = AugmentationConfig(
    mirror=0, angle=0, zoom=0, shift=0, colour=0, blur=0, occlusion=0, largest=0
)


def joints(body, p: Parameters, perspective=None) -> torch.Tensor:
    """(N, 24, 3) where pictures show the joints, and their depths."""
    transforms, _ = body.pose(quaternion_to_axis_angle(p.pose), p.segment_scale)
    points = body.keypoints(body.joint_names)
    placed = ops.lbs(transforms, points.joint_ids, points.anchors.to(p.scale))
    xy, z = ops.projection(placed, p.rotation.contiguous(), p.scale, p.translation, perspective)
    return torch.cat([xy, z[..., None]], 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_view_that_is_undone_is_the_identity(body, dtype):
    labels = Parameters(*(block.to(dtype) for block in labels_of(some_fits(50, 0), body)))
    views = WILD.views(50, generator(1)).to(dtype)
    assert views.mirror.any() and not views.mirror.all()
    tolerance = {"atol": 1e-12, "rtol": 1e-12} if dtype == torch.float64 else {}
    for first, second in ((views.apply, views.undo), (views.undo, views.apply)):
        for block, label in zip(second(first(labels)), labels, strict=True):
            torch.testing.assert_close(block, label, **tolerance)
    points = torch.randn(50, 7, 2, dtype=dtype, generator=generator(2))
    torch.testing.assert_close(views.place_back(views.place(points)), points)


def test_parameters_move_as_points_do(body):
    labels = labels_of(some_fits(30, 1), body)
    views = WILD.views(30, generator(3))
    before, after = joints(body, labels), joints(body, views.apply(labels))
    expected = torch.where(views.mirror[:, None, None], before[:, list(body.mirror_joints)], before)
    torch.testing.assert_close(after[..., :2], views.place(expected[..., :2]), atol=3e-6, rtol=1e-5)
    depth = views.zoom[:, None] * expected[..., 2]
    torch.testing.assert_close(after[..., 2], depth, atol=3e-6, rtol=1e-5)


def test_views_are_exact_in_perspective(body):
    """A view of a near camera's picture is the picture of a camera with another axis."""
    labels = labels_of(some_fits(30, 2), body)
    views = WILD.views(30, generator(4))
    inverse = torch.rand(30, 1, generator=generator(5)) * 0.3
    point = torch.randn(30, 2, generator=generator(6))
    before = joints(body, labels, torch.cat([inverse, point], 1))
    moved = views.place(point[:, None])[:, 0]
    after = joints(body, views.apply(labels), torch.cat([inverse / views.zoom[:, None], moved], 1))
    expected = torch.where(views.mirror[:, None, None], before[:, list(body.mirror_joints)], before)
    torch.testing.assert_close(after[..., :2], views.place(expected[..., :2]), atol=2e-5, rtol=2e-5)


def test_a_mirrored_view_is_that_of_mirrored_fits(body):
    fits = some_fits(9, 3)
    plain = Views.plain(9)
    mirror = Views(~plain.mirror, plain.angle, plain.zoom, plain.shift)
    found = mirror.apply(labels_of(fits, body))
    for block, expected in zip(found, labels_of(flip_fits(fits, 300.0), body), strict=True):
        torch.testing.assert_close(block, expected, atol=1e-6, rtol=1e-6)


def test_gradients_go_through_what_is_undone(body):
    labels = labels_of(some_fits(4, 4), body)
    blocks = [block.double().requires_grad_() for block in labels]
    views = WILD.views(4, generator(7)).to(torch.float64)

    def undone(*blocks):
        return tuple(views.undo(Parameters(*blocks)))

    assert torch.autograd.gradcheck(undone, blocks)


def pictures_of_dots(points: torch.Tensor, side: int) -> torch.Tensor:
    """(N, 3, side, side) pictures, [-1, 1] across, with a soft dot at each point (N, 2), y up."""
    middles = (torch.arange(side) + 0.5) * 2 / side - 1
    x, y = points[:, :1, None], points[:, 1:, None]
    square = (middles - x) ** 2 + (-middles[:, None] - y) ** 2
    return (-square / (2 * 0.05**2)).exp()[:, None].expand(-1, 3, -1, -1)


def test_pictures_move_as_points_do():
    views = AugmentationConfig(angle=1.0, zoom=0.3, shift=0.2).views(40, generator(8))
    points = 0.6 * torch.rand(40, 2, generator=generator(9)) - 0.3
    crops = pictures_of_dots(points / MARGIN, 192)
    shown = views.show(crops, 128)
    assert shown.shape == (40, 3, 128, 128)
    middles = (torch.arange(128) + 0.5) / 64 - 1
    weight = shown[:, 0] / shown[:, 0].sum((1, 2), keepdim=True)
    found = torch.stack([(weight.sum(1) * middles).sum(1), -(weight.sum(2) * middles).sum(1)], 1)
    torch.testing.assert_close(found, views.place(points[:, None])[:, 0], atol=2e-3, rtol=0)


def test_a_plain_view_is_the_middle_of_the_crop():
    crops = torch.rand(3, 3, 48, 48, generator=generator(10))
    torch.testing.assert_close(Views.plain(3).show(crops, 32), crops[..., 8:40, 8:40])


def test_a_turned_picture_is_opencvs():
    crop = cv2.GaussianBlur(np.random.default_rng(0).random((90, 90, 3), np.float32), (0, 0), 2)
    angle = 0.4
    views = Views(*(field.clone() for field in vars(Views.plain(1)).values()))
    views.angle[:] = angle
    found = views.show(torch.from_numpy(crop).permute(2, 0, 1)[None], 60)[0].permute(1, 2, 0)
    matrix = cv2.getRotationMatrix2D((44.5, 44.5), math.degrees(angle), 1.0)
    expected = cv2.warpAffine(crop, matrix, (90, 90))[15:75, 15:75]
    assert np.abs(found.numpy() - expected).max() < 0.01  # OpenCV rounds places to 1/32 pixel


def test_random_views_have_the_ranges_of_their_configuration():
    config = AugmentationConfig()
    views = config.views(4000, generator(11))
    assert 0.45 < views.mirror.float().mean() < 0.55
    assert views.angle.abs().max() <= 0.5 and views.angle.std() > 0.25
    assert 1 / 1.25 <= views.zoom.min() < 0.82 and 1.22 < views.zoom.max() <= 1.25
    assert 0.09 < views.shift.abs().max() <= 0.1
    same = config.views(4000, generator(11))
    assert all(torch.equal(tensor, vars(same)[name]) for name, tensor in vars(views).items())


def test_no_augmentation_changes_nothing():
    pictures = torch.rand(6, 3, 48, 48, generator=generator(12))
    views = NOTHING.views(6, generator(13))
    torch.testing.assert_close(views.show(pictures, 32), pictures[..., 8:40, 8:40])
    assert torch.equal(NOTHING.looks(6, generator(14)).show(pictures), pictures)
