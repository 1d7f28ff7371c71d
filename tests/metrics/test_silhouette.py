"""Visible faces at a frame's pixels, for meshes with pixels known by hand."""

import dataclasses

import numpy as np
import pytest

from bodyreg.body import Body
from bodyreg.data.frames import frame_from_image
from bodyreg.metrics.silhouette import pixels_of_frame, silhouettes


@pytest.fixture
def plates() -> Body:
    """Faces of two triangles that share no vertex."""
    return dataclasses.replace(Body.default(), faces=np.array([[0, 1, 2], [3, 4, 5]]))


def test_a_crop_has_the_pixels_of_its_picture():
    """A frame as large as its picture of 8 pixels: both count from the top left corner."""
    xy = np.random.default_rng(0).uniform(0, 8, (20, 2)).astype(np.float32)
    frame = np.float32([4, 4, 4])
    np.testing.assert_allclose(pixels_of_frame(frame_from_image(xy, frame), 8), xy, atol=1e-6)


def test_the_nearer_plate_shows_by_its_nearest_corner(plates):
    """The left upper half of the frame far away, a small corner of it nearer."""
    vertices = np.float32(
        [[-1, 1, 0], [-1, -1, 0], [1, 1, 0], [-1, 1, 0.5], [-1, 0.5, 0.5], [-0.5, 1, 0.5]]
    )
    shown = silhouettes(vertices[None], plates, 8)
    row, column = np.indices((8, 8))
    # Centres on the long edge would belong to a face below it, which does not exist.
    np.testing.assert_array_equal(shown.mask[0], row + column < 7)
    centres = np.stack([(column + 0.5) / 4 - 1, 1 - (row + 0.5) / 4], axis=-1)
    vertex = shown.at(centres.reshape(1, -1, 2)).reshape(8, 8)
    assert (vertex[row + column >= 7] == -1).all()
    np.testing.assert_array_equal(vertex[0], [3, 0, 0, 0, 2, 2, 2, -1])
    np.testing.assert_array_equal(vertex[:, 0], [3, 0, 0, 0, 1, 1, 1, -1])
    places = np.array([[[-0.99, 0.99], [0.49, 0.9], [0.9, -0.9], [-1.01, 0], [0, 1.01], [1.5, 9]]])
    np.testing.assert_array_equal(shown.at(places), [[3, 2, -1, -1, -1, -1]])


def test_no_people_give_no_pictures(plates):
    shown = silhouettes(np.zeros((0, 6, 3), np.float32), plates, 8)
    assert shown.at(np.zeros((0, 5, 2))).shape == (0, 5)
