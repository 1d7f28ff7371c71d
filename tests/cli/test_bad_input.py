"""Bad input: one line on stderr, exit status 2, and no output left behind."""

import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from bodyreg.body import Body
from bodyreg.data import Fits, Observations
from bodyreg.npz import save_npz

from .conftest import made_observations, smpl_arrays


@pytest.fixture
def refused(bodyreg, tmp_path):
    """Call the command and check that it is refused properly; returns its one line."""

    def call(*arguments: object, out: Path | None = None) -> str:
        before = sorted(tmp_path.rglob("*"))
        result = bodyreg("register", "--out", out or tmp_path / "out", *arguments)
        assert result.out == ""
        assert sorted(tmp_path.rglob("*")) == before
        return result.refusal

    return call


@pytest.mark.parametrize(
    "flag",
    [
        "--observations", "--densepose-coco", "--mpii", "--human36m", "--openpose", "--deepfashion",
        "--body",
    ],
)  # fmt: skip
def test_missing_file(refused, tmp_path, observations_file, flag):
    source = ("--observations", observations_file) if flag == "--body" else ()
    assert "nowhere" in refused(*source, flag, tmp_path / "nowhere")


def arrays_of(observations: Observations) -> dict:
    values = {f.name: getattr(observations, f.name) for f in dataclasses.fields(observations)}
    return {name: value for name, value in values.items() if value is not None}


def coco(**changes) -> dict:
    """One person of a DensePose-COCO file in the built-in body's charts."""
    annotation = {
        "id": 41,
        "image_id": 1,
        "category_id": 1,
        "bbox": [10.0, 10, 100, 200],
        "keypoints": [0] * 51,
        **{f"dp_{key}": [90.5, 120.6, 150.7, 180.8] for key in "xy"},
        **{f"dp_{key}": [0.5, 0.6, 0.7, 0.8] for key in "UV"},
        "dp_I": [2] * 4,
    }
    annotation.update(changes)
    return {
        "info": {"charts": Body.default().charts.name},
        "images": [{"id": 1, "width": 640, "height": 480}],
        "annotations": [{k: v for k, v in annotation.items() if v is not None}],
    }


