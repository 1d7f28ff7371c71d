"""LSP's joints.mat and its extension's: two layouts, written by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.io import savemat

from bodyreg.data import read_lsp
from bodyreg.data.frames import NOT_SPREAD_OUT
from bodyreg.errors import UserError


def joints(people: int = 3) -> np.ndarray:
    """(N, 14, 2), counted from 1."""
    return np.random.default_rng(0).uniform(20, 400, (people, 14, 2))


@pytest.mark.parametrize("people", [1, 3])
def test_lsp_marks_hidden_joints_too(tmp_path, people):
    xy = joints(people)
    hidden = np.random.default_rng(1).integers(0, 2, (people, 14, 1))
    savemat(tmp_path / "joints.mat", {"joints": np.concatenate([xy, hidden], 2).transpose(2, 1, 0)})
    found, skipped = read_lsp(tmp_path / "joints.mat")
    assert not skipped and found.id.tolist() == list(range(people))
    np.testing.assert_allclose(found.keypoint_xy, xy - 0.5, rtol=1e-6)
    assert (found.keypoint_weight == 1).all()
    assert found.keypoint_name[0] == "lsp/right_ankle" and found.keypoint_name[13] == "lsp/head_top"
    assert found.picture[0] == "im0001.jpg" and found.picture[-1] == f"im000{people}.jpg"


def test_the_extension_leaves_joints_out(tmp_path):
    xy = joints()
    seen = np.ones((3, 14, 1))
    seen[0, 3] = seen[1] = 0
    xy[0, 3] = np.nan
    savemat(
        tmp_path / "joints.mat", {"joints": np.concatenate([xy, seen], 2).transpose(1, 2, 0)},
        do_compression=True,
    )  # fmt: skip
    found, skipped = read_lsp(tmp_path / "joints.mat")
    assert skipped == {NOT_SPREAD_OUT: 1} and found.id.tolist() == [0, 2]
    assert np.flatnonzero(found.keypoint_weight[0] == 0).tolist() == [3]
    np.testing.assert_allclose(found.keypoint_xy[1], xy[2] - 0.5, rtol=1e-6)
    assert found.picture.tolist() == ["im00001.jpg", "im00003.jpg"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"joints": np.zeros((3, 15, 2))}, "expected an array 'joints' of"),
        ({"joints": np.zeros((2, 14, 2))}, "expected an array 'joints' of"),
        ({"joints": np.zeros((3, 14, 2, 2))}, "expected an array 'joints' of"),
        ({"joints": "text"}, "expected an array 'joints' of"),
        ({"other": np.zeros((3, 14, 2))}, "expected an array 'joints' of"),
        ({"joints": np.full((3, 14, 2), np.nan)}, "person 0, joint 0: is not finite"),
    ],
)
def test_broken_files(tmp_path, content, expected):
    savemat(tmp_path / "joints.mat", content)
    with pytest.raises(UserError, match=expected):
        read_lsp(tmp_path / "joints.mat")


def test_damaged_files(tmp_path):
    path = tmp_path / "joints.mat"
    savemat(path, {"joints": np.ones((3, 14, 20))})
    good, random = path.read_bytes(), np.random.default_rng(2)
    for cut in random.integers(1, len(good), 30):
        path.write_bytes(good[:cut])
        with pytest.raises(UserError, match=r"joints\.mat"):
            read_lsp(path)
    huge = bytearray(good)
    place = good.index((14).to_bytes(4, "little"), 132)  # the number of joints
    huge[place : place + 4] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(huge)
    with pytest.raises(UserError, match=r"joints\.mat"):
        read_lsp(path)
