"""DeepFashion's and Market-1501's folders: pickles of Python 2, absent joints, pairs, paths."""

import json
import os
import pickle

import numpy as np
import pytest

from bodyreg.data.corr import BACKGROUND, Correspondence, read_corr, write_corr
from bodyreg.data.deepfashion import (
    read_deepfashion,
    read_market1501,
    read_pose_pairs,
)
from bodyreg.data.frames import NOT_SPREAD_OUT
from bodyreg.data.skeletons import COCO_18
from bodyreg.errors import UserError

NAMES = ["fasionMENShirtsid00054_1front", "fasionMENShirtsid00054_4full", "0002_c1s1_000451_03"]
PAIRS = {"train": [[NAMES[0], NAMES[1]], [NAMES[1], NAMES[0]]], "test": [], "test_small": []}


def labels() -> dict[str, list[list[float]]]:
    random = np.random.default_rng(1)
    joints = {name: random.uniform(0, 255, (18, 2)).round(2).tolist() for name in NAMES}
    joints[NAMES[0]][16] = [-1, -1]
    joints[NAMES[0]][17] = [-1.0, 40.0]
    joints[NAMES[2]] = [[-1, -1]] * 17 + [[5, 6]]
    return joints


def as_python_two(content: dict[str, list[list[float]]]) -> bytes:
    """What cPickle of Python 2 wrote: texts are its bytes (SHORT_BINSTRING), protocol 2."""
    out = bytearray(b"\x80\x02}(")
    for name, joints in content.items():
        out += b"U" + bytes([len(name)]) + name.encode("latin1")
        out += b"](" + b"".join(b"](" + b"".join(map(_number, j)) + b"e" for j in joints) + b"e"
    return bytes(out + b"u.")


def _number(value: float) -> bytes:
    return pickle.dumps(float(value), 2)[2:-1]


def make(folder, content: bytes | None = None, pairs=PAIRS, pictures="Img"):
    (folder / "Label").mkdir(exist_ok=True)
    (folder / pictures / "img").mkdir(parents=True, exist_ok=True)
    content = as_python_two(labels()) if content is None else content
    (folder / "Label" / "pose_label.pkl").write_bytes(content)
    (folder / "Label" / "pair_split.json").write_text(json.dumps(pairs))
    return folder


@pytest.mark.parametrize("protocol", [None, 2, 4])
def test_joints_and_pairs(tmp_path, protocol):
    content = None if protocol is None else pickle.dumps(labels(), protocol)
    people = read_deepfashion(make(tmp_path, content))
    assert people.ids == tuple(NAMES)
    expected = np.array(list(labels().values()))
    absent = (expected == -1).any(2)
    assert absent[0].sum() == 2
    np.testing.assert_array_equal(np.isnan(people.joints).all(2), absent)
    # A whole number is the centre of a pixel there, and its corner here.
    np.testing.assert_allclose(people.joints[~absent], expected[~absent] + 0.5, rtol=1e-6)
    np.testing.assert_array_equal(people.pairs["train"], [[0, 1], [1, 0]])
    assert people.pairs["test"].shape == (0, 2)


def test_arrays_in_the_pickle(tmp_path):
    arrays = {name: np.array(joints) for name, joints in labels().items()}
    people = read_deepfashion(make(tmp_path, pickle.dumps(arrays, 2)))
    np.testing.assert_array_equal(people.joints, read_deepfashion(make(tmp_path)).joints)


def test_joints_of_fitted_bodies_have_files_of_their_own(tmp_path):
    make(tmp_path)
    with pytest.raises(UserError, match=r"pose_label_adapt\.pkl: no such"):
        read_deepfashion(tmp_path, adapted=True)
    fitted = {name: [[8, 9]] * 18 for name in NAMES[:2]}
    (tmp_path / "Label" / "pose_label_adapt.pkl").write_bytes(pickle.dumps(fitted, 2))
    clean = {"train": [[NAMES[1], NAMES[0]]]}
    (tmp_path / "Label" / "pair_split_clean.json").write_text(json.dumps(clean))
    people = read_deepfashion(tmp_path, adapted=True)
    assert len(people) == 2
    np.testing.assert_array_equal(people.joints[0, 0], [8.5, 9.5])
    np.testing.assert_array_equal(people.pairs["train"], [[1, 0]])


def test_keypoints_for_registration(tmp_path):
    people = read_deepfashion(make(tmp_path))
    seen, skipped = people.observations()
    assert skipped == {NOT_SPREAD_OUT: 1}
    np.testing.assert_array_equal(seen.id, [0, 1])
    assert seen.picture.tolist() == [f"{name}.jpg" for name in NAMES[:2]]
    knee = COCO_18.joints.index("left_knee")
    np.testing.assert_array_equal(
        seen.keypoint_xy[:, knee], people.joints[:2, COCO_18.joints.index("left_knee")]
    )
    assert seen.keypoint_weight[0, COCO_18.joints.index("right_ear")] == 0
    assert seen.keypoint_weight[0, COCO_18.joints.index("left_ear")] == 0


def test_files_of_a_picture_and_a_pair(tmp_path):
    people = read_deepfashion(make(tmp_path))
    assert people.picture(1) == tmp_path / "Img" / "img" / f"{NAMES[1]}.jpg"
    assert people.parts(1) == tmp_path / "Img" / "seg" / f"{NAMES[1]}.bmp"
    corr = tmp_path / "3d" / "hmr" / "corr" / f"{NAMES[1]}_{NAMES[0]}.corr"
    assert people.corr(source=0, target=1) == corr


