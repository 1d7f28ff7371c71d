from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg.body import Body
from bodyreg.ops import raster
from bodyreg.synthetic.looks.look import FARTHEST, drape, look_of
from bodyreg.synthetic.looks.measurements import measure
from bodyreg.synthetic.looks.paint import paint
from bodyreg.synthetic.looks.patterns import PATTERNS, SIDE, sample_colour, sample_print
from bodyreg.synthetic.mesh import Mesh, mesh_of
from bodyreg.synthetic.noise import crease_tile, fractal_tile, sample_tile
from bodyreg.synthetic.people import Person, sample_person

SHAPES = {
    "average": {},
    "child": {"child": 0.9},
    "old": {"old": 1.0, "sex": 1},
    "heavy": {"weight": 1.0, "sex": -1, "sex_weight": -1},
    "tall": {"height": 1.0, "sex": 1},
}


def a_person(shape: str, look: int) -> Person:
    body = Body.default()
    values = np.array([SHAPES[shape].get(name, 0) for name in body.shape_names], np.float32)
    return replace(
        sample_person(body, 0, 0), shape=values, look=look, child=shape == "child",
        body=body.with_shape(values),
    )  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_every_look_suits_every_body(shape):
    for look in range(12):
        person = a_person(shape, look)
        made = look_of(person)
        painted = paint(made, made.table)
        for values in (painted.colour, painted.gloss, painted.relief, made.table):
            assert np.isfinite(values).all()
        assert painted.colour.min() >= 0 and painted.colour.max() <= 300
        assert painted.relief.min() > 0 and painted.relief.max() < 2
        mesh = mesh_of(person.body.faces, len(person.body.vertices))
        draped, normals = drape(made, person.body.vertices, mesh)
        # Smoothing moves thin ends most, and nothing moves far.
        assert np.abs(draped - person.body.vertices).max() < 0.09
        assert made.offset.min() >= 0 and made.offset.max() <= FARTHEST * made.measures.size + 1e-6
        assert np.abs(np.linalg.norm(normals, axis=1) - 1).max() < 1e-3


def test_looks_are_the_persons_own():
    first, again = (sample_person(Body.default(), 3, 4) for _ in range(2))
    other = sample_person(Body.default(), 3, 5)
    one, same, another = (paint(look_of(p), look_of(p).table) for p in (first, again, other))
    assert np.array_equal(one.colour, same.colour)
    assert np.abs(one.colour - another.colour).mean() > 5


def test_most_people_are_dressed_and_none_alike():
    looks = [look_of(a_person("average", number)) for number in range(60)]
    assert sum(look.outfit.shoes is None for look in looks) < 15
    assert len({look.face.skin.tobytes() for look in looks}) == 60
    tops = [look.outfit.top for look in looks]
    assert any(t.sleeve < 0 for t in tops) and any(t.sleeve > 1.8 for t in tops)
    assert any(t.hem < 2.6 for t in tops) and any(t.open > 0 for t in tops)
    assert any(t.print is not None for t in tops) and any(t.buttoned for t in tops)
    ends = [look.outfit.bottom.end for look in looks]
    assert min(ends) < 1 and max(ends) > 2
    hairs = [look.hair for look in looks]
    assert any(h.nape < -1 for h in hairs) and any(h.beard > 0 for h in hairs)


def test_a_face_has_eyes_a_mouth_and_two_equal_halves():
    look = look_of(a_person("average", 7))
    canvas, skin = look.face.canvas.astype(int), look.face.skin
    m = look.measures

    def at(x: float, y: float) -> np.ndarray:
        place = (np.array([x, y]) - look.face.origin) * look.face.scale * [1, -1]
        column, row = place.astype(int)
        return canvas[row - 1 : row + 2, column - 1 : column + 2].reshape(-1, 3)

    for side in (-1, 1):
        assert at(side * m.eye_side, m.eyes[1]).mean(1).min() < 0.5 * skin.mean()
    lips = at(0, m.eyes[1] - 2.2 * m.face_unit).mean(0)
    assert lips[2] / lips.mean() > skin[2] / skin.mean()
    assert np.abs(canvas[:, ::-1] - canvas).mean() < 4


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_are_colours_and_wrap(name):
    for seed in range(6):
        random = np.random.default_rng(seed)
        tile = PATTERNS[name](random, sample_colour(random))
        assert tile.shape == (SIDE, SIDE, 3) and np.isfinite(tile).all()
        assert tile.min() > -20 and tile.max() < 300
        for axis in (0, 1):
            steps = np.abs(np.diff(tile, axis=axis)).mean(tuple({0, 1, 2} - {axis}))
            seam = np.abs(tile.take(0, axis) - tile.take(-1, axis)).mean()
            assert seam <= 1.5 * steps.max() + 3


