"""Masks: run lengths of both kinds, polygons, and codes that lie about their size."""

import numpy as np
import pytest

from bodyreg.data.masks import decode_run_lengths, decode_segmentation, encode_run_lengths
from bodyreg.errors import UserError


def picture(height=20, width=31) -> np.ndarray:
    return np.random.default_rng(0).uniform(size=(height, width)) < 0.4


def test_run_lengths_of_both_kinds():
    mask = picture()
    code = encode_run_lengths(mask)
    assert code["size"] == [20, 31]
    assert isinstance(code["counts"], str)
    np.testing.assert_array_equal(decode_run_lengths(code, 20, 31, "mask"), mask)
    columns = mask.T.reshape(-1)
    changes = np.flatnonzero(np.diff(np.concatenate([[False], columns, [not columns[-1]]])))
    runs = np.diff(np.concatenate([[0], changes])).tolist()
    uncompressed = {"size": [20, 31], "counts": runs}
    np.testing.assert_array_equal(decode_run_lengths(uncompressed, 20, 31, "mask"), mask)


def test_polygons_are_filled():
    square = [[4.0, 2, 10, 2, 10, 8, 4, 8]]
    mask = decode_segmentation(square, 20, 31, "person")
    expected = np.zeros((20, 31), bool)
    expected[2:8, 4:10] = True
    np.testing.assert_array_equal(mask, expected)
    two = decode_segmentation([*square, [20, 10, 30, 10, 30, 12, 20, 12], [1, 1]], 20, 31, "person")
    assert two.sum() == 36 + 20
    assert not decode_segmentation([], 20, 31, "person").any()
    code = encode_run_lengths(mask)
    np.testing.assert_array_equal(decode_segmentation(code, 20, 31, "person"), mask)


@pytest.mark.parametrize(
    "code",
    [
        {"size": [10**6, 10**6], "counts": "abc"},
        {"size": [31, 20], "counts": [620]},
        {"size": [20, 31], "counts": [600]},
        {"size": [20, 31], "counts": [640, -20]},
        {"size": [20, 31], "counts": []},
        {"size": [20, 31], "counts": [1.5, 618.5]},
        {"size": [20, 31], "counts": "0oooooooo0"},
        {"size": [20, 31]},
        [[1, 2, 3]],
        [["a"] * 6],
        3,
    ],
)
def test_bad_masks_are_refused(code):
    with pytest.raises(UserError, match=r"^person: segmentation") as caught:
        decode_segmentation(code, 20, 31, "person: segmentation")
    assert "\n" not in str(caught.value)