def test_which_of_the_two_it_is(tmp_path):
    with pytest.raises(UserError, match=r"holds neither Img \(DeepFashion\) nor Images"):
        read_pose_pairs(tmp_path)
    market = make(tmp_path, pictures="Images")
    assert read_pose_pairs(market).picture(0) == market / "Images" / "img" / f"{NAMES[0]}.jpg"
    assert read_market1501(market).pictures == "Images"


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "a/../../b", "..", ""])
def test_names_cannot_leave_the_folder(tmp_path, name):
    joints = {NAMES[0]: labels()[NAMES[1]], name: labels()[NAMES[1]]}
    make(tmp_path, pickle.dumps(joints, 2), {})
    with pytest.raises(UserError, match=r"pose_label\.pkl: '.*' is not a path inside"):
        read_deepfashion(tmp_path)


class Runs:
    """Unpickled by `pickle.load`, it would run a command."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_pickle_that_would_run_code(tmp_path):
    trap = tmp_path / "sprung"
    make(tmp_path, pickle.dumps({NAMES[0]: Runs(f"touch {trap}")}, 2))
    with pytest.raises(UserError, match=r"pose_label\.pkl: the pickle names"):
        read_deepfashion(tmp_path)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([], "expected a dictionary"),
        ({}, "expected a dictionary"),
        ({3: [[1, 2]] * 18}, "3 is not the name of a picture"),
        ({"a": [[1, 2]] * 17}, "'a': expected 18 joints"),
        ({"a": [[1, 2]] * 17 + [[1]]}, "'a': expected 18 joints"),
        ({"a": [[1, "x"]] * 18}, "'a': expected 18 joints"),
        ({"a": [[1, float("inf")]] * 18}, "'a': expected 18 joints"),
        ({"a": "joints"}, "'a': expected 18 joints"),
    ],
)
def test_bad_labels_are_refused(tmp_path, content, expected):
    make(tmp_path, pickle.dumps(content, 2), {})
    with pytest.raises(UserError, match=expected) as caught:
        read_deepfashion(tmp_path)
    assert "pose_label.pkl" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], "expected an object of splits"),
        ({"train": 3}, "train is not a list of pairs"),
        ({"train": [[NAMES[0], NAMES[1]], [NAMES[0]]]}, r"train\[1\] is not a pair"),
        ({"test": [[NAMES[0], 3]]}, r"test\[0\] is not a pair"),
        ({"test": [[NAMES[0], "nobody"]]}, r"test\[0\]: 'nobody' has no joints"),
    ],
)
def test_bad_pairs_are_refused(tmp_path, pairs, expected):
    with pytest.raises(UserError, match=expected) as caught:
        read_deepfashion(make(tmp_path, pairs=pairs))
    assert "pair_split.json" in str(caught.value)


@pytest.mark.parametrize("missing", ["pose_label.pkl", "pair_split.json"])
def test_missing_labels_are_named(tmp_path, missing):
    make(tmp_path)
    (tmp_path / "Label" / missing).unlink()
    with pytest.raises(UserError, match=missing):
        read_deepfashion(tmp_path)


def correspondence(height=3, width=5) -> Correspondence:
    random = np.random.default_rng(0)
    kind = random.integers(0, 3, (height, width)).astype(np.uint8)
    place = random.uniform(-5, 300, (height, width, 2)).astype(np.float32)
    place[kind == BACKGROUND] = 0
    return Correspondence(place, kind)


def test_corr_files_are_read_as_they_were_written(tmp_path):
    path, written = tmp_path / "a_b.corr", correspondence()
    write_corr(path, written)
    content = path.read_bytes()
    assert len(content) == 8 + 9 * 15
    assert content[:8] == bytes([5, 0, 0, 0, 3, 0, 0, 0])  # width, then height
    np.testing.assert_array_equal(np.frombuffer(content[8:16], "<f4"), written.place[0, 0])
    assert content[-1] == written.kind[-1, -1]
    read = read_corr(path)
    np.testing.assert_array_equal(read.place, written.place)
    np.testing.assert_array_equal(read.kind, written.kind)


def test_a_picture_of_256_pixels_has_the_known_size(tmp_path):
    write_corr(tmp_path / "a.corr", correspondence(256, 256))
    assert (tmp_path / "a.corr").stat().st_size == 589_832


def test_bad_corr_files_are_refused(tmp_path):
    path = tmp_path / "a.corr"
    with pytest.raises(UserError, match=r"no such \.corr file"):
        read_corr(path)
    write_corr(path, correspondence())
    good = path.read_bytes()
    huge = np.array([2**31 - 1, 2**31 - 1], "<i4").tobytes()  # of no such memory
    negative = np.array([-5, -3], "<i4").tobytes()
    nan = np.full(30, np.nan, "<f4").tobytes()
    bad = (
        b"", good[:7], good[:-1], good + b"\0", huge + good[8:], negative + good[8:],
        good[:-1] + b"\3", good[:8] + nan + good[128:],
    )  # fmt: skip
    for content in bad:
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.corr: not a readable \.corr file") as caught:
            read_corr(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="place"):
        write_corr(path, Correspondence(np.zeros((2, 3, 2)), np.zeros((3, 2), np.uint8)))
