"""Fits against annotations that were made from the very same fits."""

import dataclasses

import numpy as np
import pytest

from bodyreg.body import Body
from bodyreg.data import Fits, Observations
from bodyreg.data.frames import SIDE_PER_BOX, image_from_frame
from bodyreg.data.rejected import PARTS, bits
from bodyreg.metrics.annotations import ANNOTATION_METRICS, AnnotationEvaluator
from bodyreg.metrics.silhouette import silhouettes

PEOPLE = 3
POINTS = (40, 0, 25)
NAMES = ("nose", "left_wrist", "right_knee")


@pytest.fixture(scope="module")
def evaluator(body) -> AnnotationEvaluator:
    return AnnotationEvaluator(body)


@pytest.fixture(params=["weak", "near"])
def fits(request) -> Fits:
    random = np.random.default_rng(4)
    near = request.param == "near"
    return Fits(
        id=np.arange(PEOPLE) + 1,
        frame=np.float32([[300, 200, 150], [100, 120, 96], [50, 60, 128]]),
        pose=np.float32(0.2 * random.normal(size=(PEOPLE, 24, 3))),
        segment_scale=np.ones((PEOPLE, 24), np.float32),
        rotation=np.tile(np.eye(3, dtype=np.float32), (PEOPLE, 1, 1)),
        scale=np.full(PEOPLE, 0.8, np.float32),
        translation=np.float32(random.normal(0, 0.05, (PEOPLE, 2))),
        loss=np.zeros(PEOPLE, np.float32),
        focal=np.float32([500, 300, np.nan]) if near else None,
        principal_point=np.float32([[320, 240], [60, 90], [0, 0]]) if near else None,
    )


@pytest.fixture
def observations(fits, body) -> Observations:
    """Points at vertices that are visible in their own pixels; the second person has no points."""
    seen = fits.seen(fits.vertices(body))
    xy = seen[..., :2]
    shown = silhouettes(seen, body, 256).at(xy) == np.arange(xy.shape[1])
    random = np.random.default_rng(6)
    vertex = [
        random.choice(np.flatnonzero(own), n, False) for own, n in zip(shown, POINTS, strict=True)
    ]
    person = np.repeat(np.arange(PEOPLE), POINTS)
    together = np.concatenate(vertex)
    keypoints = fits.seen(fits.keypoints(body, NAMES))[..., :2]
    weight = np.ones((PEOPLE, len(NAMES)))
    weight[2] = 0
    return Observations(
        id=fits.id,
        frame=fits.frame,
        point_start=np.cumsum([0, *POINTS]),
        point_xy=image_from_frame(xy[person, together], fits.frame[person]),
        point_vertex=np.stack([together, together[::-1], 0 * together], axis=1),
        point_barycentric=np.tile([1.0, 0, 0], (len(together), 1)),
        point_weight=np.ones(len(together)),
        keypoint_name=NAMES,
        keypoint_xy=image_from_frame(keypoints, fits.frame[:, None]),
        keypoint_weight=weight,
    )


@pytest.fixture
def box(fits) -> np.ndarray:
    """Boxes about as the frames have them, and not square."""
    long = 2 * fits.frame[:, 2:] / SIDE_PER_BOX
    size = long * [[0.8, 1], [1, 1], [1, 0.5]]
    return np.concatenate([fits.frame[:, :2] - size / 2, size], axis=1)


def masks_of(fits: Fits, body: Body, box: np.ndarray, side: int) -> np.ndarray:
    """By looking up the box's pixels in a fine picture of the frame."""
    fine = silhouettes(fits.seen(fits.vertices(body)), body, 1024).mask
    steps = (np.arange(side) + 0.5) / side
    found = []
    for frame, (x, y, width, height), picture in zip(fits.frame, box, fine, strict=True):
        to_pixel = 1024 / (2 * frame[2])
        column = ((x + steps * width - frame[0] + frame[2]) * to_pixel).astype(int)
        row = ((y + steps * height - frame[1] + frame[2]) * to_pixel).astype(int)
        found.append(picture[np.ix_(row, column)])
    return np.array(found)


