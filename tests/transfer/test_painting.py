"""Paintings of made people.

Reference: the same colours drawn on the made body in the target's pose; colours that are places of
the body tell where a painting has them from.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from bodyreg.transfer import Appearance, Provenance, Source
from tests.flow.made import Shown, in_pictures
from tests.flow.test_bodies import truth_of
from tests.transfer.made import coloured, places, positions, source_of, stripes

FRONT, SIDE, BACK, FULL = range(4)
STEP = 2.6 / 255
"""The largest distance between two colours of `positions`, metres."""


@pytest.fixture(scope="module", params=[(0, (256, 256), None), (1, (200, 230), 500.0)])
def views(request) -> list[Shown]:
    person, size, focal = request.param
    return in_pictures(5151, person, size, focal)


def painted(sources: list[Source], target: Shown, body=None):
    appearance = Appearance(target.body, sources)
    return appearance.paint(target.fits, target.height, target.width)


@pytest.mark.parametrize("view", range(5))
def test_a_picture_against_itself(views, view):
    shown = views[view]
    source = source_of(shown, stripes)
    painting = painted([source], shown)
    assert (painting.silhouette ^ source.foreground).sum() < 0.01 * source.foreground.sum()
    visible = painting.provenance == Provenance.VISIBLE
    # Places beside a nearer part are not trusted.
    assert visible[source.foreground].mean() > 0.8
    inner = visible & (cv2.erode(source.foreground.astype(np.uint8), np.ones((3, 3))) > 0)
    error = np.abs(painting.picture.astype(int) - source.picture)[inner]
    assert inner.sum() > 0.7 * visible.sum()
    assert (error <= 1).mean() > 0.99 and error.mean() < 0.1
    assert (painting.picture[~painting.silhouette] == 0).all()


@pytest.mark.parametrize(("source", "target"), [(FRONT, FULL), (FULL, SIDE), (SIDE, BACK)])
def test_patterns_are_kept(views, source, target):
    truth = coloured(views[target], stripes)
    painting = painted([source_of(views[source], stripes)], views[target])
    visible = (painting.provenance == Provenance.VISIBLE) & truth.mask
    error = np.abs(painting.picture.astype(float) - truth.picture)[visible].mean()
    flat = truth.picture[truth.mask].mean(0)
    assert error < 13 < 0.25 * np.abs(truth.picture - flat)[visible].mean()


@pytest.mark.parametrize(("source", "target"), [(FRONT, FULL), (FULL, SIDE), (SIDE, BACK)])
def test_provenance_and_places(views, source, target):
    truth = truth_of(views[source], views[target])
    shown = coloured(views[target], positions)
    painting = painted([source_of(views[source])], views[target])
    kind, read = painting.provenance, places(painting.picture)
    visible = (kind == Provenance.VISIBLE)[truth.inner]
    assert (truth.kind[truth.inner] == 0)[visible].mean() > 0.98
    # The others are beside a nearer part, or much more oblique than in the target.
    assert visible[truth.kind[truth.inner] == 0].mean() > 0.75
    both = painting.silhouette & shown.mask

    def apart(kind_, expected):
        there = both & (kind == kind_)
        return np.linalg.norm(read - expected, axis=-1)[there]

    visible = apart(Provenance.VISIBLE, shown.place)
    assert np.median(visible) < STEP and np.quantile(visible, 0.95) < 3 * STEP
    other_side = shown.place * [-1, 1, 1]
    mirrored = apart(Provenance.MIRRORED, other_side)
    # Where the source sees it obliquely, a pixel is centimetres.
    assert len(mirrored) > 30 and np.median(mirrored) < 2 * STEP
    assert np.quantile(mirrored, 0.9) < 0.25
    # What stands for a place is not far from it, on one of the body's sides.
    through = apart(Provenance.THROUGH, shown.place)
    assert len(through) > 50 and np.quantile(through, 0.9) < 0.3
    own, other = (apart(Provenance.DIFFUSED, place) for place in (shown.place, other_side))
    assert len(own) > 50 and np.quantile(np.minimum(own, other), 0.9) < 0.4


def test_no_face_on_the_back_of_a_head(views):
    source, target = views[FRONT], views[BACK]
    painting = painted([source_of(source)], target)
    shown = coloured(target, positions)
    head = shown.mask & (shown.place[..., 1] > 0.62) & (abs(shown.place[..., 0]) < 0.3)
    kind = painting.provenance[head]
    assert (kind != Provenance.THROUGH).all() and (kind == Provenance.UNSEEN).mean() > 0.1
    # The trunk's back is the front's, seen through.
    trunk = shown.mask & (abs(shown.place[..., 1] - 0.25) < 0.1) & (abs(shown.place[..., 0]) < 0.1)
    assert (painting.provenance[trunk] == Provenance.THROUGH).mean() > 0.5


def test_pixels_outside_of_the_foreground_are_never_read(views):
    source, target = source_of(views[FRONT]), views[FULL]
    hole = source.foreground.copy()
    row, column = np.argwhere(hole).mean(0).astype(int)
    hole[row - 12 : row + 12, column - 12 : column + 12] = False
    expected = painted([replace(source, foreground=hole)], target)
    noise = np.random.default_rng(9).integers(0, 256, source.picture.shape)
    other = np.where(hole[..., None], source.picture, noise)
    found = painted([replace(source, picture=other.astype(np.uint8), foreground=hole)], target)
    np.testing.assert_array_equal(found.picture, expected.picture)
    whole = painted([source], target)
    lost = (whole.provenance == Provenance.VISIBLE) & (expected.provenance != Provenance.VISIBLE)
    assert lost.sum() > 100


def test_several_sources(views):
    front, back, target = source_of(views[FRONT]), source_of(views[BACK]), views[SIDE]
    both = painted([front, back], target)
    for alone in (painted([front], target), painted([back], target)):
        seen = alone.provenance == Provenance.VISIBLE
        now = both.provenance == Provenance.VISIBLE
        assert (seen & ~now).sum() < 0.01 * seen.sum() and now.sum() > seen.sum()
    exchanged = painted([back, front], target)
    np.testing.assert_array_equal(exchanged.provenance, both.provenance)
    assert np.abs(exchanged.picture.astype(int) - both.picture).max() <= 1
    shown = coloured(target, positions)
    visible = (both.provenance == Provenance.VISIBLE) & shown.mask
    error = np.linalg.norm(places(both.picture) - shown.place, axis=-1)[visible]
    assert np.median(error) < STEP


def test_the_finer_source_weighs_more(views):
    fine = source_of(views[FRONT], lambda place: np.full_like(place, 200))
    fit, half = fine.fit, np.float32(0.5)
    camera = {} if fit.focal is None else {"focal": fit.focal * half}
    if camera:
        camera["principal_point"] = fit.principal_point * half
    coarse = Source(
        np.full_like(fine.picture[::2, ::2], 20),
        fine.foreground[::2, ::2],
        replace(fit, frame=fit.frame * half, **camera),
    )
    value = painted([coarse, fine], views[FRONT])
    visible = value.provenance == Provenance.VISIBLE
    # Half as fine: one pixel for four, and the square of that is the weight.
    assert abs(np.median(value.picture[visible]) - (16 * 200 + 20) / 17) <= 1
    assert value.picture[visible].min() >= 20 and value.picture[visible].max() <= 200


def test_nothing_is_seen(views):
    source = source_of(views[FRONT])
    blind = replace(source, foreground=np.zeros_like(source.foreground))
    painting = painted([blind], views[SIDE])
    assert set(np.unique(painting.provenance)) == {Provenance.UNSEEN, Provenance.BACKGROUND}
    assert (painting.picture[painting.silhouette] == 128).all()


def test_same_input_same_bits(views):
    sources = [source_of(views[FRONT]), source_of(views[BACK])]
    appearance = Appearance(views[0].body, sources)
    first = [appearance.paint(v.fits, v.height, v.width) for v in views]
    again = Appearance(views[0].body, sources)
    for view, one in reversed(list(zip(views, first, strict=True))):
        two = again.paint(view.fits, view.height, view.width)
        np.testing.assert_array_equal(one.picture, two.picture)
        np.testing.assert_array_equal(one.provenance, two.provenance)


def test_a_mirrored_fit(views):
    # Both sides of everything exchanged, in the source and in the target: the same painting.
    if views[0].near:
        return
    source, target = source_of(views[FRONT]), views[FULL]
    expected = painted([source], target)
    mirror = np.diag([-1.0, 1, 1]).astype(np.float32)
    width = source.picture.shape[1]

    def flipped(fits):
        frame = fits.frame.copy()
        frame[:, 0] = width - frame[:, 0]
        turned = (mirror @ fits.rotation).astype(np.float32)
        return replace(
            fits, frame=frame, rotation=turned, translation=fits.translation * np.float32([-1, 1])
        )

    other = Source(source.picture[:, ::-1], source.foreground[:, ::-1], flipped(source.fit))
    appearance = Appearance(target.body, [other])
    found = appearance.paint(flipped(target.fits), target.height, target.width)
    same = found.provenance[:, ::-1] == expected.provenance
    assert same.mean() > 0.998
    visible = same & (expected.provenance == Provenance.VISIBLE)
    difference = found.picture[:, ::-1].astype(int) - expected.picture
    assert np.abs(difference)[visible].mean() < 0.5


def test_clothes_have_volume(views):
    shown = views[FULL]
    source = source_of(shown)
    bare = Appearance(shown.body, [source])
    # The outline is at most half a pixel beside the body.
    fineness = abs(shown.figure.camera.weak().pixels_per_metre)
    assert np.abs(bare.volume).max() < 2 / fineness
    reach = 5
    dressed = cv2.dilate(source.foreground.astype(np.uint8), np.ones((2 * reach + 1,) * 2)) > 0
    appearance = Appearance(shown.body, [replace(source, foreground=dressed)])
    trunk = np.isin(shown.body.segment, [0, 3, 6, 9])
    assert abs(np.median(appearance.volume[trunk]) * fineness - reach) < 1.5
    painting = appearance.paint(shown.fits, shown.height, shown.width)
    overlap = (painting.silhouette & dressed).sum() / (painting.silhouette | dressed).sum()
    bare = (source.foreground & dressed).sum() / dressed.sum()
    assert overlap > bare + 0.1
