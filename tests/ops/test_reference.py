"""Rung 1. Reference: closed forms, and loops in NumPy that share no line with the package."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bodyreg import reference
from tests.ops import cases
from tests.ops.cases import SMPL_PARENTS, Draw

pytestmark = pytest.mark.rung1


def arrays(case: cases.Case) -> list:
    return [a.numpy() if isinstance(a, torch.Tensor) else a for a in case.arguments]


def close(ours: torch.Tensor, expected) -> None:
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=1e-12)


def test_kinematics_follows_the_chain_joint_by_joint():
    case = cases.kinematics_case(5, shared=False)
    rotations, scale, rest, parents = arrays(case)
    transforms, positions = case.call(reference)
    for b in range(5):
        world, place = {}, {}
        for k, q in enumerate(parents):
            if q < 0:
                world[k], place[k] = rotations[b, k], rest[b, k]
            else:
                place[k] = place[q] + world[q].dot(scale[b, q] * (rest[b, k] - rest[b, q]))
                world[k] = world[q].dot(rotations[b, k])
            linear = scale[b, k] * world[k]
            close(transforms[b, k, :, :3], linear)
            close(transforms[b, k, :, 3], place[k] - linear.dot(rest[b, k]))
            close(positions[b, k], place[k])


def test_kinematics_at_rest_is_the_identity():
    rest = Draw(1).normal(24, 3)
    eye = torch.eye(3, dtype=torch.float64).expand(2, 24, 3, 3)
    ones = torch.ones(2, 24, dtype=torch.float64)
    transforms, positions = reference.kinematics(eye, ones, rest, SMPL_PARENTS)
    close(transforms[..., :3], eye.numpy())
    close(transforms[..., 3], np.zeros((2, 24, 3)))
    close(positions, rest.expand(2, 24, 3).numpy())


def test_a_scale_moves_children_and_does_not_scale_them():
    # A straight chain along x, one unit a bone; the middle segment is twice as large.
    rest = torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]], dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64).expand(1, 3, 3, 3)
    scale = torch.tensor([[1.0, 2.0, 1.0]], dtype=torch.float64)
    transforms, positions = reference.kinematics(eye, scale, rest, (-1, 0, 1))
    close(positions[0, :, 0], [0, 1, 3])
    close(transforms[0, :, 0, 0], [1, 2, 1])


def test_lbs_is_a_weighted_sum():
    case = cases.lbs_case(3, 17, shared="none")
    transforms, ids, anchors = arrays(case)
    (points,) = case.call(reference)
    for b in range(3):
        for i in range(17):
            expected = sum(transforms[b, ids[b, i, k]].dot(anchors[b, i, k]) for k in range(4))
            close(points[b, i], expected)


def test_lbs_shared_forms_agree_with_copies():
    for shared in ("both", "ids"):
        case = cases.lbs_case(3, 17, shared=shared)
        transforms, ids, anchors = case.arguments
        ids = ids.expand(3, 17, 4)
        anchors = anchors.expand(3, 17, 4, 4)
        close(case.call(reference)[0], reference.lbs(transforms, ids, anchors).numpy())


def test_projection_is_a_pinhole_camera():
    # In metres: the camera is at the origin and looks along -z, the picture is at its focal length.
    case = cases.projection_case(7, 50)
    points, rotation, scale, translation, perspective = arrays(case)
    xy, depth = case.call(reference)
    near = 0
    for b in range(7):
        for i in range(50):
            seen = scale[b] * rotation[b].dot(points[b, i])
            close(depth[b, i], seen[2])
            weak = seen[:2] + translation[b]
            inverse_focal, centre = perspective[b, 0], perspective[b, 1:]
            if inverse_focal == 0:
                close(xy[b, i], weak)
                continue
            focal = 1 / inverse_focal
            pelvis = np.append((translation[b] - centre) / scale[b], -focal / scale[b])
            place = pelvis + rotation[b].dot(points[b, i])
            if -place[2] >= 0.1 * -pelvis[2]:
                close(xy[b, i], centre + focal * place[:2] / -place[2])
            else:
                near += 1
                close(xy[b, i], centre + (weak - centre) * (1 + seen[2] / (0.1 * focal)))
    assert near > 5


def test_projection_without_perspective_is_weak():
    case = cases.projection_case(6, 5)
    weak = case.with_argument(4, torch.cat([torch.zeros(6, 1), torch.randn(6, 2)], 1).double())
    alone = cases.Case("projection", case.arguments[:4], ())
    for ours, expected in zip(alone.call(reference), weak.call(reference), strict=True):
        close(ours, expected.numpy())


@pytest.mark.parametrize("six", [False, True])
def test_gram_schmidt_orthonormalises_and_keeps_the_flag(six):
    case = cases.gram_schmidt_case(257, six=six)
    matrix = case.arguments[0]
    (rotation,) = case.call(reference)
    close(rotation.mT @ rotation, np.broadcast_to(np.eye(3), (257, 3, 3)))
    # The first k columns span what the first k columns of the matrix span, in the same direction.
    triangular = rotation.mT @ matrix
    lower = torch.tril(triangular, -1)
    if six:
        lower[:, 2, :] = 0
        close(torch.linalg.det(rotation), np.ones(257))
    else:
        close(torch.linalg.det(rotation), torch.linalg.det(matrix).sign().numpy())
    close(lower, np.zeros((257, 3, 3)))
    assert (triangular.diagonal(dim1=1, dim2=2)[:, : 2 if six else 3] > 0).all()


def test_correspondence_is_a_weighted_sum_of_squares():
    for width in (math.inf, 0.7):
        case = cases.correspondence_case(3, 7, width=width)
        transforms, rotation, scale, translation, ids, anchors, targets, weights, _ = arrays(case)
        (loss,) = case.call(reference)
        for b in range(3):
            expected = 0.0
            for i in range(7):
                v = sum(transforms[b, ids[b, i, k]].dot(anchors[b, i, k]) for k in range(4))
                seen = scale[b] * rotation[b].dot(v)[:2] + translation[b]
                q = ((seen - targets[b, i]) ** 2).sum()
                if width < math.inf:
                    q = width**2 * q / (width**2 + q)
                expected += weights[b, i] * q
            close(loss[b], expected)
