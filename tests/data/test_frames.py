"""Frames against their definition, and the two conversions against each other."""

import numpy as np

from bodyreg.data.frames import (
    boxes_of_points,
    corners,
    frame_from_image,
    frames_of_boxes,
    image_from_frame,
    lengths_in_frame,
    overlap,
    perspective_in_frame,
    pixel_sizes,
    reframed,
    seen_in_perspective,
)


def test_corners_of_the_frame_are_its_units():
    frame = np.array([100.0, 50.0, 20.0], np.float32)
    top_left, centre = np.array([80.0, 30.0]), np.array([100.0, 50.0])
    np.testing.assert_array_equal(frame_from_image(top_left, frame), [-1, 1])
    np.testing.assert_array_equal(frame_from_image(centre, frame), [0, 0])
    np.testing.assert_array_equal(image_from_frame(np.array([-1.0, 1.0]), frame), top_left)


def test_there_and_back_is_the_identity():
    random = np.random.default_rng(0)
    frame = random.uniform(10, 500, (7, 1, 3))
    xy = random.uniform(-100, 900, (7, 5, 2))
    np.testing.assert_allclose(image_from_frame(frame_from_image(xy, frame), frame), xy, atol=1e-10)


def test_the_frame_is_a_square_of_1_2_times_the_longer_side():
    frames = frames_of_boxes(np.array([[10.0, 20, 100, 40], [0, 0, 3, 50]]))
    np.testing.assert_allclose(frames, [[60, 40, 60], [1.5, 25, 30]])


def test_boxes_hold_their_points():
    boxes = boxes_of_points(np.array([[[3.0, 9], [1, 4], [2, 5]]]))
    np.testing.assert_array_equal(boxes, [[1, 4, 2, 5]])


def some_frames(seed, *shape):
    return np.random.default_rng(seed).uniform(10, 500, (*shape, 3))


def test_corners_are_the_ends_of_the_frame_units():
    frame = some_frames(1, 6)
    np.testing.assert_allclose(frame_from_image(corners(frame)[0], frame), [[-1, 1]] * 6)
    np.testing.assert_allclose(frame_from_image(corners(frame)[1], frame), [[1, -1]] * 6)
    low, high = corners(np.float32([100, 50, 20]))
    assert (low.tolist(), high.tolist()) == ([80, 30], [120, 70])


def test_lengths_are_distances_of_points():
    frame, xy = some_frames(2, 5), np.random.default_rng(3).uniform(0, 900, (2, 5, 2))
    distance = np.linalg.norm(xy[0] - xy[1], axis=1)
    one, other = (frame_from_image(points, frame) for points in xy)
    expected = np.linalg.norm(one - other, axis=1)
    np.testing.assert_allclose(lengths_in_frame(distance, frame), expected, rtol=1e-12)


def test_a_crop_is_as_many_of_its_pixels_wide():
    frame = some_frames(4, 5)
    low, high = corners(frame)
    for side in (256, 100):
        np.testing.assert_allclose(side * pixel_sizes(frame, side), (high - low)[:, 0])


def test_a_camera_in_another_crop_shows_the_same_picture():
    random = np.random.default_rng(5)
    before, after = some_frames(6, 7), some_frames(7, 7)
    scale, translation = random.uniform(0.5, 2, 7), random.normal(size=(7, 2))
    body = random.normal(size=(7, 20, 2))
    pictures = [
        image_from_frame(s[:, None, None] * body + t[:, None], frame[:, None])
        for s, t, frame in (
            (scale, translation, before),
            (*reframed(scale, translation, before, after), after),
        )
    ]
    np.testing.assert_allclose(pictures[0], pictures[1], atol=1e-9)


def test_the_overlap_of_crops():
    """Half, a quarter and nothing of a crop of 20 pixels, and a crop inside another."""
    crop = np.tile(np.float32([50, 50, 10]), (5, 1))
    others = np.float32([[50, 50, 10], [60, 50, 10], [60, 60, 10], [90, 50, 10], [50, 50, 5]])
    np.testing.assert_allclose(overlap(crop, others), [1, 1 / 3, 1 / 7, 0, 1 / 4], rtol=1e-6)
    np.testing.assert_array_equal(overlap(crop, others), overlap(others, crop))


def test_perspective_in_frames_by_hand():
    frame = np.float32([[100, 50, 20], [100, 50, 20], [100, 50, 20], [100, 50, 20], [30, 40, 10]])
    focal = np.float32([400, 400, np.nan, np.inf, 100])
    point = np.float32([[120, 40], [np.nan, np.nan], [120, 40], [120, 40], [np.nan, np.nan]])
    size = np.int32([[240, 80], [240, 80], [240, 80], [240, 80], [0, 0]])
    expected = [[0.05, 1, 0.5], [0.05, 1, 0.5], [0, 0, 0], [0, 0, 0], [0.1, 0, 0]]
    found = perspective_in_frame(focal, point, size, frame)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    # Without sizes, or without principal points, the middle of the frame.
    np.testing.assert_allclose(
        perspective_in_frame(focal, None, None, frame),
        np.array(expected) * [1, 0, 0],
        rtol=1e-6,
    )


def test_perspective_is_that_of_a_pinhole_camera():
    """Points in metres before a camera, in pixels by the law of the pinhole."""
    random = np.random.default_rng(5)
    people, points = 6, random.normal(0, 0.5, (6, 20, 3))
    focal, centre = random.uniform(400, 1500, people), random.uniform(200, 600, (people, 2))
    pelvis = np.column_stack([random.normal(0, 1, (people, 2)), random.uniform(2.5, 9, people)])
    # Axes of pictures: y down, z away.
    seen = points * [1, -1, -1] + pelvis[:, None]
    pixels = centre[:, None] + focal[:, None, None] * seen[..., :2] / seen[..., 2:]

    size = focal / pelvis[:, 2]
    frame = np.column_stack([centre + random.normal(0, 100, (people, 2)), 1.2 * size])
    middle = centre + size[:, None] * pelvis[:, :2]
    weak = np.concatenate(
        [
            frame_from_image(
                middle[:, None] + size[:, None, None] * points[..., :2] * [1, -1], frame[:, None]
            ),
            lengths_in_frame(size[:, None] * points[..., 2], frame[:, None])[..., None],
        ],
        axis=2,
    )
    found = seen_in_perspective(weak, perspective_in_frame(focal, centre, None, frame))
    np.testing.assert_allclose(image_from_frame(found[..., :2], frame[:, None]), pixels, atol=2e-3)
    np.testing.assert_array_equal(found[..., 2], weak[..., 2].astype(np.float32))
    alike = seen_in_perspective(weak, np.zeros((people, 3), np.float32))
    np.testing.assert_array_equal(alike, weak.astype(np.float32))
