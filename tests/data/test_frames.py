"""Frames against their definition, and the two conversions against each other."""

import numpy as np

from bodyreg.data.frames import (
    boxes_of_points,
    frame_from_image,
    frames_of_boxes,
    image_from_frame,
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
