"""Truth files, whole and by rows, and those that are refused."""

import dataclasses

import numpy as np
import pytest

from bodyreg.data.frames import image_from_frame
from bodyreg.data.truth import ARRAYS, Truth, TruthFile
from bodyreg.errors import UserError

PEOPLE = 5


@pytest.fixture
def truth() -> Truth:
    random = np.random.default_rng(3)
    arrays = {
        name: random.normal(size=(PEOPLE, *({"V": 7, "S": 2}.get(n, n) for n in rest)))
        for name, (_, rest) in ARRAYS.items()
    }
    kinds = {"i": np.int64, "f": np.float32, "b": bool, "U": "<U9"}
    arrays = {name: value.astype(kinds[ARRAYS[name][0][0]]) for name, value in arrays.items()}
    focal = np.float32([900, np.nan, 500, 700, 1100])
    arrays |= {"id": np.arange(PEOPLE) + 3, "scale": np.abs(arrays["scale"]), "focal": focal}
    return Truth(**arrays, body="0123456789ab")


def assert_same(one: Truth, other: Truth) -> None:
    for field in dataclasses.fields(Truth):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_people_are_read_as_they_were_written(truth, tmp_path):
    truth.save(tmp_path / "truth.npz")
    assert_same(Truth.load(tmp_path / "truth.npz"), truth)
    with TruthFile(tmp_path / "truth.npz") as file:
        assert len(file) == PEOPLE and file.body == truth.body
        np.testing.assert_array_equal(file.ids(), truth.id)
        assert_same(file.read(1, 3), truth.select(np.array([1, 2])))
        assert len(file.read(2, 2)) == 0


def test_parts_are_one_after_the_other(truth):
    parts = [truth.select(np.array(some)) for some in ([0, 1], [2], [3, 4])]
    assert_same(Truth.concatenate(parts), truth)
    plain = dataclasses.replace(truth, focal=None, principal_point=None)
    assert_same(
        Truth.concatenate([plain.select(np.arange(3)), plain.select(np.arange(3, 5))]), plain
    )


def test_numbers_become_float32(truth, tmp_path):
    """Whatever wrote the file: people of float64 would not fit those of other files."""
    wide = {
        name: value.astype(np.float64)
        for name, value in vars(truth).items()
        if name in ARRAYS and "f" in ARRAYS[name][0]
    }
    dataclasses.replace(truth, **wide).save(tmp_path / "truth.npz")
    read = Truth.load(tmp_path / "truth.npz")
    assert_same(read, truth)
    assert {getattr(read, name).dtype for name in wide} == {np.dtype(np.float32)}


def test_other_frames_show_the_same_picture(truth):
    truth.frame[:, 2] = 30 + np.abs(truth.frame[:, 2])
    frame = np.float32(np.random.default_rng(4).uniform(10, 100, (PEOPLE, 3)))
    moved = truth.in_frames(frame)
    pictures = [
        image_from_frame(seen.in_frame(seen.joints), seen.frame[:, None]) for seen in (truth, moved)
    ]
    np.testing.assert_allclose(*pictures, atol=1e-3)
    np.testing.assert_array_equal(moved.frame, frame)


def test_wrong_files_are_refused(truth, tmp_path):
    path = tmp_path / "truth.npz"
    with pytest.raises(UserError, match=r"truth.npz: no such truth file"):
        TruthFile(path)
    for name, value, message in (
        ("joints", truth.joints[:, :3], r"joints has shape \(5, 3, 3\), expected \(N, 24, 3\)"),
        ("visible", truth.visible[:, 1:], r"visible has shape \(5, 6\), expected \(N, V\)"),
        ("cut", truth.cut[:4], r"cut has shape \(4,\), expected \(N,\) of 5 people"),
        ("child", truth.cut, "child has dtype float32"),
        ("scale", np.float32([1, 1, np.nan, 1, 1]), "scale of person 5 is not finite"),
        ("scale", np.float32([1, 0, 1, 1, -1]), "scale of person 4 is not positive"),
        ("joints", np.full((5, 24, 3), 1e300), "joints of person 3 is not finite"),
        ("vertices", truth.vertices * 1e10, "vertices of person 3 is not below 1e"),
    ):
        dataclasses.replace(truth, **{name: value}).save(path)
        with pytest.raises(UserError, match=message):
            Truth.load(path)
