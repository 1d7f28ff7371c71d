"""The groups of people on the page of errors by group."""

import numpy as np

from benchmarks.groups import OVERLAP, overlapped


def test_boxes_overlap_within_their_picture():
    """By painting every box of a picture, and counting pixels."""
    random = np.random.default_rng()
    picture = random.integers(0, 12, 40)
    box = np.column_stack([random.integers(0, 40, (40, 2)), random.integers(1, 24, (40, 2))])
    expected = []
    for person in range(40):
        shares = [0.0]
        for other in range(40):
            if other != person and picture[other] == picture[person]:
                canvas = np.zeros((64, 64), int)
                for x, y, width, height in (box[person], box[other]):
                    canvas[y : y + height, x : x + width] += 1
                shares.append((canvas == 2).sum() / box[person, 2:].prod())
        expected.append(max(shares) > OVERLAP)
    np.testing.assert_array_equal(overlapped(picture, box.astype(float)), expected)