@pytest.fixture
def coco_file(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "people.json"
        path.write_text(text)
        return path

    return write


def test_truncated_json(refused, coco_file):
    text = json.dumps(coco())
    assert "not readable JSON" in refused("--densepose-coco", coco_file(text[: len(text) // 2]))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dp_x": [float("nan")] * 4}, "annotation 41: dp_x is not finite"),
        ({"dp_I": [25] * 4}, "annotation 41: dp_I is out of range"),
        ({"bbox": [10, 10, 0, 200]}, "annotation 41: bbox has no area"),
        ({"dp_U": None}, "annotation 41: dp_U is missing"),
    ],
)
def test_bad_annotation(refused, coco_file, changes, expected):
    assert expected in refused("--densepose-coco", coco_file(json.dumps(coco(**changes))))


def test_missing_pictures(refused, coco_file, tmp_path):
    content = coco()
    pictures = ("--images", tmp_path, "--overlays", "1")
    path = coco_file(json.dumps(content))
    assert "does not name people's pictures" in refused("--densepose-coco", path, *pictures)
    for name, expected in (
        ("a.jpg", "no picture of person 41 here"),
        ("../a.jpg", "not a path"),
    ):
        content["images"][0]["file_name"] = name
        path = coco_file(json.dumps(content))
        assert expected in refused("--densepose-coco", path, *pictures)


def test_pictures_of_formats_that_have_none(refused, tmp_path):
    np.save(tmp_path / "poses.npy", np.random.default_rng(0).uniform(0, 99, (4, 34)))
    line = refused("--mpii", tmp_path / "poses.npy", "--images", tmp_path, "--overlays", "1")
    assert "poses.npy: does not name people's pictures" in line


def test_bad_files_of_other_formats(refused, tmp_path):
    people = tmp_path / "train.json"
    people.write_text(json.dumps([{"joints": [[1, 2]] * 16, "joints_vis": [1] * 15}]))
    assert "person 0: joints_vis has 15 numbers" in refused("--mpii", people)

    poses = tmp_path / "poses.npz"
    np.savez(poses, positions_2d={"S1": {"Eating": [np.zeros((2, 9, 2))]}})
    assert "S1, Eating, camera 54138969: 9 joints" in refused("--human36m", poses)
    np.savez(poses, positions_2d={"S1": {"Eating": [RunsCode(tmp_path / "ran")]}})
    assert "poses.npz: the pickle names" in refused("--human36m", poses)
    np.savez(poses, imgname=np.array(["a.jpg"]), center=np.zeros((1, 2)))
    assert "array 'scale' is missing" in refused("--human36m", poses)

    (tmp_path / "a_keypoints.json").write_text('{"people": []}')
    assert "no people to register" in refused("--openpose", tmp_path)
    (tmp_path / "a_keypoints.json").write_text('{"people": [{"pose_keypoints_2d": [1]}]}')
    assert "a_keypoints.json: person 0: pose_keypoints_2d" in refused("--openpose", tmp_path)

    (tmp_path / "Img").mkdir()
    assert "pose_label.pkl: no such pose label file" in refused("--deepfashion", tmp_path)
    (tmp_path / "Label").mkdir()
    label = tmp_path / "Label" / "pose_label.pkl"
    label.write_bytes(pickle.dumps({"../a": [[1, 2]] * 18}))
    assert "pose_label.pkl: '../a' is not a path inside" in refused("--deepfashion", tmp_path)
    label.write_bytes(pickle.dumps({"a": RunsCode(tmp_path / "ran")}))
    assert "pose_label.pkl: the pickle names" in refused("--deepfashion", tmp_path)
    assert not (tmp_path / "ran").exists()


def test_no_dense_people(refused, coco_file):
    plain = coco(**{f"dp_{key}": None for key in "xyIUV"})
    assert "no annotation has dense points" in refused(
        "--densepose-coco", coco_file(json.dumps(plain))
    )


def test_charts_of_another_body(refused, coco_file, body_file):
    content = coco()
    del content["info"]
    path = coco_file(json.dumps(content))
    assert "'densepose'" in refused("--densepose-coco", path)
    assert "UV_Processed.mat" in refused("--densepose-coco", path, "--body", body_file)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("point_xy", np.nan, "point_xy of person 10 is not finite"),
        ("point_vertex", 96, "point_vertex of person 10 is out of range"),
        ("frame", 0, "frame of person 10 has no area"),
    ],
)
def test_bad_observations(refused, tmp_path, body_file, name, value, expected):
    observations = made_observations()
    getattr(observations, name)[0] = value
    observations.save(tmp_path / "bad.npz")
    assert expected in refused("--observations", tmp_path / "bad.npz", "--body", body_file)


def test_unknown_format_version(refused, tmp_path):
    path = tmp_path / "new.npz"
    save_npz(path, format="bodyreg-observations-2", **arrays_of(made_observations()))
    assert "bodyreg-observations-2" in refused("--observations", path)


