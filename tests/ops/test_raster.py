"""Rungs 1, 2, 3 and 7. Reference: exact fractions for bodyreg.reference, and that for the op.

Coverage is compared exactly. Which of two faces is nearer is compared where the reference, in
float64, tells their depths apart by more than rounding; the other pixels are counted.
"""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from bodyreg import ops, reference
from bodyreg.reference.raster import Raster
from tests.ops import raster_cases
from tests.ops.raster_cases import SUBPIXELS, coverage, fan, grid, soup, sphere, tangle

EPSILON = {torch.float32: 2.0**-23, torch.float64: 2.0**-52}
# A point so little to the right and so much less down lies on no edge: it is in the face whose left
# or top edge the point itself is on.
RIGHT, DOWN = Fraction(1, 2**90), Fraction(1, 2**190)


def assert_agrees(case: tuple[Tensor, Tensor], height: int, width: int, dtype, device, **rules):
    """The op against the reference; returns the pixels where rounding decides what is nearer."""
    vertices, faces = case
    ours = ops.raster(vertices.to(device, dtype), faces.to(device), height, width, **rules)
    expected = reference.raster(vertices.double(), faces, height, width, **rules)
    ours = Raster(*(x.cpu() for x in ours))
    assert ours.barycentric.dtype == ours.depth.dtype == dtype
    seen = expected.face >= 0
    assert torch.equal(ours.face >= 0, seen)
    assert (ours.depth[~seen] == -torch.inf).all() and (ours.barycentric[~seen] == 0).all()
    # A barycentric is a quotient; a depth adds two products of such with differences of depths.
    rounding = 6 * EPSILON[dtype]
    extent = vertices[..., 2].abs().max() if vertices.numel() else torch.tensor(0.0)
    if rules.get("perspective"):
        extent = expected.depth[seen].square().max() / 0.01 if seen.any() else extent
    near = (ours.depth.double() - expected.depth)[seen].abs()
    assert (near <= rounding * extent.double() + rounding * expected.depth[seen].abs()).all()
    same = ours.face == expected.face
    assert (ours.barycentric.sum(-1) - 1)[seen].abs().max() <= rounding if seen.any() else True
    if not rules.get("perspective"):
        error = (ours.barycentric.double() - expected.barycentric)[same].abs()
        assert (error <= rounding).all()
    return int((~same).sum())


# Rung 1: the reference.