def test_what_was_marked_of_the_fit_is_there(evaluator, fits, observations, body, box):
    masks = masks_of(fits, body, box, 128)
    masks[2] = False
    errors = evaluator(fits, observations, box, masks)
    assert tuple(errors) == tuple(ANNOTATION_METRICS)
    for name, expected in {
        "pixel": [0, np.nan, 0], "keypoint": [0, 0, np.nan], "pck": [100, 100, np.nan],
        "gps": [100, np.nan, 100],
    }.items():  # fmt: skip
        np.testing.assert_allclose(errors[name], expected, atol=1e-3, err_msg=name)
    assert (errors["iou"][:2] > 98).all()
    assert np.isnan(errors["iou"]).tolist() == [False, False, True]
    assert np.isnan(errors["gpsm"]).tolist() == [False, True, True]
    assert errors["gpsm"][0] == pytest.approx(10 * np.sqrt(errors["iou"][0]))


def test_what_a_fit_has_not_read_counts(evaluator, fits, observations, body, box):
    """Annotations are right, also where a registration has rejected them."""
    masks = masks_of(fits, body, box, 64)
    moved = shifted(fits, np.float32([0.1, 0]))
    every = np.full(PEOPLE, bits(PARTS), np.uint8)
    rejecting = dataclasses.replace(moved, rejected=every, exchanged=np.full(PEOPLE, 1, np.uint8))
    errors, expected = (evaluator(f, observations, box, masks) for f in (rejecting, moved))
    for name, values in expected.items():
        np.testing.assert_array_equal(errors[name], values, err_msg=name)


def shifted(fits: Fits, off: np.ndarray) -> Fits:
    """The same people elsewhere in their pictures: frame units."""
    moved = dataclasses.replace(fits, translation=fits.translation + off)
    if fits.focal is None:
        return moved
    point = fits.principal_point + off * fits.frame[:, 2:] * np.float32([1, -1])
    return dataclasses.replace(moved, principal_point=point)


@pytest.mark.parametrize("pixels", [5, 12])
def test_a_shift_shows_in_every_error(evaluator, fits, observations, body, box, pixels):
    """A twentieth of the box's longer side is 10.7 pixels of the frame's 256."""
    off = np.float32([0.6, -0.8]) * pixels / 128
    moved = shifted(fits, off)
    masks = masks_of(fits, body, box, 128)
    errors = evaluator(moved, observations, box, masks)
    np.testing.assert_allclose(errors["pixel"], [pixels, np.nan, pixels], rtol=1e-3)
    np.testing.assert_allclose(errors["keypoint"], [pixels, pixels, np.nan], rtol=1e-3)
    right = 100 if pixels == 5 else 0
    np.testing.assert_allclose(errors["pck"], [right, right, np.nan])
    assert (errors["gps"][[0, 2]] < 99).all()
    both = masks & masks_of(moved, body, box, 128)
    either = masks | masks_of(moved, body, box, 128)
    overlap = both.sum(axis=(1, 2)) / either.sum(axis=(1, 2))
    np.testing.assert_allclose(errors["iou"], 100 * overlap, atol=1)


def test_points_are_judged_by_the_distances_given(fits, observations, body, box):
    """Each a kappa from itself: exp(-1/2)."""
    asked = []

    def far(source, target):
        asked.append(source)
        np.testing.assert_array_equal(source, target)
        return own._kappa[source]

    own = AnnotationEvaluator(body, far)
    errors = own(fits, observations, box, np.zeros((PEOPLE, 8, 8), bool))
    np.testing.assert_allclose(errors["gps"][[0, 2]], 100 * np.exp(-0.5))
    np.testing.assert_array_equal(np.concatenate(asked), observations.point_vertex[:, 0])


def test_points_without_weight_and_people_without_points(evaluator, fits, observations, box):
    nothing = np.zeros((PEOPLE, 8, 8), bool)
    observations.point_weight[:] = 0
    assert np.isnan(evaluator(fits, observations, box, nothing)["gps"]).all()
    errors = evaluator(fits.select([1]), observations.select(np.array([1])), box[1:2], nothing[:1])
    assert np.isnan(errors["gps"]).all() and np.isnan(errors["pixel"]).all()
    assert errors["pck"] == 100
