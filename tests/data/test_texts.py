"""Names in any encoding: read as they are meant, or refused in one line; never silently wrong."""

from __future__ import annotations

import json
import os
import pickle

import numpy as np
import pytest

from bodyreg.body import Body
from bodyreg.data import (
    Observations,
    open_observations,
    read_deepfashion,
    read_densepose_coco,
    read_mpii,
    read_openpose,
    read_spin,
    read_videopose3d,
)
from bodyreg.data.json_files import load_json
from bodyreg.data.observation_arrays import FORMAT
from bodyreg.errors import UserError
from bodyreg.files import path_inside

from .test_damaged import coco, openpose
from .test_human36m import SYMMETRY, poses_2d, poses_3d
from .test_mpii import person as mpii_person
from .test_observations import arrays, make
from .test_spin import arrays as spin_arrays

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be")
# Names as old archives and other systems hand them on: Latin-1, and what UTF-8 has no bytes for.
LATIN = os.fsdecode(b"caf\xe9.jpg")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_in_every_encoding(tmp_path, encoding):
    path, body = tmp_path / "a_keypoints.json", Body.default()
    for content, read in (
        (coco(body), lambda: read_densepose_coco(path, body)[0]),
        ([mpii_person(image="caf\xe9.jpg")], lambda: read_mpii(path)[0]),
        (openpose(), lambda: read_openpose(tmp_path)[0]),
    ):
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        expected = read()
        path.write_bytes(json.dumps(content, ensure_ascii=False).encode(encoding))
        found = read()
        np.testing.assert_array_equal(found.keypoint_xy, expected.keypoint_xy)
        if expected.picture is not None:
            np.testing.assert_array_equal(found.picture, expected.picture)


def test_json_that_is_no_unicode(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps([{"image": "caf\xe9"}], ensure_ascii=False).encode("latin1"))
    with pytest.raises(UserError, match=r"a\.json: not readable JSON .*save it as UTF-8") as caught:
        load_json(path)
    assert "\n" not in str(caught.value)


def test_json_with_a_key_twice(tmp_path):
    """JSON keeps the last one: which of the two is meant is not known."""
    path = tmp_path / "a.json"
    path.write_text('[{"id": 1}, {"id": 1, "box": {"x": 1, "y": 2, "x": 3}}]')
    with pytest.raises(UserError, match=r"a\.json: an object has the key 'x' twice; remove one"):
        load_json(path)


def test_names_of_keypoints_in_bytes(tmp_path):
    """As numpy.array([b"nose"]) saves them: the same names, not "b'nose'"."""
    people = make(3)
    content = arrays(people) | {"format": FORMAT}
    content["picture"] = np.array([b"a.jpg", b"caf\xc3\xa9.jpg", b"caf\xe9.jpg"])
    for name in ("keypoint_name", "body", "format"):
        content[name] = np.char.encode(content[name], "ascii")
    np.savez(tmp_path / "a.npz", **content)
    found = Observations.load(tmp_path / "a.npz")
    assert found.keypoint_name == people.keypoint_name
    assert found.body == people.body
    assert found.picture.tolist() == ["a.jpg", "caf\xe9.jpg", LATIN]


@pytest.mark.parametrize("name", ["keypoint_name", "picture", "format", "body"])
def test_numbers_where_names_should_be(tmp_path, name):
    people = make(2)
    content = arrays(people) | {"format": FORMAT, name: np.arange(2.0)}
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(UserError, match=rf"a\.npz: .*({name}|texts)"):
        Observations.load(tmp_path / "a.npz")


def test_names_that_are_not_utf_8_are_kept(tmp_path):
    people = make(2)
    people.picture = np.array([LATIN, "\u65e5.jpg"])
    people.save(tmp_path / "a.npz")
    assert Observations.load(tmp_path / "a.npz").picture.tolist() == [LATIN, "\u65e5.jpg"]
    (tmp_path / "a.json").write_text(json.dumps([mpii_person(image=LATIN)]))
    assert read_mpii(tmp_path / "a.json")[0].picture.tolist() == [LATIN]


def test_a_shard_s_suffix_may_be_in_capitals(tmp_path):
    people = make(4)
    people.select(slice(0, 2)).save(tmp_path / "a.NPZ")
    people.select(slice(2, 4)).save(tmp_path / "b.npz")
    np.testing.assert_array_equal(open_observations(tmp_path).ids(), people.id)


def test_pictures_of_spin_in_bytes(tmp_path):
    content = spin_arrays()
    names = [b"images/S1_Walking_1.54138969_%06d.jpg" % n for n in range(len(content["imgname"]))]
    names[0] = b"caf\xe9.jpg"
    np.savez(tmp_path / "a.npz", **content | {"imgname": np.array(names)})
    people, _ = read_spin(tmp_path / "a.npz")
    assert people.observations.picture.tolist() == [LATIN, *(n.decode() for n in names[1:])]
    assert people.action[1] == "Walking 1"


def test_subjects_and_facts_in_texts_of_numpy(tmp_path):
    subject, action = np.unique(["S1"])[0], np.bytes_(b"Eating")
    facts = {
        np.str_("layout_name"): np.str_("h36m"), b"num_joints": np.int64(17),
        "keypoints_symmetry": np.array(SYMMETRY),
    }  # fmt: skip
    np.savez(tmp_path / "2d.npz", positions_2d={subject: {action: poses_2d()}}, metadata=facts)
    np.savez(tmp_path / "3d.npz", positions_3d={b"S1": {"Eating": poses_3d()}})
    poses, skipped = read_videopose3d(tmp_path / "2d.npz", tmp_path / "3d.npz")
    assert len(poses) and not skipped
    assert set(poses.subject) == {"S1"} and set(poses.action) == {"Eating"}
    assert np.isfinite(poses.joints).all()


@pytest.mark.parametrize(
    "name", [np.str_("a\xe9"), np.bytes_("a\xe9".encode()), "a\xe9".encode(), "a\xe9"]
)
def test_names_of_pictures_in_texts_of_numpy(tmp_path, name):
    (tmp_path / "Label").mkdir()
    labels = {name: np.array([[3.0 * n, 4.0] for n in range(18)])}
    (tmp_path / "Label" / "pose_label.pkl").write_bytes(pickle.dumps(labels, 2))
    (tmp_path / "Label" / "pair_split.json").write_text('{"train": [["a\\u00e9", "a\\u00e9"]]}')
    assert read_deepfashion(tmp_path).ids == ("a\xe9",)


def test_a_backslash_separates_folders(tmp_path):
    assert path_inside(tmp_path, "a\\b.jpg", "here") == tmp_path / "a" / "b.jpg"
    for name in ("..\\b.jpg", "a\\..\\..\\b.jpg", "\\b.jpg", "\\\\server\\b.jpg", "\\", ""):
        with pytest.raises(UserError, match="not a path inside"):
            path_inside(tmp_path, name, "here")


@pytest.mark.parametrize(
    "name", ["a\nb.jpg", "a\r\nb.jpg", "\x1b[31mred.jpg", "a\x9b2Jb.jpg", "a\0b.jpg"]
)
def test_names_cannot_break_the_line_of_an_error(tmp_path, name):
    with pytest.raises(UserError) as caught:
        path_inside(tmp_path, f"../{name}", "here")
    assert str(caught.value).isprintable()
    again = pickle.loads(pickle.dumps(caught.value))  # as workers hand errors on
    assert (type(again), str(again)) == (UserError, str(caught.value))
