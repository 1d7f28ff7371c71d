from __future__ import annotations

from dataclasses import replace

import numpy as np

from bodyreg.synthetic.layout import BACKGROUND, OBJECT, lay_out
from bodyreg.synthetic.places.occluders import (
    KINDS,
    Occluder,
    coverage,
    paint_occluder,
    sample_occluders,
)
from tests.synthetic.scenery import near, scene


def test_nearer_figures_cover_farther_ones():
    crowd = scene(people=3, size=0.45)
    layout = lay_out(crowd)
    first, second, third = layout.alone
    assert (first & second).any()
    assert np.array_equal(layout.owner == 2, third)
    assert np.array_equal(layout.owner == 1, second & ~third)
    assert np.array_equal(layout.owner == 0, first & ~second & ~third)
    assert np.array_equal(layout.owner == BACKGROUND, ~(first | second | third))


def test_alone_is_what_a_scene_of_one_shows():
    crowd = replace(scene(people=2), figures=[*scene(people=2).figures])
    crowd.figures[1] = near(crowd.figures[1], crowd.width)
    layout = lay_out(crowd)
    for number, figure in enumerate(crowd.figures):
        single = lay_out(replace(crowd, figures=[figure]))
        assert np.array_equal(single.owner == 0, layout.alone[number])
        assert np.array_equal(single.surface[0].face, layout.surface[number].face)


def test_the_surface_projects_to_its_pixels():
    crowd = scene(people=1, side=128)
    figure, drawn = crowd.figures[0], lay_out(crowd).surface[0]
    rows, columns = np.nonzero(drawn.face >= 0)
    corners = figure.person.body.faces[drawn.face[rows, columns]]
    points = (drawn.barycentric[rows, columns, :, None] * figure.vertices[corners]).sum(1)
    found = figure.project(points)[:, :2]
    assert np.abs(found - np.column_stack([columns, rows]) - 0.5).max() < 0.02


def test_an_empty_scene_has_a_layout():
    empty = replace(scene(people=1), figures=[])
    layout = lay_out(empty)
    assert (layout.owner == BACKGROUND).all() and layout.alone == []


def test_occluders_cover_what_the_layout_says():
    crowd = scene(people=1, side=64)
    for seed, (kind, shape) in enumerate(KINDS.items()):
        random = np.random.default_rng(seed)
        polygon = shape(random, 64, 64, np.array([16.0, 8, 32, 50])).astype(np.float32)
        occluder = Occluder(kind, polygon, seed)
        covered = lay_out(replace(crowd, occluders=[occluder])).owner == OBJECT
        share = coverage(occluder, 64, 64)
        assert covered.any() and np.array_equal(covered, share >= 0.5)
        picture = np.full((64, 64, 3), 255, np.float32)
        paint_occluder(picture, occluder)
        assert (picture[share > 0.99] != 255).any(-1).all(), kind
        assert (picture[share == 0] == 255).all(), kind
        assert np.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 255


def test_a_polygon_covers_its_area():
    square = np.array([[10.25, 20], [30.25, 20], [30.25, 50], [10.25, 50]], np.float32)
    share = coverage(Occluder("box", square, 0), 64, 64)
    assert share[20:50, 11:30].min() == 1
    # OpenCV also fills the fine pixels that an edge touches.
    assert abs(share.sum() - 600) <= 0.5 * (20 + 30 + 20 + 30)


def test_sampled_occluders_cover_people_and_are_repeatable():
    boxes = np.array([[20.0, 10, 60, 200], [120, 40, 70, 190]])
    many = [sample_occluders(np.random.default_rng(i), 256, 256, boxes) for i in range(60)]
    again = [sample_occluders(np.random.default_rng(i), 256, 256, boxes) for i in range(60)]
    assert 5 < sum(bool(found) for found in many) < 40
    assert {o.kind for found in many for o in found} <= set(KINDS)
    for first, second in zip(many, again, strict=True):
        assert [o.seed for o in first] == [o.seed for o in second]
        assert all(np.array_equal(a.polygon, b.polygon) for a, b in zip(first, second, strict=True))
    assert sample_occluders(np.random.default_rng(0), 256, 256, np.zeros((0, 4))) == []
