"""Foregrounds, filled backgrounds, composed pictures and textured bodies.

Reference: made people whose masks and colours are known; GLB files opened again by trimesh.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import trimesh

from bodyreg import Body, UserError
from bodyreg.transfer import Appearance, Provenance
from bodyreg.transfer.compositing import before, without_person
from bodyreg.transfer.filling import covering, filled
from bodyreg.transfer.foreground import foreground_of
from bodyreg.transfer.textured import textured, to_glb
from tests.flow.made import in_pictures
from tests.transfer.made import coloured, places, source_of, stripes

FRONT, SIDE, BACK, FULL = range(4)


@pytest.fixture(scope="module")
def views():
    return in_pictures(5151, 2)


def test_filled_keeps_what_is_known_and_reads_nothing_else():
    random = np.random.default_rng(3)
    picture = random.integers(0, 256, (37, 64, 3)).astype(np.uint8)
    known = np.ones((37, 64), bool)
    known[8:20, 10:50] = False
    out = filled(picture, known)
    np.testing.assert_array_equal(out[known], picture[known])
    other = np.where(known[..., None], picture, 255 - picture)
    np.testing.assert_array_equal(filled(other, known), out)
    # One colour everywhere fills with it; without any, grey.
    flat = np.full_like(picture, (10, 200, 60))
    np.testing.assert_array_equal(filled(np.where(known[..., None], flat, 0), known), flat)
    assert (filled(picture, np.zeros_like(known)) == 128).all()
    assert filled(picture[:1, :1], np.zeros((1, 1), bool)).shape == (1, 1, 3)


def test_filled_goes_from_one_side_to_the_other():
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:, :24], picture[:, 72:] = 40, 200
    known = np.zeros((64, 96), bool)
    known[:, :24] = known[:, 72:] = True
    row = filled(picture, known)[32, :, 0].astype(int)
    assert (np.diff(row) >= -2).all() and abs(row[48] - 120) < 25


@pytest.mark.parametrize("size", [(50, 50), (100, 30), (20, 300)])
def test_a_background_covers_any_size(size):
    picture = np.full((40, 90, 3), 7, np.uint8)
    out = covering(picture, *size)
    assert out.shape == (*size, 3) and (out == 7).all()
    assert covering(picture, 40, 90) is picture


def test_the_foreground_of_a_plain_picture(views):
    shown = views[FULL]
    made = coloured(shown, lambda place: np.full_like(place, 40))
    random = np.random.default_rng(4)
    # A person in clothes that are three pixels thick, in front of a bright wall.
    person = cv2.dilate(made.mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    wall = 200 + 6 * random.standard_normal(made.picture.shape)
    dark = 40 + 6 * random.standard_normal(made.picture.shape)
    picture = np.where(person[..., None], dark, wall).astype(np.uint8)
    fineness = abs(shown.figure.camera.weak().pixels_per_metre)
    found = foreground_of(picture, made.mask, fineness)
    assert (found & ~person).sum() == 0
    assert (found & person).sum() > 0.88 * person.sum()  # but for a pixel of the outline
    np.testing.assert_array_equal(foreground_of(picture, made.mask, fineness), found)


def test_a_foreground_of_nothing(views):
    picture = np.zeros((30, 40, 3), np.uint8)
    for silhouette in (np.zeros((30, 40), bool), np.ones((30, 40), bool)):
        np.testing.assert_array_equal(foreground_of(picture, silhouette, 20.0), silhouette)


def test_a_person_before_a_background(views):
    source = source_of(views[FRONT], stripes)
    painting = Appearance(views[0].body, [source]).paint(views[FULL].fits, 256, 256)
    background = np.full((256, 256, 3), (90, 20, 180), np.uint8)
    out = before(background, painting)
    inner = cv2.erode(painting.silhouette.astype(np.uint8), np.ones((3, 3))) > 0
    outer = cv2.dilate(painting.silhouette.astype(np.uint8), np.ones((3, 3))) > 0
    assert np.abs(out.astype(int) - painting.picture)[inner].max() <= 1
    np.testing.assert_array_equal(out[~outer], background[~outer])
    alone = without_person(source.picture, source.foreground)
    kept = cv2.dilate(source.foreground.astype(np.uint8), np.ones((9, 9))) == 0
    np.testing.assert_array_equal(alone[kept], source.picture[kept])
    # Its pictures have one colour beside people.
    assert (alone == (255, 0, 255)).all()


def test_a_smaller_source(views):
    source = source_of(views[FRONT], stripes)
    small = source.zoomed(0.5)
    assert small.picture.shape == (128, 128, 3) and small.fit.frame[0, 2] == 45.0
    truth = coloured(views[FULL], stripes)
    painting = Appearance(views[0].body, [small]).paint(views[FULL].fits, 256, 256)
    visible = (painting.provenance == Provenance.VISIBLE) & truth.mask
    error = np.abs(painting.picture.astype(float) - truth.picture)[visible].mean()
    assert visible.sum() > 1000 and error < 20


def test_a_textured_body_as_glb(views):
    body = views[0].body
    appearance = Appearance(body, [source_of(views[FRONT]), source_of(views[BACK])])
    mesh = textured(appearance, views[FULL].fits, 400)
    assert mesh.texture.shape == (400, 400, 3)
    # Every corner that the sources show has the colour of its place.
    at = np.rint(mesh.uv * [400, -400] + [0, 400] - 0.5).astype(int).clip(0, 399)
    seen = mesh.provenance[at[:, 1], at[:, 0]] == Provenance.VISIBLE
    place = body.vertices[body.charts.vertex] - body.joints[0]
    error = np.linalg.norm(places(mesh.texture[at[:, 1], at[:, 0]]) - place, axis=1)[seen]
    assert seen.mean() > 0.4 and np.median(error) < 0.02
    figure = views[FULL].figure
    np.testing.assert_allclose(
        mesh.vertices, (figure.vertices - figure.joints[0])[body.charts.vertex], atol=0.02
    )
    data = to_glb(mesh)
    assert data == to_glb(textured(appearance, views[FULL].fits, 400))
    opened = trimesh.load(trimesh.util.wrap_as_stream(data), file_type="glb", force="mesh")
    assert len(opened.faces) == len(body.faces)
    np.testing.assert_allclose(
        opened.bounds, [mesh.vertices.min(0), mesh.vertices.max(0)], atol=1e-4
    )
    uv = opened.visual.uv
    assert uv.shape == (len(opened.vertices), 2) and 0 <= uv.min() <= uv.max() <= 1


def test_a_texture_needs_charts(views):
    body = replace(views[0].body, charts=None)
    appearance = Appearance(body, [source_of(views[FRONT])])
    with pytest.raises(UserError, match="no charts for a texture; give SMPL's with --uv"):
        textured(appearance, views[FULL].fits)


def test_a_body_that_does_not_know_its_sides(views):
    body = replace(Body.default(), mirror_vertices=None)
    painting = Appearance(body, [source_of(views[FRONT])]).paint(views[FULL].fits, 256, 256)
    assert Provenance.MIRRORED not in painting.provenance
