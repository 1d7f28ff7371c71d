"""Inputs at the edge: results stay finite and mean what they should.

Reference: closed forms, named in each test.
"""

from __future__ import annotations

import math

import pytest
import torch

from bodyreg import ops, reference
from tests.ops import cases


def gram_schmidt_with_gradient(
    matrix: torch.Tensor, six: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = matrix.clone().requires_grad_()
    rotation = ops.gram_schmidt(leaf, six)
    weights = torch.arange(1.0, 10.0, dtype=matrix.dtype).reshape(3, 3).to(matrix.device)
    (gradient,) = torch.autograd.grad((rotation * weights).sum(), leaf)
    return rotation.detach().cpu(), gradient.cpu()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("six", [False, True])
def test_degenerate_columns_give_no_nan(backend, six, dtype):
    # Reference: the guard. A column without a direction of its own comes out shorter than one.
    eye = torch.eye(3, dtype=dtype)
    zero_first, zero_all, parallel, tiny = eye.clone(), 0 * eye, eye.clone(), 1e-12 * eye
    zero_first[:, 0] = 0
    parallel[:, 1] = parallel[:, 0]
    matrix = torch.stack([zero_first, zero_all, parallel, tiny]).to(backend.device)
    rotation, gradient = gram_schmidt_with_gradient(matrix, six)
    assert rotation.isfinite().all()
    assert gradient.isfinite().all()
    assert (rotation[0, :, 0] == 0).all()
    assert (rotation[1] == 0).all()
    assert (rotation[2, :, 1] == 0).all()
    expected = reference.gram_schmidt(matrix.cpu().double(), six)
    torch.testing.assert_close(rotation.double(), expected, rtol=1e-5, atol=1e-6)


def test_reflections_keep_their_sign_unless_six(backend):
    # Reference: det of the nine-number form is the sign of det of the matrix; of six, it is 1.
    matrix = cases.Draw(2).rotations(8).float()
    matrix[:, :, 2] *= -1
    matrix = matrix.to(backend.device)
    nine = torch.linalg.det(ops.gram_schmidt(matrix))
    six = torch.linalg.det(ops.gram_schmidt(matrix, six=True))
    torch.testing.assert_close(nine, -torch.ones_like(nine))
    torch.testing.assert_close(six, torch.ones_like(six))


def test_six_ignores_the_third_column(backend):
    # Reference: its own definition.
    matrix = cases.Draw(4).normal(5, 3, 3).to(backend.device)
    changed = matrix.clone()
    changed[:, :, 2] = math.nan
    rotation, gradient = gram_schmidt_with_gradient(matrix, True)
    same, same_gradient = gram_schmidt_with_gradient(changed, True)
    assert torch.equal(rotation, same)
    assert torch.equal(gradient, same_gradient)
    assert (gradient[:, :, 2] == 0).all()


def test_without_a_focal_length_the_principal_point_is_not_seen(backend):
    # Reference: the call without perspective, bit for bit.
    case = cases.projection_case(5, 40).to(torch.float32, backend.device)
    weak = case.arguments[4] * torch.tensor([0.0, 1, 1], device=backend.device)
    weak = case.with_argument(4, weak).results(ops)
    plain = cases.Case("projection", case.arguments[:4], (0, 1, 2, 3)).results(ops)
    cases.assert_same_bits(weak[:6], plain)


def test_points_at_and_behind_the_camera_are_shown_far_out(backend):
    # Reference: the closed form, X + φ z / 0.1 (X - c), and its derivatives by z, φ and c.
    def leaf(*values):
        return torch.tensor(values, dtype=torch.float64, device=backend.device).requires_grad_()

    focal, xy, centre = 4.0, (0.5, -1.0), (0.25, 0.5)
    for z in (3.7, focal, 2 * focal, 1e6):
        points, translation = leaf([[0.0, 0.0, z]]), leaf(xy)
        perspective = leaf((1 / focal, *centre))
        eye = torch.eye(3, dtype=torch.float64, device=backend.device)[None]
        seen, depth = ops.projection(points, eye, leaf(1.0), translation, perspective)
        m = 10 * z / focal
        shift = [xy[i] - centre[i] for i in range(2)]
        expected = torch.tensor([[[xy[i] + m * shift[i] for i in range(2)]]]).double()
        torch.testing.assert_close(seen.cpu(), expected, rtol=1e-12, atol=0)
        assert depth.item() == z
        slopes = torch.autograd.grad(seen[..., 0].sum(), (points, translation, perspective))
        for ours, right in zip(
            slopes,
            (
                [[[1 + m, 0, 10 / focal * shift[0]]]],
                [[1 + m, 0]],
                [[10 * z * shift[0], -m, 0]],
            ),
            strict=True,
        ):
            right = torch.tensor(right, dtype=torch.float64)
            torch.testing.assert_close(ours.cpu(), right, rtol=1e-12, atol=1e-12)


def test_a_point_that_comes_near_the_camera_does_not_jump(backend):
    # Reference: the two sides of a tenth of the distance.
    z = torch.tensor([[3.6 - 1e-9], [3.6 + 1e-9]], dtype=torch.float64)
    points = torch.nn.functional.pad(z[..., None], (2, 0)).to(backend.device)
    eye = torch.eye(3, dtype=torch.float64).repeat(2, 1, 1).to(backend.device)
    ones = torch.ones(2, dtype=torch.float64, device=backend.device)
    perspective = torch.tensor([[0.25, 0, 0]] * 2, dtype=torch.float64, device=backend.device)
    (near, nearer), _ = ops.projection(points, eye, ones, torch.stack([ones, ones], 1), perspective)
    torch.testing.assert_close(near, nearer, rtol=1e-6, atol=0)


@pytest.mark.parametrize("place", range(5))
def test_a_camera_or_point_that_is_not_a_number_stays_in_its_person(backend, place):
    # Reference: the results without it.
    case = cases.projection_case(5, 40).to(torch.float32, backend.device)
    clean = case.results(ops)
    broken = case.arguments[place].clone()
    broken[2] = math.nan
    others = [0, 1, 3, 4]
    for ours, expected in zip(case.with_argument(place, broken).results(ops), clean, strict=True):
        assert torch.equal(ours[others], expected[others])


def test_the_rest_pose(backend):
    # Reference: nothing moves, so transforms are the identity and positions the rest joints.
    rest = cases.Draw(5).normal(24, 3).float().to(backend.device)
    eye = torch.eye(3, device=backend.device).repeat(2, 24, 1, 1)
    ones = torch.ones(2, 24, device=backend.device)
    transforms, positions = ops.kinematics(eye, ones, rest, cases.SMPL_PARENTS)
    torch.testing.assert_close(transforms[..., :3], eye, rtol=0, atol=0)
    assert transforms[..., 3].abs().max() < 1e-6
    torch.testing.assert_close(positions, rest.expand(2, 24, 3), rtol=0, atol=1e-6)


def test_a_scale_of_zero(backend):
    # Reference: a segment of scale 0 shrinks to its joint, and its children's joints onto it.
    case = cases.kinematics_case(2)
    case.arguments[1][:, 1] = 0
    case = case.to(torch.float64, backend.device)
    transforms, positions = case.call(ops)
    assert (transforms[:, 1, :, :3] == 0).all()
    torch.testing.assert_close(positions[:, 4], positions[:, 1])
    assert all(x.isfinite().all() for x in case.results(ops))


def test_padding_adds_nothing(backend):
    # Reference: the same points without their padding. Exactly, not to a tolerance.
    for shared in ("both", "none"):
        case = cases.lbs_case(3, 40, influences=2, shared=shared).to(torch.float32, backend.device)
        transforms, ids, anchors = case.arguments
        padded_ids = torch.cat([ids, torch.zeros_like(ids)], -1)
        padded_anchors = torch.cat([anchors, torch.zeros_like(anchors)], -2)
        padded = ops.lbs(transforms, padded_ids, padded_anchors)
        assert torch.equal(padded, ops.lbs(transforms, ids, anchors))


@pytest.mark.parametrize("points", [0, 5])
def test_no_evidence_is_no_loss(backend, points):
    # Reference: an empty sum.
    case = cases.correspondence_case(3, points).to(torch.float32, backend.device)
    case = case.with_argument(7, torch.zeros_like(case.arguments[7]))
    assert all((x == 0).all() for x in case.results(ops))


def test_far_outliers_saturate(backend):
    # Reference: ρ(q) -> width² as q -> ∞, and its slope -> 0.
    case = cases.correspondence_case(3, 1, width=0.5)
    case = case.with_argument(6, torch.full_like(case.arguments[6], 1e7))
    case = case.with_argument(7, torch.ones_like(case.arguments[7]))
    loss, *gradients = case.to(torch.float32, backend.device).results(ops)
    torch.testing.assert_close(loss.cpu(), torch.full((3,), 0.25))
    assert all(gradient.abs().max() < 1e-6 for gradient in gradients)


@pytest.mark.rung2
def test_joint_ids_out_of_range_are_an_error_on_the_cpu():
    for wrong in (-1, 24, -(2**31), 2**31 - 1):
        case = cases.lbs_case(2, 40).to(torch.float32)
        case.arguments[1][7, 2] = wrong
        with pytest.raises(RuntimeError, match=rf"lbs: joint_ids: expected .*24\), got {wrong}$"):
            case.call(ops)
        case = cases.correspondence_case(2, 40).to(torch.float32)
        case.arguments[4][1, 7, 2] = wrong
        with pytest.raises(RuntimeError, match=rf"correspondence: joint_ids: .* got {wrong}$"):
            case.call(ops)


@pytest.mark.parametrize("name", ["emulated", "cuda"])
def test_joint_ids_out_of_range_are_nan_on_a_device(name):
    from tests.ops.backends import CUDA, EMULATED

    backend = EMULATED if name == "emulated" else CUDA
    with backend.active():
        for wrong in (-1, 24, -(2**31), 2**31 - 1):
            case = cases.lbs_case(2, 40).to(torch.float32, backend.device)
            clean = ops.lbs(*case.arguments)
            case.arguments[1][7, 2] = wrong
            case.arguments[2][7, 2] = 1.0  # not padding
            points = ops.lbs(*case.arguments)
            assert points[:, 7].isnan().all()
            others = [i for i in range(40) if i != 7]
            assert torch.equal(points[:, others], clean[:, others])
