"""The tools that make the body, on meshes with known results. They need no MakeHuman data."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from body_maker import islands, thinning, tpose
from body_maker.outer_skin import subdivide


def sphere(steps=12):
    """A quad sphere of radius 0.2 that is symmetric in x, from a cube's grid."""
    grid = np.linspace(-1, 1, steps + 1)
    a, b = np.meshgrid(grid, grid, indexing="ij")
    points, quads = [], []
    index = np.arange((steps + 1) ** 2).reshape(steps + 1, steps + 1)
    cells = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], -1)
    for axis in range(3):
        for sign in (-1, 1):
            side = np.stack([a, b], -1).reshape(-1, 2)
            place = np.insert(side, axis, sign, axis=1)
            outward = sign * (1 if axis != 1 else -1) > 0
            face = cells.reshape(-1, 4) if outward else cells.reshape(-1, 4)[:, ::-1]
            quads.append(face + len(points) * len(side))
            points.append(place)
    points, inverse = np.unique(np.concatenate(points).round(9), axis=0, return_inverse=True)
    points = 0.2 * points / np.linalg.norm(points, axis=1, keepdims=True)
    return points, inverse.reshape(-1)[np.concatenate(quads)]


def test_subdivision_of_a_plane_grid_and_of_a_cube():
    points, quads = sphere(4)
    fine, mix = subdivide(list(quads), len(points))
    np.testing.assert_allclose(mix.sum(1), 1, atol=1e-12)
    smooth = mix @ points
    assert len(fine) == 4 * len(quads)
    radius = np.linalg.norm(smooth, axis=1)
    assert 0.18 < radius.min() < radius.max() < 0.2
    edges = np.sort(np.stack([fine, np.roll(fine, -1, 1)], 2).reshape(-1, 2), 1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    # Every edge point of a cube of side 2 is the mean of its ends and the two face points.
    cube, faces = sphere(1)
    cube = np.sign(cube)
    _, mix = subdivide(list(faces), 8)
    places = {tuple(p) for p in (mix @ cube).round(9).tolist()}
    assert (0.75, 0.75, 0.0) in places
    assert (1.0, 0.0, 0.0) in places
    corner = {tuple(p) for p in np.abs((mix @ cube)[:8]).round(6).tolist()}
    assert corner == {(round(5 / 9, 6),) * 3}


def test_thinning_a_half_sphere():
    points, quads = sphere(16)
    left = thinning.triangulate_left(points, quads)
    middle = np.abs(points[:, 0]) < 1e-9
    half, kept = thinning.thin(points, left, middle, np.full(len(points), 0.04), 400)
    assert 2 * len(kept) - middle[kept].sum() in (399, 400)
    assert (points[kept, 0] >= -1e-9).all()
    corners = points[half]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((normal * corners.sum(1)).sum(1) > 0).all()  # all still face outward
    assert np.linalg.norm(normal, axis=1).sum() > 0.95 * 4 * np.pi * 0.2**2
    edges = np.stack([half, np.roll(half, -1, 1)], 2).reshape(-1, 2)
    _, count = np.unique(np.sort(edges, 1), axis=0, return_counts=True)
    unique = np.unique(np.sort(edges, 1), axis=0)
    assert set(count) == {1, 2}
    assert middle[unique[count == 1]].all()  # the rim is the middle line, and nothing else
    length = np.linalg.norm(np.diff(points[unique], axis=1)[:, 0], axis=1)
    low, high = np.percentile(length, [5, 95])
    assert high / low < 3


def test_flattening_does_not_fold():
    points, quads = sphere(10)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    faces = faces[(points[faces][:, :, 2] > -0.12).all(1)]  # a bowl, more than half a sphere
    used, local = np.unique(faces, return_inverse=True)
    local = local.reshape(-1, 3)
    points = points[used]
    flat = islands.flatten(points, local, np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))
    assert flat.min() >= -1e-12
    assert flat.max() <= 1 + 1e-12
    a, b, c = flat[local].transpose(1, 0, 2)
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert (area > 0).all() or (area < 0).all()


def test_only_discs_are_flattened():
    points, quads = sphere(4)
    closed = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    ring = closed[(np.abs(points[closed][:, :, 2]) < 0.15).all(1)]
    with pytest.raises(RuntimeError, match="no disc"):
        islands.rim(ring)


def test_labels_become_discs():
    points, quads = sphere(12)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    rng = np.random.default_rng(0)
    labels = (points[faces].mean(1)[:, 0] > 0).astype(int)
    labels[rng.random(len(labels)) < 0.08] ^= 1  # islands of the wrong label
    clean = islands.make_discs(labels, faces)
    for label in (0, 1):
        assert len(islands.rim(faces[clean == label])) > 10
    inside = np.abs(points[faces].mean(1)[:, 0]) > 0.08
    assert (clean == (points[faces].mean(1)[:, 0] > 0))[inside].mean() > 0.97


def test_t_pose_leads_back_to_the_a_pose():
    """Skinning from the T-pose back to the A-pose gives the original mesh."""
    from bodyreg.body import PARENTS, Body

    body = Body.default()
    rng = np.random.default_rng(1)
    joints = body.joints + rng.normal(0, 0.01, (24, 3))
    across = {"left": np.array([0, 0.2, 1.0]), "right": np.array([0, 0.3, 1.0])}
    weights = body.dense_weights.astype(np.float64)
    baked, placed = tpose.bake(body.vertices.astype(np.float64), joints, weights, across)
    np.testing.assert_allclose(placed[[18, 20, 22], 1:], placed[[16, 16, 16], 1:], atol=1e-9)
    np.testing.assert_allclose(placed[[4, 7]][:, [0, 2]], placed[[1, 1]][:, [0, 2]], atol=1e-9)
    np.testing.assert_allclose(placed[0], 0)
    for k, parent in enumerate(PARENTS):
        if parent >= 0:
            length = [np.linalg.norm(j[k] - j[parent]) for j in (joints, placed)]
            assert length[0] == pytest.approx(length[1])
    rotations = tpose._rotations(joints, across)
    squares = rotations @ rotations.transpose(0, 2, 1)
    np.testing.assert_allclose(squares, np.tile(np.eye(3), (24, 1, 1)), atol=1e-9)
    back = np.einsum("kcr,vkc->vkr", rotations, baked[:, None] - placed) + joints
    np.testing.assert_allclose((weights[..., None] * back).sum(1), body.vertices, atol=1e-6)
