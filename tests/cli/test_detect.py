"""People in pictures by a detector: a stand-in for all of it, and the real one where it is."""

from __future__ import annotations

import importlib.util
import json
import sys

import cv2
import numpy as np
import pytest
import trimesh

from bodyreg.body import Body
from bodyreg.data import Fits, Observations
from bodyreg.data.blazepose import detection
from bodyreg.data.skeletons import BLAZEPOSE_33
from bodyreg.runs import detection as runs_detection

RED = (0, 0, 255)


class StandIn:
    """Sees a body in T-pose that fills the width of what is red."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def __call__(self, picture: np.ndarray):
        rows, columns = np.nonzero((picture == RED).all(2))
        if not len(rows):
            return None
        metres = Body.default().keypoints(BLAZEPOSE_33.keypoints).anchors[..., :3].sum(1).numpy()
        metres = metres * [1, -1, -1]
        size = (columns.max() + 1 - columns.min()) / np.ptp(metres[:, 0])
        corner = [columns.min(), rows.min()]
        xy = corner + size * (metres[:, :2] - metres[:, :2].min(0))
        return detection(np.insert(xy, 2, 0.9, axis=1), np.full(33, np.nan), metres)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    monkeypatch.setattr(runs_detection, "BlazePose", StandIn)


@pytest.fixture
def pictures(tmp_path):
    """A picture of two people side by side, one of nobody, one of a person, and a damaged one."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, people in {"1.png": [40, 340], "2.png": [], "3.png": [120]}.items():
        picture = np.full((400, 640, 3), 90, np.uint8)
        for x in people:
            picture[50:350, x : x + 260] = RED
        cv2.imwrite(str(folder / name), picture)
    (folder / "4.jpg").write_bytes(b"\xff\xd8 no picture")
    return folder


def left_edges(people: Observations) -> list[float]:
    return people.keypoint_xy[..., 0].min(1).round(3).tolist()


def test_one_person_in_each_picture(bodyreg, tmp_path, pictures):
    out = tmp_path / "people.npz"
    result = bodyreg("detect", pictures, "--out", out)
    assert (result.status, result.error) == (0, "")
    assert "detected 2 people; left out 2 (1 in whose place no person was found" in result.out
    people = Observations.load(out)
    assert people.id.tolist() == [0, 2] and people.picture.tolist() == ["1.png", "3.png"]
    assert left_edges(people) == [40, 120]  # two people in a picture look like a wide one here
    assert people.picture_size.tolist() == [[640, 400]] * 2
    assert people.keypoint_name == BLAZEPOSE_33.evidence_keypoints
    assert people.has_depths.all()


