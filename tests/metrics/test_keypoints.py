"""Shares of correct keypoints, against a loop and by hand."""

import math

import numpy as np

from bodyreg.metrics.keypoints import pck


def test_pck_counts_as_a_loop_does():
    random = np.random.default_rng()
    source, target = random.normal(size=(2, 20, 14, 2))
    reference = random.uniform(0.5, 4, 20)
    present = random.random((20, 14)) < 0.7
    present[0] = [True] + 13 * [False]
    expected = []
    for person in range(20):
        near = [
            math.dist(source[person, k], target[person, k]) <= 0.5 * reference[person]
            for k in range(14)
            if present[person, k]
        ]
        expected.append(sum(near) / len(near))
    np.testing.assert_allclose(pck(source, target, reference, 0.5, present), expected)


def test_pck_by_hand():
    """The threshold itself is correct; without a keypoint or a head the result is NaN."""
    target = np.zeros((1, 4, 2))
    source = np.array([[[3.0, 4], [3.0, 4.01], [0, 0], [100, 0]]])
    shown = np.array([[True, True, True, False]])
    np.testing.assert_allclose(pck(source, target, np.array([10.0]), 0.5, shown), [2 / 3])
    for reference in (0.0, np.nan):
        assert np.isnan(pck(source, target, np.array([reference]), 0.5, shown)).all()
    assert np.isnan(pck(source, target, np.array([10.0]), 0.5, ~shown & False)).all()