def test_prints_are_pictures():
    for seed in range(8):
        random = np.random.default_rng(seed)
        printed = sample_print(random, np.array([128.0, 128, 128]))
        assert printed.shape == (SIDE, SIDE, 4) and printed.dtype == np.uint8
        assert 0 < (printed[..., 3] > 0).mean() < 1


def test_no_seam_shows_where_charts_meet():
    """Colours change no more across edges between charts than across other edges nearby."""
    body = Body.default()
    charts, faces = body.charts, body.faces
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    part = np.tile(charts.part, 3)
    order = np.lexsort(edges.T)
    pairs = order.reshape(-1, 2)  # the surface is closed: each edge has two faces
    assert np.array_equal(edges[pairs[:, 0]], edges[pairs[:, 1]])
    seam = part[pairs[:, 0]] != part[pairs[:, 1]]
    centre = np.tile(faces, (3, 1))[pairs]
    for look in range(4):
        made = look_of(a_person("average", look))
        # About a millimetre to each side of the edges' midpoints.
        middle = made.table.T[edges[pairs[:, 0]]].mean(1)
        aside = [0.9 * middle + 0.1 * made.table.T[centre[:, k]].mean(1) for k in (0, 1)]
        first, second = (paint(made, np.ascontiguousarray(a.T)) for a in aside)
        value = [(p.colour.mean(1) * p.relief) for p in (first, second)]
        jump = np.abs(value[0] - value[1])
        assert jump[seam].mean() < 1.6 * jump[~seam].mean() + 1


def test_measures_run_along_the_body():
    m = measure(Body.default())
    joints = Body.default().joints
    assert m.height.min() == 0 and m.height.max() == 6
    hand = m.rest[0] > joints[22][0]
    assert (m.arm[hand] > 2).all()
    assert (m.arm[m.height < 3.5] < 0).all()
    assert m.eye_side > 0.02 and 0.02 < m.face_unit < 0.05


def test_a_body_without_landmarks_has_a_face_too():
    body = replace(Body.default(), landmarks={})
    found, known = measure(body), measure(Body.default())
    assert np.abs(found.eyes - known.eyes).max() < 0.03
    assert abs(found.face_unit - known.face_unit) < 0.01


def test_meshes_give_normals_and_means():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    mesh = Mesh(faces, 4)
    assert np.allclose(mesh.normals(vertices)[0], -np.ones(3) / np.sqrt(3), atol=1e-6)
    assert np.allclose(mesh.smooth(vertices, (0.75,)), vertices.mean(0), atol=1e-7)
    assert mesh_of(faces, 4) is mesh_of(faces, 4)


@pytest.mark.parametrize("tile", [fractal_tile, crease_tile])
def test_noise_wraps_and_is_normal(tile):
    noise = tile()
    assert abs(noise.mean()) < 0.05 and 0.8 < noise.std() < 1.1
    assert np.abs(noise[0] - noise[-1]).mean() < 2 * np.abs(np.diff(noise, axis=0)).mean()


def test_tiles_repeat():
    tile = np.arange(12, dtype=np.float32).reshape(3, 4)
    x, y = np.array([0, 1, 5, -1, 3.5]), np.array([0, 2, 4, -1, 0])
    found = sample_tile(tile, x, y)
    assert np.allclose(found, [0, 9, 5, 11, 1.5], atol=1e-5)
    assert sample_tile(tile, x[:0], y[:0]).shape == (0,)


def test_a_skirt_spans_the_gap_between_the_legs():
    for number in range(200):
        look = look_of(a_person("average", number))
        if look.joined is not None:
            break
    body = Body.default()
    mesh = mesh_of(body.faces, len(body.vertices))
    covered = []
    for made in (look, replace(look, joined=None)):
        vertices = drape(made, body.vertices, mesh)[0] * [100, -100, 1] + [100, 100, 0]
        drawn = raster(torch.from_numpy(vertices.astype(np.float32))[None], mesh.faces, 200, 200)
        covered.append(drawn.face[0].numpy() >= 0)
    more = covered[0] & ~covered[1]
    rows, columns = np.nonzero(more)
    # Between the thighs, and nowhere else.
    assert more.sum() > 20 and np.abs(columns - 99.5).max() < 10 and rows.min() > 100
    assert (covered[1] & ~covered[0]).sum() < 20
    assert look.joined[look.measures.height > 3.2].max() == 0