def test_one_person_in_each_box(bodyreg, tmp_path, pictures):
    boxes = [
        {"image_id": n, "category_id": 1, "bbox": [x, 50, 260, 300], "score": 0.9}
        for n, x in ((1, 40), (1, 340), (2, 40))
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    out = tmp_path / "people.npz"
    result = bodyreg("detect", pictures, "--boxes", tmp_path / "boxes.json", "--out", out)
    assert (result.status, result.error) == (0, "")
    people = Observations.load(out)
    assert people.id.tolist() == [0, 1]
    assert left_edges(people) == [40, 340]  # in one picture they look like a wide one


def test_boxes_do_not_lead_out_of_the_folder(bodyreg, tmp_path, pictures):
    (pictures / "1.png").rename(tmp_path / "outside.png")
    content = {
        "images": [{"id": 1, "file_name": "../outside.png"}],
        "annotations": [{"id": 1, "image_id": 1, "bbox": [40, 50, 260, 300]}],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    out = tmp_path / "people.npz"
    result = bodyreg("detect", pictures, "--boxes", tmp_path / "boxes.json", "--out", out)
    assert result.status == 2 and "is not a path inside" in result.error
    assert not out.exists()


def test_a_picture_alone(bodyreg, tmp_path, pictures):
    out = tmp_path / "people.npz"
    assert bodyreg("detect", pictures / "3.png", "--out", out, "--quiet").out == ""
    assert Observations.load(out).picture.tolist() == ["3.png"]


def test_from_photographs_to_bodies(bodyreg, tmp_path, pictures):
    out = tmp_path / "run"
    command = ("register", "--images", pictures, "--out", out, "--iterations", 60)
    result = bodyreg(*command, "--overlays", 1, "--meshes", "glb")
    assert (result.status, result.error) == (0, "")
    assert "depths of keypoints: used for 2 of 2 people" in result.out
    fits, people = Fits.load(out / "fits.npz"), Observations.load(out / "detected.npz")
    assert fits.id.tolist() == people.id.tolist() == [0, 2]
    seen = fits.seen(fits.keypoints(Body.default(), people.keypoint_name))[..., :2]
    assert np.abs(seen - people.keypoints_in_frame()).mean() < 0.03
    assert json.loads((out / "run.json").read_text())["source"]["format"] == "observations"
    assert (out / "overlays.png").is_file()
    assert trimesh.load(out / "meshes" / "2.glb").geometry
    assert bodyreg("report", out).status == 0
    assert "the same run is finished here" in bodyreg(*command, "--meshes", "glb").out
    cv2.imwrite(str(pictures / "2.png"), np.full((400, 640, 3), RED, np.uint8))
    result = bodyreg(*command)
    assert result.status == 2 and "or people of other pictures; remove it" in result.error


def test_a_folder_of_another_run_is_left_alone(
    bodyreg, tmp_path, pictures, observations_file, body_file
):
    out = tmp_path / "run"
    other = ("--observations", observations_file, "--body", body_file, "--iterations", 3)
    assert bodyreg("register", *other, "--out", out).status == 0
    before = sorted(out.iterdir())
    result = bodyreg("register", "--images", pictures, "--out", out)
    assert result.status == 2 and "holds another run" in result.error
    assert sorted(out.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("detect pictures", "Missing from bodyreg detect: --out FILE"),
        ("detect --out a.npz", "Missing from bodyreg detect: PICTURES"),
        ("detect pictures --out pictures", "is a folder; --out must be a file"),
        ("detect missing --out a.npz", "missing: no such picture file"),
        ("detect pictures/1.png --boxes a.json --out a.npz", "needs the pictures' folder"),
        ("detect pictures --boxes missing.json --out a.npz", "missing.json"),
        ("register --images pictures --out a --points 30", "--points belongs to"),
        ("register --images pictures --out a --whole-body", "--whole-body belongs to"),
        ("register --out a", ", or --images alone; see"),
    ],
)
def test_what_cannot_be(bodyreg, tmp_path, pictures, monkeypatch, words, expected):
    monkeypatch.chdir(tmp_path)
    result = bodyreg(*words.split())
    assert result.status == 2 and expected in result.error
    assert not (tmp_path / "a").exists() and not (tmp_path / "a.npz").exists()


def test_nobody_is_found(bodyreg, tmp_path, pictures):
    for name in ("1.png", "3.png"):
        (pictures / name).unlink()
    result = bodyreg("register", "--images", pictures, "--out", tmp_path / "run")
    assert result.status == 2 and "no person was found (1 in whose place" in result.error
    assert not (tmp_path / "run").exists()
    assert bodyreg("detect", pictures, "--out", tmp_path / "a.npz").status == 0
    assert len(Observations.load(tmp_path / "a.npz")) == 0


def test_without_mediapipe_it_says_what_to_install(bodyreg, tmp_path, pictures, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    for command in (("detect", pictures), ("register", "--images", pictures)):
        result = bodyreg(*command, "--out", tmp_path / "out.npz")
        assert result.status == 2 and "pip install 'bodyreg[detect]'" in result.error
        assert not (tmp_path / "out.npz").exists()


@pytest.mark.skipif(
    importlib.util.find_spec("mediapipe") is None,
    reason="MediaPipe (the extra 'detect') is not installed",
)
def test_a_real_person(bodyreg, tmp_path, monkeypatch):
    """scikit-image's astronaut, whose face is at these pixels; she looks at the viewer."""
    monkeypatch.undo()
    skimage = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    folder, out = tmp_path / "pictures", tmp_path / "run"
    folder.mkdir()
    cv2.imwrite(str(folder / "astronaut.png"), skimage.astronaut()[..., ::-1])
    result = bodyreg("register", "--images", folder, "--out", out)
    assert (result.status, result.error) == (0, "")
    people = Observations.load(out / "detected.npz")
    nose = people.keypoint_xy[0, people.keypoint_name.index("blazepose/nose")]
    np.testing.assert_allclose(nose, [223, 128], atol=12)
    fits = Fits.load(out / "fits.npz")
    nose, neck = fits.keypoints(Body.default(), ("nose", "neck"))[0]
    assert nose[2] > neck[2]
    again = tmp_path / "again.npz"
    assert bodyreg("detect", folder, "--out", again).status == 0
    np.testing.assert_array_equal(Observations.load(again).keypoint_xy, people.keypoint_xy)
