"""Flow between fits of made people.

Reference: displacements by the made camera, and rays cast by NumPy (ray_casts.py), float64. The
tolerances of `ops.flow` were chosen on people of other seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from bodyreg.data import Fits
from bodyreg.flow import between
from bodyreg.reference.flow import BACKGROUND, HIDDEN, VISIBLE
from tests.flow.made import Shown, in_pictures
from tests.flow.ray_casts import RayCaster

SEED = 4711
CASES = [(0, (256, 256), None), (1, (200, 230), 500.0)]


@dataclass(frozen=True, eq=False)
class Truth:
    """What rays say of a pair.

    Attributes:
        seen: (H, W) bool, the target shows the body.
        flow: (H, W, 2) pixels.
        kind: (H, W) as of `ops.flow`.
    """

    seen: np.ndarray
    flow: np.ndarray
    kind: np.ndarray

    @property
    def inner(self) -> np.ndarray:
        """(H, W) bool: pixels of the body whose eight neighbours have the same kind."""
        padded = np.pad(self.kind, 1, constant_values=BACKGROUND)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
        return self.seen & (windows == self.kind[..., None, None]).all((-1, -2))


def truth_of(source: Shown, target: Shown) -> Truth:
    faces = source.body.faces
    row, column = np.indices((target.height, target.width))
    centres = np.stack([column, row], -1).reshape(-1, 2) + 0.5
    face, share, _ = caster(target, faces).at(centres)
    seen = face >= 0
    corners, share = faces[face[seen]], share[seen]
    if target.near:  # from the picture to space
        share = share / target.figure.project(target.figure.vertices)[corners, 2]
        share /= share.sum(1, keepdims=True)
    point = (share[..., None] * source.figure.vertices[corners].astype(np.float64)).sum(1)
    place = source.figure.project(point)
    cast = caster(source, faces)
    near = -1 / place[:, 2] if source.near else place[:, 2]
    _, _, nearest = cast.at(place[:, :2])
    # Metres of depth; its own surface is as near, but for rounding.
    hidden = nearest > near + (1e-5 * near**2 if source.near else 1e-5)
    inside = (place[:, :2] >= 0) & (place[:, :2] < [source.width, source.height])
    flow, kind = np.zeros((len(face), 2)), np.full(len(face), BACKGROUND)
    flow[seen] = place[:, :2] - centres[seen]
    kind[seen] = np.where(hidden | ~inside.all(1), HIDDEN, VISIBLE)
    shape = (target.height, target.width)
    return Truth(seen.reshape(shape), flow.reshape(*shape, 2), kind.reshape(shape))


def caster(shown: Shown, faces: np.ndarray) -> RayCaster:
    return RayCaster(shown.figure.project(shown.figure.vertices), faces, shown.near)


def flow_of(source: Shown, target: Shown, **options):
    found = between(
        source.body,
        source.fits,
        target.fits,
        (target.height, target.width),
        (source.height, source.width),
        **options,
    )
    return found.flow[0].numpy(), found.visibility[0].numpy()


@pytest.fixture(scope="module", params=CASES, ids=["distant", "near"])
def views(request) -> list[Shown]:
    person, size, focal = request.param
    return in_pictures(SEED, person, size, focal)


@pytest.mark.parametrize(("source", "target"), [(0, 3), (3, 2), (2, 4)])
def test_of_made_people(views, source, target):
    source, target = views[source], views[target]
    truth = truth_of(source, target)
    flow, kind = flow_of(source, target)
    # `raster` rounds to 1/256 pixel: outlines may differ by a pixel of a hundred.
    both = truth.seen & (kind != BACKGROUND)
    assert (truth.seen ^ (kind != BACKGROUND)).sum() < 0.003 * truth.seen.sum()
    error = np.linalg.norm(flow - truth.flow, axis=-1)[both]
    assert np.quantile(error, 0.999) < 0.1 and error.mean() < 0.01
    right = kind == truth.kind
    assert truth.inner.sum() > 0.7 * truth.seen.sum()
    assert right[truth.inner].mean() > 0.99 and right[truth.seen].mean() > 0.98


@pytest.mark.parametrize("view", range(5))
def test_a_picture_against_itself(views, view):
    flow, kind = flow_of(views[view], views[view])
    assert np.abs(flow).max() < 0.01
    # The outline may show a face that is edge-on, and turned away after rounding.
    assert (kind == HIDDEN).sum() <= 0.002 * (kind != BACKGROUND).sum()


def test_a_moved_picture(views):
    # The same body 30 pixels to the right and 20 up in a larger picture: half of that is seen.
    source = views[0]
    moved = replace(source.fits, frame=source.fits.frame + np.float32([30, -20, 0]))
    if source.near:
        moved.principal_point = moved.principal_point + np.float32([30, -20])
    out = between(source.body, moved, source.fits, (source.height, source.width), (90, 400))
    kind, flow = out.visibility[0].numpy(), out.flow[0].numpy()
    shown = kind != BACKGROUND
    assert np.abs(flow[shown] - [30, -20]).max() < 0.01
    row = np.indices(shown.shape)[0]
    inside = (row - 20 >= 0) & (row - 20 < 90)
    assert ((kind == VISIBLE)[shown] == inside[shown]).all() and inside[shown].any()


def test_pairs_of_every_kind_together(views):
    # Near and distant cameras, a mirrored body: each pair as alone.
    others = in_pictures(SEED, 0)
    body, size = views[0].body, (views[0].height, views[0].width)
    pictures = [s.fits for s in views[:3]] + [s.fits for s in others[:2]]
    blank = {"focal": np.full(1, np.nan, np.float32)}
    blank["principal_point"] = np.full((1, 2), np.nan, np.float32)
    pictures = [f if f.focal is not None else replace(f, **blank) for f in pictures]
    mirror = np.diag([-1.0, 1, 1]).astype(np.float32)
    pictures.append(replace(pictures[1], rotation=mirror @ pictures[1].rotation))
    source = Fits.concatenate(pictures)
    target = Fits.concatenate([pictures[i] for i in (3, 5, 0, 1, 2, 4)])
    together = between(body, source, target, size)
    for pair in range(len(source)):
        alone = between(body, source.select([pair]), target.select([pair]), size)
        for ours, expected in zip(together, alone, strict=True):
            assert torch.equal(ours[pair], expected[0])


def test_a_mirrored_source_shows_its_outside():
    views = in_pictures(SEED, 0)
    source, target = views[0].fits, views[3].fits
    mirror = np.diag([-1.0, 1, 1]).astype(np.float32)
    size = (views[0].height, views[0].width)
    plain = between(views[0].body, source, target, size)
    middle = source.keypoints(views[0].body, ["pelvis"])[0, 0, 0]
    shift = source.translation * [-1, 1] + np.float32([[2 * middle, 0]])
    mirrored = replace(
        source, rotation=mirror @ source.rotation, translation=shift.astype(np.float32)
    )
    out = between(views[0].body, mirrored, target, size)
    column = np.indices(size)[1]
    axis = source.frame[0, 0] + source.frame[0, 2] * middle
    shown = (plain.visibility[0] != BACKGROUND).numpy()
    place = column + 0.5 + plain.flow[0, ..., 0].numpy()
    other = column + 0.5 + out.flow[0, ..., 0].numpy()
    np.testing.assert_allclose(other[shown], (2 * axis - place)[shown], atol=1e-2)
    assert (out.visibility == plain.visibility)[0].numpy()[shown].mean() > 0.99


def test_faces_that_any_pixel_shows_are_visible(views):
    source, target = views[0], views[3]
    flow, kind = flow_of(source, target, visible="face")
    exact, by_depth = flow_of(source, target)
    np.testing.assert_array_equal(flow, exact)
    np.testing.assert_array_equal(kind == BACKGROUND, by_depth == BACKGROUND)
    # Reference: the faces that rays through all pixels of both pictures meet.
    faces = source.body.faces
    met = []
    for shown in (source, target):
        row, column = np.indices((shown.height, shown.width))
        centres = np.stack([column, row], -1).reshape(-1, 2) + 0.5
        met.append(caster(shown, faces).at(centres)[0].reshape(shown.height, shown.width))
    expected = np.where(np.isin(met[1], met[0]), VISIBLE, HIDDEN)
    assert (kind == expected)[met[1] >= 0].mean() > 0.995
    # Many of them are smaller than a pixel.
    assert (kind == VISIBLE).sum() < (by_depth == VISIBLE).sum()


def test_no_pairs_and_unequal_pairs(body):
    out = between(body, Fits.empty(), Fits.empty(), (4, 5))
    assert out.flow.shape == (0, 4, 5, 2) and out.visibility.shape == (0, 4, 5)
    one = in_pictures(SEED, 0)[0].fits
    with pytest.raises(ValueError, match="source: expected 0 fits as target has, got 1"):
        between(body, one, Fits.empty(), (4, 5))