def exactly(vertices: Tensor, faces: Tensor, height: int, width: int):
    """Face and barycentrics of every pixel of one picture, by fractions."""
    corners = (vertices.double() * SUBPIXELS).round().long().tolist()
    face_of, share_of = {}, {}
    for r in range(height):
        for c in range(width):
            point = [
                Fraction(SUBPIXELS * c + SUBPIXELS // 2),
                Fraction(SUBPIXELS * r + SUBPIXELS // 2),
            ]
            best = None
            for number, face in enumerate(faces.tolist()):
                share = solve([corners[v][:2] for v in face], [point[0] + RIGHT, point[1] + DOWN])
                if share is None or min(share) < 0:
                    continue
                share = solve([corners[v][:2] for v in face], point)
                depth = sum(
                    s * Fraction(float(vertices[v, 2])) for s, v in zip(share, face, strict=True)
                )
                if best is None or depth > best:
                    best, face_of[r, c], share_of[r, c] = depth, number, share
    return face_of, share_of


def solve(corners: list, point: list) -> list[Fraction] | None:
    """The barycentrics of a point by Cramer's rule."""
    (ax, ay), (bx, by), (cx, cy) = corners
    whole = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    if whole == 0:
        return None
    x, y = point[0] - ax, point[1] - ay
    second = Fraction(x * (cy - ay) - (cx - ax) * y) / whole
    third = Fraction((bx - ax) * y - x * (by - ay)) / whole
    return [1 - second - third, second, third]


@pytest.mark.rung1
@pytest.mark.parametrize(
    "case",
    [
        soup(1, 40, 9, 12),
        tangle(1, 9, 30, 9, 12),
        grid(4, 9, 12),
        fan(1e6, 9, 12),
        fan(1e15, 9, 12),
    ],
    ids=["soup", "tangle", "grid", "fan", "huge fan"],
)
def test_reference_agrees_with_fractions(case):
    vertices, faces = case
    ours = reference.raster(vertices.double(), faces, 9, 12)
    face_of, share_of = exactly(vertices[0].double(), faces, 9, 12)
    assert len(face_of) > 20
    for r in range(9):
        for c in range(12):
            assert ours.face[0, r, c] == face_of.get((r, c), -1)
            expected = [float(share) for share in share_of.get((r, c), (0, 0, 0))]
            assert ours.barycentric[0, r, c].tolist() == pytest.approx(expected, abs=1e-15)


@pytest.mark.rung1
def test_reference_casts_to_the_dtype_of_the_vertices():
    vertices, faces = soup(2, 30, 9, 12)
    double = reference.raster(vertices.double(), faces, 9, 12)
    single = reference.raster(vertices, faces, 9, 12)
    assert torch.equal(single.face, double.face)
    assert torch.equal(single.barycentric, double.barycentric.float())
    assert torch.equal(single.depth, double.depth.float())


# Rungs 2, 3 and 7: the op.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rules", [{}, {"perspective": True}, {"cull": True}], ids=str)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (31, 33), (33, 1), (57, 31), (257, 130)])
def test_agrees_with_the_reference(backend, height, width, rules, dtype):
    if backend.name == "emulated":
        height, width = min(height, 33), min(width, 33)
    perspective = rules.get("perspective", False)
    cases = [
        soup(2, 120, height, width, size=2.5, perspective=perspective),
        soup(1, 40, height, width, size=30, perspective=perspective, seed=1),
    ]
    if not perspective:
        cases.append(tangle(2, 24, 60, height, width))
    near_ties = sum(
        assert_agrees(case, height, width, dtype, backend.device, **rules) for case in cases
    )
    # Of all pixels, where two depths may lie a millionth apart.
    assert near_ties <= 1 + height * width // 4000


@pytest.mark.parametrize("pictures", [0, 1, 5])
@pytest.mark.parametrize("faces", [0, 1, 33])
@pytest.mark.parametrize(("height", "width"), [(0, 4), (4, 0), (5, 7)])
def test_empty(backend, pictures, faces, height, width):
    case = soup(pictures, faces, height, width)
    assert_agrees(case, height, width, torch.float32, backend.device)


def test_a_face_of_every_size(backend):
    # From nothing to the whole picture: every way of drawing a face.
    side = 40 if backend.name != "emulated" else 24
    for dtype in (torch.float32, torch.float64):
        sizes = 1.18 ** torch.arange(-12, 24)
        vertices, faces = soup(1, 1, side, side, size=1)
        middle = vertices.view(3, 3).mean(0)
        each = (vertices.view(1, 3, 3) - middle) * sizes[:, None, None] + torch.tensor(
            [side / 2, side / 2, 0.0]
        )
        assert_agrees((each.float().contiguous(), faces), side, side, dtype, backend.device)


@pytest.mark.parametrize("reach", [1e2, 4e6, 1e9, 1e15, 1e25, 1e38])
def test_a_fan_covers_every_pixel_once(backend, reach):
    for seed in range(3):
        vertices, faces = (x.to(backend.device) for x in fan(reach, 29, 31, seed))
        for dtype in (torch.float32, torch.float64):
            count = coverage(ops.raster, vertices.to(dtype), faces, 29, 31)
            # Beyond 2^53 pixels vertices move, and only what is right in front stays covered.
            assert (count == 1).all()


@pytest.mark.parametrize("cells", [1, 3, 10, 25])
def test_a_sheet_covers_every_pixel_once(backend, cells):
    for seed in range(2):
        vertices, faces = (x.to(backend.device) for x in grid(cells, 33, 31, seed))
        assert (coverage(ops.raster, vertices, faces, 33, 31) == 1).all()


@pytest.mark.parametrize("rings", [4, 17])
def test_a_sphere_is_watertight(backend, rings):
    side = 65 if backend.name != "emulated" else 25
    vertices, faces = (x.to(backend.device) for x in sphere(rings, side, side))
    front = coverage(ops.raster, vertices, faces, side, side, cull=True)
    both = coverage(ops.raster, vertices, faces, side, side)
    # Convex: every line of sight enters once and leaves once, or misses.
    assert front.max() == 1
    assert torch.equal(both, 2 * front)
    assert front.sum() > 0.5 * side**2
    # And what is seen of the whole is its front.
    seen = ops.raster(vertices, faces, side, side)
    culled = ops.raster(vertices, faces, side, side, cull=True)
    assert all(torch.equal(a, b) for a, b in zip(seen, culled, strict=True))


def test_closed_surfaces_are_entered_as_often_as_left(backend):
    # However they fold: front and back faces cover every pixel equally often.
    side = 65 if backend.name != "emulated" else 17
    vertices, faces = (x.to(backend.device) for x in sphere(9, side, side))
    noise = raster_cases.Draw(3).normal(*vertices.shape).to(vertices)
    crumpled = (vertices + 0.2 * side * noise).contiguous()
    front = coverage(ops.raster, crumpled, faces, side, side, cull=True)
    assert torch.equal(coverage(ops.raster, crumpled, faces, side, side), 2 * front)
    assert front.max() > 5


def test_the_unrounded_faces_differ_in_a_narrow_and_even_band():
    # Rounding moves an edge by less than 1/256 pixel: no pixel farther off changes, and as many
    # are lost as won. Reference: edge functions of the unrounded positions, float64.
    faces, side = 4000, 48
    vertices, _ = soup(1, faces, side, side, size=4, seed=5)
    corners = vertices[0].double().view(faces, 3, 3)[..., :2]
    covered = (
        ops.raster(
            vertices[0].view(faces, 3, 3).contiguous(), torch.tensor([[0, 1, 2]]).int(), side, side
        ).face.flatten(1)
        >= 0
    )
    line = torch.arange(side).double() + 0.5
    centre = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).view(-1, 2)
    distance = torch.full((faces, side * side), torch.inf).double()
    start, end = corners, corners.roll(-1, 1)
    edge = end - start
    turn = (edge[:, 0, 0] * edge[:, 1, 1] - edge[:, 0, 1] * edge[:, 1, 0]).sign()
    for i in range(3):
        to = centre - start[:, i, None]
        away = turn[:, None] * (edge[:, i, None, 0] * to[..., 1] - edge[:, i, None, 1] * to[..., 0])
        distance = distance.minimum(away / edge[:, i].norm(dim=1)[:, None])
    inside = distance > 0
    lost, won = inside & ~covered, covered & ~inside
    assert 30 < lost.sum() + won.sum() < 0.01 * covered.sum()
    assert distance[lost | won].abs().max() < 2**0.5 / SUBPIXELS
    few, many = sorted((int(lost.sum()), int(won.sum())))
    assert many - few <= 4 * (many + few) ** 0.5  # four standard deviations of fair coins


def test_depth_and_barycentrics_are_those_of_the_plane(backend):
    case = soup(2, 60, 31, 33, size=9)
    vertices = case[0].double()
    vertices[..., :2] = (vertices[..., :2] * SUBPIXELS).round() / SUBPIXELS
    vertices[..., 2] = 2 * vertices[..., 0] - 3 * vertices[..., 1] + 1
    vertices, faces = vertices.to(backend.device), case[1].to(backend.device)
    out = ops.raster(vertices, faces, 31, 33)
    picture, row, column = (out.face >= 0).nonzero(as_tuple=True)
    corners = vertices[picture[:, None], faces[out.face[picture, row, column].long()].long()]
    share = out.barycentric[picture, row, column]
    assert (share >= 0).all()
    place = (share[..., None] * corners).sum(1)
    centre = torch.stack([column, row], 1) + 0.5
    assert (place[:, :2] - centre).abs().max() < 1e-12
    plane = 2 * centre[:, 0] - 3 * centre[:, 1] + 1
    assert (out.depth[picture, row, column] - plane).abs().max() < 1e-11


def test_perspective_is_that_of_points_in_space(backend):
    draw = raster_cases.Draw(2)
    points = draw.normal(1, 90, 3) * torch.tensor([1.5, 1.5, 0.8]) + torch.tensor([0, 0, -4.0])
    focal = 40.0
    xy = torch.stack([points[..., 0], -points[..., 1]], -1) * focal / -points[..., 2:] + 16
    xy = (xy * SUBPIXELS).round() / SUBPIXELS
    space = torch.cat([(xy - 16) * -points[..., 2:] / focal * torch.tensor([1, -1.0]),
                       points[..., 2:]], -1)  # fmt: skip
    vertices = torch.cat([xy, points[..., 2:]], -1).to(backend.device)
    faces = torch.arange(90, dtype=torch.int32, device=backend.device).view(-1, 3)
    out = ops.raster(vertices, faces, 32, 32, perspective=True)
    row, column = (out.face[0] >= 0).nonzero(as_tuple=True)
    assert len(row) > 200
    face = out.face[0, row, column].long()
    corners = space.to(backend.device)[0][faces[face].long()]
    place = (out.barycentric[0, row, column][..., None] * corners).sum(1)
    seen = torch.stack([place[:, 0], -place[:, 1]], -1) * focal / -place[:, 2:] + 16
    assert (seen - torch.stack([column, row], 1) - 0.5).abs().max() < 1e-9
    assert (out.depth[0, row, column] - place[:, 2]).abs().max() < 1e-12


def test_faces_at_or_behind_the_camera_are_left_out(backend):
    corners = torch.tensor([[[-9.0, -9, -1], [30, -9, -1], [-9, 30, -1]]])
    face = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=backend.device)
    for dtype in (torch.float32, torch.float64):
        for z, seen in ((-1e-6, True), (0.0, False), (1e-6, False), (5.0, False)):
            corners[0, 1, 2] = z
            vertices = corners.to(backend.device, dtype)
            out = ops.raster(vertices, face, 5, 5, perspective=True).face
            assert (out == (0 if seen else -1)).all()
            assert (ops.raster(vertices, face, 5, 5).face == 0).all()