def test_truncated_observations(refused, observations_file):
    content = observations_file.read_bytes()
    observations_file.write_bytes(content[: len(content) // 2])
    assert "people.npz" in refused("--observations", observations_file)


def test_nan_poses(refused, tmp_path):
    poses = np.random.default_rng(0).uniform(0, 99, (4, 34))
    poses[2, 3] = np.nan
    np.save(tmp_path / "poses.npy", poses)
    assert "row 2 is not finite" in refused("--mpii", tmp_path / "poses.npy")


def test_a_body_without_weights(refused, tmp_path, observations_file):
    arrays = smpl_arrays()
    del arrays["weights"]
    np.savez(tmp_path / "bare.npz", **arrays)
    line = refused("--observations", observations_file, "--body", tmp_path / "bare.npz")
    assert "weights" in line


def test_weights_that_do_not_sum_to_one(refused, bodyreg, tmp_path, observations_file):
    """Sums off by more than 1 % are refused, others are renormalised."""
    arrays = smpl_arrays()
    path = tmp_path / "heavy.npz"
    np.savez(path, **arrays | {"weights": 1.05 * arrays["weights"]})
    assert "sum" in refused("--observations", observations_file, "--body", path)
    np.savez(path, **arrays | {"weights": 1.005 * arrays["weights"]})
    fine = bodyreg(
        "register", "--observations", observations_file, "--body", path,
        "--iterations", 2, "--out", tmp_path / "out",
    )  # fmt: skip
    assert fine.status == 0


class RunsCode:
    """Unpickled by `pickle.load`, it would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickle_that_would_run_code(refused, tmp_path, observations_file):
    proof = tmp_path / "ran"
    path = tmp_path / "body.pkl"
    path.write_bytes(pickle.dumps({**smpl_arrays(), "extra": RunsCode(proof)}))
    assert "body.pkl" in refused("--observations", observations_file, "--body", path)
    assert not proof.exists()


def test_pickled_arrays_in_observations(refused, tmp_path):
    path = tmp_path / "objects.npz"
    np.savez(path, format=np.array(RunsCode(tmp_path / "ran"), dtype=object))
    assert "objects.npz" in refused("--observations", path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("inside", [False, True])
def test_an_output_folder_that_cannot_be_written(refused, tmp_path, observations_file, inside):
    """There is a file in the place of the folder, or of its parent."""
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out" if inside else tmp_path / "file"
    assert "cannot be written" in refused("--observations", observations_file, out=out)


def test_no_person_with_evidence(refused, tmp_path, body_file):
    observations = made_observations()
    observations.point_weight[:] = 0
    observations.keypoint_weight[:] = 0
    observations.save(tmp_path / "empty.npz")
    line = refused("--observations", tmp_path / "empty.npz", "--body", body_file)
    assert "no people to register (3 no point and no keypoint, or all in one place)" in line


def test_initial_fits_of_other_people(refused, tmp_path, observations_file, body_file):
    Fits.empty().save(tmp_path / "fits.npz")
    line = refused(
        "--observations", observations_file, "--body", body_file,
        "--initial", tmp_path / "fits.npz",
    )  # fmt: skip
    assert "no person 10" in line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "Missing from bodyreg register: one of --observations, --densepose-coco"),
        (("--observations", "a", "--mpii", "b"), "give only one of --observations and --mpii"),
        (("--densepose-coco", "PEOPLE"), "people.npz: is an .npz or another zip file; name a JSON"),
        (("--observations", "PEOPLE", "--whole-body"), "--whole-body"),
        (("--observations", "PEOPLE", "--overlays", "-1"), "--overlays"),
        (("--observations", "PEOPLE", "--uv", "uv.mat"), "uv.mat: no such chart file"),
        (("--observations", "PEOPLE", "--starts", "0"), "starts"),
        (("--observations", "PEOPLE", "--set", "dense_wieght=2"), "did you mean dense_weight"),
        (("--observations", "PEOPLE", "--set", "foo=1"), "bodyreg info --preset accurate lists"),
        (("--observations", "PEOPLE", "--set", "dense_weight"), "NAME=VALUE"),
        (("--observations", "PEOPLE", "--set"), "--set: give NAME=VALUE"),
        (("--observations", "PEOPLE", "--meshes", "stl"), "--meshes stl: choose one of obj, ply"),
        (("--observations", "PEOPLE", "--set", "dense_weight=much"), "a number"),
        (("--observations", "PEOPLE", "--set", "dense_weight=-1"), "dense_weight"),
        (("--observations", "PEOPLE", "--set", "six_numbers=2"), "true or false"),
        (("--observations", "PEOPLE", "--device", "toaster"), "unknown device"),
        (("--observations", "PEOPLE", "--device", "meta"), "only cpu and cuda"),
    ],
)
def test_bad_options(refused, observations_file, arguments, expected):
    arguments = [str(observations_file) if a == "PEOPLE" else a for a in arguments]
    assert expected in refused(*arguments)


@pytest.mark.parametrize(
    ("command", "suffix"),
    [
        (("detect", "pictures", "--boxes", "FILE"), ".npz"),
        (("lift", "--observations", "FILE", "--lifter", "lifter"), ".npz"),
        (("calibrate", "--observations", "FILE"), ".json"),
        (("make-map", "--template", "FILE"), ".npz"),
    ],
)
def test_what_is_read_is_not_written(bodyreg, tmp_path, command, suffix):
    """And no picture becomes a file of numbers."""
    (tmp_path / "pictures").mkdir()
    read, picture = tmp_path / f"read{suffix}", tmp_path / "picture.jpg"
    words = [
        word if word.startswith("-") or word == command[0]
        else read if word == "FILE"
        else tmp_path / word
        for word in command
    ]  # fmt: skip
    for path in (read, picture):
        path.write_bytes(b"as it was")
    link = tmp_path / f"link{suffix}"
    link.symlink_to(read)
    for out, message in (
        (read, "is read, so it cannot be written"),
        (link, "is read, so it cannot be written"),
        (picture, f"the file is a {suffix}"),
        (tmp_path / "pictures", "is a folder; --out must be a file"),
    ):
        assert message in bodyreg(*words, "--out", out).refusal
    assert read.read_bytes() == picture.read_bytes() == b"as it was"
