"""Pictures of flow. Reference: colours of known directions, pictures shifted by whole pixels."""

import numpy as np

from bodyreg.viz.flow import KINDS, flow_picture, pair_tile, visibility_picture, warped_picture
from bodyreg.viz.grounds import GROUND
from bodyreg.viz.overlay import GUTTER, PAPER


def test_directions_are_hues_and_lengths_brightness():
    ways = np.array([[[4, 0], [-4, 0], [0, 4], [2, 0], [0, 0], [9, 9]]], np.float32)
    kind = np.array([[0, 1, 0, 1, 0, 2]], np.uint8)
    blue, green, red = np.moveaxis(flow_picture(ways[:, :5], kind[:, :5])[0].astype(int), -1, 0)
    assert (red[0], green[0], blue[0]) == (255, 0, 0)  # to the right
    assert (red[1], green[1], blue[1]) == (0, 255, 255)  # to the left
    assert green[2] == 255 and 100 < red[2] < 140 and blue[2] == 0  # downward
    assert red[3] == 155 and red[4] == 55
    assert flow_picture(ways, kind)[0, 5].tolist() == list(GROUND)


def test_kinds_are_colours():
    picture = visibility_picture(np.array([[0, 1, 2]], np.uint8))
    assert picture[0].tolist() == [list(KINDS[kind]) for kind in range(3)]


def test_what_a_flow_reads():
    random = np.random.default_rng(0)
    source = random.integers(0, 256, (7, 9, 3)).astype(np.uint8)
    flow = np.zeros((5, 6, 2), np.float32) + np.float32([3, 2])
    kind = np.zeros((5, 6), np.uint8)
    kind[0, 0], kind[1, 1] = 2, 1
    picture = warped_picture(source, flow, kind).astype(int)
    expected = source[2:, 3:].astype(int)
    assert (picture == expected).all(-1).sum() >= 28
    assert picture[0, 0].tolist() == list(GROUND)
    assert (np.abs(picture[1, 1] - GROUND) <= np.abs(expected[1, 1] - GROUND)).all()


def test_pictures_of_any_size_side_by_side():
    tall, wide = np.zeros((40, 10, 3), np.uint8), np.full((3, 12, 3), 9, np.uint8)
    tile = pair_tile([tall, wide], side=24)
    assert tile.shape == (24, 24 + GUTTER + 24, 3)
    left, right = tile[:, :24], tile[:, 24 + GUTTER :]
    assert (left == 0).all(-1).sum() == 24 * 6 and (right == 9).all(-1).sum() == 24 * 6
    assert left[0, 0].tolist() == list(PAPER)
