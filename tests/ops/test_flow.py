"""Rungs 1, 2, 3 and 7 of `flow`.

Reference: closed forms of balls and planes, and loops in NumPy for bodyreg.reference; that for the
op.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from bodyreg import ops, reference
from bodyreg.reference.flow import BACKGROUND, HIDDEN, LEAST, MOST, VISIBLE
from tests.ops.flow_cases import Pairs, loose, pairs_of, seen, turned_sphere

SIZES = [((1, 1), (1, 1)), ((31, 33), (33, 31)), ((33, 1), (2, 57)), ((57, 31), (9, 130))]


# Rung 1: the reference.


def in_numpy(case: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """The definition, pixel by pixel; slopes by the plane through a face, of nearness."""
    face, share, vertices, faces, depth = (x.numpy() for x in case[:5])
    perspective = case.rules["perspective"]
    flow = np.zeros((*face.shape, 2))
    kind = np.full(face.shape, BACKGROUND)
    for place in zip(*np.nonzero(face >= 0), strict=True):
        b, r, c = place
        corner, kind[place] = vertices[b, faces[face[place]]], HIDDEN
        if perspective and (corner[:, 2] >= 0).any():
            continue
        weight = share[place] * (corner[:, 2] if perspective else 1)
        xy = weight @ corner[:, :2] / weight.sum()
        flow[place] = xy - (c + 0.5, r + 0.5)
        plane = np.column_stack([corner[:, :2], np.ones(3)])
        near = -1 / corner[:, 2] if perspective else corner[:, 2]
        back = np.linalg.det(plane) >= 0
        if back or not (0 <= xy[0] < depth.shape[2] and 0 <= xy[1] < depth.shape[1]):
            continue
        gx, gy, level = np.linalg.solve(plane, near)
        here = gx * xy[0] + gy * xy[1] + level
        unit = here**2 if perspective else 1  # -1/z changes by 1/z² for one of z
        seen = depth[b, int(xy[1]), int(xy[0])]
        seen = -1 / seen if perspective else seen
        rise = (abs(gx) + abs(gy)) / 2 / unit
        if (seen - here) / unit <= LEAST + min(rise, MOST):
            kind[place] = VISIBLE
    return flow, kind


@pytest.mark.rung1
@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("reach", [2, 5])
def test_reference_agrees_with_loops(perspective, reach):
    case = loose(2, 30, (21, 19), (17, 23), perspective=perspective, reach=reach).to(torch.float64)
    ours = case.call(reference)
    flow, kind = in_numpy(case)
    assert {*kind.flat} == {VISIBLE, HIDDEN, BACKGROUND}
    np.testing.assert_allclose(ours.flow, flow, atol=1e-9)
    np.testing.assert_array_equal(ours.visibility, kind)


# Rungs 2, 3 and 7.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize(("size", "source_size"), SIZES)
def test_agrees_with_the_reference(backend, size, source_size, perspective, dtype):
    case = loose(3, 60, size, source_size, perspective=perspective).to(dtype)
    expected = case.to(torch.float64).call(reference)
    ours = case.to(dtype, backend.device).call(ops)
    assert ours.flow.dtype == dtype and ours.visibility.dtype == torch.uint8
    # Weights are quotients of products; places far outside of the picture are as large as these.
    extent = 1 + expected.flow.abs().amax(-1, keepdim=True)
    rounding = 2.0 ** (-21 if dtype == torch.float32 else -50)
    # A triangle that nearly reaches the camera is seen as large as one likes.
    close = (ours.flow.cpu() - expected.flow).abs() <= rounding * extent * (9 + 90 * perspective)
    assert close.float().mean() > (0.99 if perspective else 0.999999)
    assert (ours.visibility.cpu() != expected.visibility).sum() <= expected.visibility.numel() / 1e3


@pytest.mark.parametrize("distance", [None, 2.5])
def test_a_turned_ball(backend, distance):
    # What is seen of a ball, and where it is after a turn, follow from the turn alone.
    side, source_side = (65, 97) if backend.name != "emulated" else (25, 33)
    rings = 60 if backend.name != "emulated" else 40
    case, turn = turned_sphere(rings, side, source_side, distance=distance)
    out = case.to(torch.float32, backend.device).call(ops)
    row, column = (case.face[0] >= 0).nonzero(as_tuple=True)
    point = ball_at(column + 0.5, row + 0.5, side, distance)
    known = point.isfinite().all(1)  # the ball of triangles lies within the true one
    place = seen(point @ turn.T, source_side, distance)
    flow = out.flow[0, row, column].cpu()
    expected = place[:, :2] - torch.stack([column, row], -1) - 0.5
    height = point[:, 2] if distance is None else (point * toward(point, distance)).sum(1)
    known &= height > 0.25  # at the rim, a little of depth is many pixels
    assert known.float().mean() > 0.8
    # Triangles lie below the ball, and `raster` rounds to 1/256 pixel; near parts appear larger.
    below = (torch.pi / 2 / rings) ** 2 * 0.45 * source_side  # in both directions together
    larger = 1 if distance is None else (distance + 1) / (distance - 1) / 1.4
    bound = (below + source_side / side / 256) * larger / 0.25
    assert (flow - expected)[known].norm(dim=1).max() < bound
    turned = point @ turn.T
    facing = turned[:, 2] if distance is None else (turned * toward(turned, distance)).sum(1)
    sure = known & (facing.abs() > 0.15)
    kind = out.visibility[0, row, column].cpu()
    assert torch.equal(kind[sure] == VISIBLE, facing[sure] > 0)
    assert 0.1 < (kind[sure] == VISIBLE).float().mean() < 0.9


def toward(point: Tensor, distance: float) -> Tensor:
    """Unit vectors from points of the ball to the camera."""
    way = torch.tensor([0.0, 0, distance]).double() - point
    return way / way.norm(dim=-1, keepdim=True)


def ball_at(x: Tensor, y: Tensor, side: int, distance: float | None) -> Tensor:
    """The points of the unit ball that pixels show (P, 3); NaN beside it."""
    radius = 0.45 * side
    x, y = (x - side / 2) / radius, (side / 2 - y) / radius
    if distance is None:
        return torch.stack([x, y, (1 - x * x - y * y).sqrt()], -1).double()
    tangent = (distance**2 - 1) ** 0.5
    way = torch.stack([x / tangent, y / tangent, -torch.ones_like(x)], -1).double()
    length = way.norm(dim=1)
    half = -way[:, 2] * distance / length
    reach = half - (half**2 - distance**2 + 1).sqrt()
    return way / length[:, None] * reach[:, None] + torch.tensor([0.0, 0, distance])


def plane(slope_x: float, slope_y: float, side: int, level: float = 0.0) -> tuple[Tensor, Tensor]:
    """Two triangles that are more than a picture, front toward the viewer."""
    xy = torch.tensor([[-9.0, -9], [-9, side + 9], [side + 9, side + 9], [side + 9, -9]]).double()
    z = level + slope_x * xy[:, 0] + slope_y * xy[:, 1]
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)
    return torch.cat([xy, z[:, None]], 1)[None], faces


@pytest.mark.parametrize("slope", [(0, 0), (1, 0), (3, -4), (-7, 0.5), (4, 4)])
def test_a_slope_does_not_hide_itself(backend, slope):
    # Between two centres a plane of this slope rises by half the sum of its slopes, up to MOST.
    vertices, faces = plane(*slope, 13)
    shift = torch.tensor([0.49, -0.49, 0])
    for sign in (1, -1):
        moved = vertices + sign * shift
        case = pairs_of(vertices, moved, faces, (13, 13), (13, 13)).to(
            torch.float64, backend.device
        )
        out = case.call(ops)
        assert (out.visibility[:, 1:-1, 1:-1] == VISIBLE).all()
        assert (out.flow - sign * torch.tensor([0.49, -0.49]).to(out.flow)).abs().max() < 1e-12


@pytest.mark.parametrize(("gap", "kind"), [(LEAST - 0.01, VISIBLE), (LEAST + 0.01, HIDDEN)])
def test_what_lies_in_front_hides(backend, gap, kind):
    near, faces = plane(0, 0, 9, gap)
    far, _ = plane(0, 0, 9)
    vertices = torch.cat([far, near], 1)
    both = torch.cat([faces, faces + 4])
    # The target shows the far plane: there the near one is behind it.
    case = pairs_of(vertices * torch.tensor([1.0, 1, -1]), vertices, both, (9, 9), (9, 9))
    out = case.to(torch.float32, backend.device).call(ops)
    assert (out.visibility == kind).all() and out.flow.abs().max() < 1e-5


def test_the_tolerance_is_that_of_the_call(backend):
    near, faces = plane(0, 0, 9, 3.0)
    far, _ = plane(2, 0, 9)
    far = far - torch.tensor([0, 0, 40.0])
    vertices = torch.cat([far, near], 1)
    both = torch.cat([faces, faces + 4])
    for least, most, kind in ((50, 0, VISIBLE), (0, 50, HIDDEN), (20, 0.5, HIDDEN)):
        case = pairs_of(
            vertices * torch.tensor([1.0, 1, -1]), vertices, both, (9, 9), (9, 9),
            least=least, most=most,
        )  # fmt: skip
        assert (case.to(torch.float32, backend.device).call(ops).visibility == kind).all()


def test_the_back_of_a_surface_is_hidden(backend):
    vertices, faces = plane(0, 0, 9)
    mirrored = vertices * torch.tensor([-1.0, 1, 1]) + torch.tensor([9.0, 0, 0])
    case = pairs_of(vertices, mirrored, faces, (9, 9), (9, 9)).to(torch.float32, backend.device)
    out = case.call(ops)
    assert (out.visibility == HIDDEN).all()
    expected = 9 - 2 * (torch.arange(9.0) + 0.5)
    assert torch.allclose(out.flow[0, ..., 0].cpu(), expected.expand(9, 9), atol=1e-5)
    edge_on = vertices * torch.tensor([0.0, 1, 1]) + torch.tensor([4.0, 0, 0])
    case = case._replace(vertices=edge_on.to(case.vertices))
    assert (case.call(ops).visibility == HIDDEN).all()


def test_places_outside_of_the_source_are_hidden_and_have_a_flow(backend):
    vertices, faces = plane(0, 0, 9)
    shift = torch.tensor([3.0, -2, 0])
    case = pairs_of(vertices, vertices + shift, faces, (9, 9), (5, 30))
    out = case.to(torch.float32, backend.device).call(ops)
    assert torch.allclose(out.flow.cpu(), shift[:2].expand(9, 9, 2), atol=1e-5)
    row, column = torch.meshgrid(torch.arange(9) - 2, torch.arange(9) + 3, indexing="ij")
    inside = (row >= 0) & (row < 5) & (column < 30)
    assert torch.equal(out.visibility[0].cpu() == VISIBLE, inside)


@pytest.mark.parametrize("pairs", [0, 1, 3])
@pytest.mark.parametrize("faces", [0, 1])
@pytest.mark.parametrize(
    ("size", "source_size"),
    [((0, 4), (3, 3)), ((4, 0), (3, 3)), ((5, 7), (0, 3)), ((5, 7), (3, 0))],
)
def test_empty(backend, pairs, faces, size, source_size):
    case = loose(pairs, faces, size, source_size, reach=30).to(torch.float32, backend.device)
    out = case.call(ops)
    assert out.flow.shape == (pairs, *size, 2) and out.visibility.shape == (pairs, *size)
    assert torch.equal(out.visibility == BACKGROUND, case.face < 0)
    if 0 in source_size:
        assert (out.visibility != VISIBLE).all()


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("perspective", [False, True])
def test_what_is_not_a_number_is_background(backend, perspective, wrong):
    case = loose(2, 30, (21, 19), (17, 23), perspective=perspective)
    case = case.to(torch.float32, backend.device)
    good = case.call(ops)
    for axis in range(3):
        vertices = case.vertices.clone()
        vertices[0, 3 * 5 + 1, axis] = wrong
        out = case._replace(vertices=vertices).call(ops)
        touched = (case.face == 5) & (torch.arange(2)[:, None, None] == 0).to(case.face.device)
        assert touched.any() and out.flow.isfinite().all()
        if not (perspective and axis == 2):
            assert (out.visibility[touched] == BACKGROUND).all()
        assert (out.flow[touched] == 0).all()
        for ours, expected in zip(out, good, strict=True):
            assert torch.equal(ours[~touched], expected[~touched])
    barycentric = torch.full_like(case.barycentric, wrong)
    out = case._replace(barycentric=barycentric).call(ops)
    assert (out.visibility == BACKGROUND).all() and (out.flow == 0).all()


def test_depths_that_are_not_numbers_hide_nothing(backend):
    case = loose(2, 30, (21, 19), (17, 23)).to(torch.float32, backend.device)
    free = case._replace(depth=torch.full_like(case.depth, -torch.inf)).call(ops)
    out = case._replace(depth=torch.full_like(case.depth, torch.nan)).call(ops)
    assert all(torch.equal(a, b) for a, b in zip(out, free, strict=True))
    covered = case._replace(depth=torch.full_like(case.depth, torch.inf)).call(ops)
    assert (free.visibility == VISIBLE).any() and (covered.visibility != VISIBLE).all()


@pytest.mark.parametrize("z", [0.0, 0.5, 1e30])
def test_a_face_that_reaches_the_camera_is_hidden(backend, z):
    vertices, faces = plane(0, 0, 9, -4)
    for corner in range(3):
        source = vertices.clone()
        source[0, corner, 2] = z
        case = pairs_of(vertices, source, faces[:1], (9, 9), (9, 9), perspective=True)
        out = case.to(torch.float32, backend.device).call(ops)
        assert torch.equal(out.visibility == HIDDEN, case.face.to(backend.device) >= 0)
        assert (out.flow == 0).all()