def test_of_equally_near_faces_the_first_is_seen(backend):
    # Faces of all sizes: small ones are not drawn in their order.
    sizes = {1: 30, 2: 30, 4: 16, 20: 4}
    each = [soup(1, n, 15, 15, size=s, seed=s)[0].view(n, 3, 3) for s, n in sizes.items()]
    corners = torch.cat(each)[torch.randperm(80, generator=raster_cases.Draw(0).generator)]
    corners[..., 2] = 0.3
    faces = torch.arange(240, dtype=torch.int32, device=backend.device).view(-1, 3)
    twice = torch.cat([faces, faces.flip(0), faces[:, [1, 2, 0]]]).contiguous()
    for dtype in (torch.float32, torch.float64):
        vertices = corners.view(1, -1, 3).to(backend.device, dtype)
        out = ops.raster(vertices, twice, 15, 15)
        alone = ops.raster(vertices.view(80, 3, 3), faces[:1], 15, 15).face >= 0
        first = torch.where(alone.any(0), alone.int().argmax(0), -1)
        assert torch.equal(out.face[0], first.int())
        assert (out.depth[0][first >= 0] == vertices[0, 0, 2]).all()


def test_minus_zero_is_as_near_as_zero(backend):
    corners = torch.tensor([[-9.0, -9], [30, -9], [-9, 30]])
    for dtype in (torch.float32, torch.float64):
        for first, second in ((0.0, -0.0), (-0.0, 0.0)):
            depth = torch.tensor([first] * 3 + [second] * 3)[:, None]
            vertices = torch.cat([corners.repeat(2, 1), depth], 1)[None]
            faces = torch.arange(6, dtype=torch.int32, device=backend.device).view(2, 3)
            out = ops.raster(vertices.to(backend.device, dtype), faces, 5, 5)
            assert (out.face == 0).all() and (out.depth == 0).all()


def test_faces_without_area_are_not_seen(backend):
    corners = [[0, 0], [40, 40], [20, 20], [0, 0], [0.001, 30], [0.0015, 4], [5, 5], [5, 5], [9, 1]]
    vertices = torch.tensor([[*corner, 1.0] for corner in corners], device=backend.device)[None]
    faces = torch.arange(9, dtype=torch.int32, device=backend.device).view(3, 3)
    assert (ops.raster(vertices, faces, 33, 33).face == -1).all()


def test_vertices_that_no_face_has_may_be_anywhere(backend):
    vertices, faces = soup(1, 20, 9, 9)
    more = torch.cat([vertices, torch.full((1, 1, 3), 3e38)], 1).to(backend.device)
    out = ops.raster(more.contiguous(), faces.to(backend.device), 9, 9)
    expected = ops.raster(vertices.to(backend.device), faces.to(backend.device), 9, 9)
    assert all(torch.equal(a, b) for a, b in zip(out, expected, strict=True))
