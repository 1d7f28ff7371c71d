"""`bodyreg predict`: what the network sees, as a run like every other."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

from bodyreg import Fits, UserError
from bodyreg.data import Observations, Truth
from bodyreg.regression import Regressor
from bodyreg.runs import fitted_shards
from bodyreg.runs.finished import FinishedRun
from tests.regression.nets import untaught

SIDE = 48
NUMBERS = ("pose", "segment_scale", "rotation", "scale", "translation")


@pytest.fixture
def network(tmp_path) -> Regressor:
    regressor = untaught(SIDE, seed=1)
    regressor.save(tmp_path / "net.safetensors")
    return regressor


@pytest.fixture
def pictures(tmp_path) -> dict[str, np.ndarray]:
    """Five pictures of noise that a network can tell apart, blue, green, red."""
    random, folder = np.random.default_rng(0), tmp_path / "pictures"
    folder.mkdir()
    shapes = {"a.png": (48, 48), "b.png": (48, 30), "c.png": (20, 48), "d.png": (48, 48)}
    found = {}
    for place, (name, shape) in enumerate((shapes | {"e.png": (80, 96)}).items()):
        coarse = random.integers(0, 60 * (place + 1) % 255, (6, 6, 3)).astype(np.uint8)
        found[name] = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(folder / name), found[name])
    return found


@pytest.fixture
def predict(bodyreg, tmp_path, network, pictures):
    """The command on these pictures, into a folder of a name."""

    def call(out: str, *arguments: object, folder: object = tmp_path / "pictures"):
        pictures = folder if isinstance(folder, list) else [folder]
        return bodyreg(
            "predict", *pictures, "--checkpoint", tmp_path / "net.safetensors",
            "--out", tmp_path / out, *arguments,
        )  # fmt: skip

    return call


def square(picture: np.ndarray) -> np.ndarray:
    """A picture with the shorter sides filled with black, as a network takes it."""
    height, width = picture.shape[:2]
    side = max(height, width)
    whole = np.zeros((side, side, 3), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    whole[top : top + height, left : left + width] = picture
    return whole[..., ::-1].transpose(2, 0, 1)


def expected_of(network: Regressor, crops: list[np.ndarray], frames: list[list[float]]) -> Fits:
    people = Observations.of_keypoints(
        (), np.zeros((len(crops), 0, 2)), np.zeros((len(crops), 0)), frame=np.array(frames)
    )
    return network.predict(torch.from_numpy(np.array(crops)), people)


def assert_close(found: Fits, expected: Fits) -> None:
    for name in NUMBERS:
        a, b = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=name)


def test_whole_pictures(predict, network, pictures, tmp_path):
    result = predict("out", "--overlays", 2, "--meshes", "ply")
    assert (result.status, result.error) == (0, "")
    assert "5 people in " in result.out and "cameras: focal length assumed for 5" in result.out
    stages = "reading and cropping", "network", "outputs to fits"
    assert all(f"{stage} " in result.out for stage in ("median time of a person:", *stages))
    assert "loss" not in result.out and "starts" not in result.out

    fits = Fits.load(tmp_path / "out" / "fits.npz")
    names = ["a.png", "b.png", "c.png", "d.png"]
    expected = expected_of(network, [square(pictures[n]) for n in names], [[24, 24, 24]] * 4)
    assert_close(fits.select(slice(0, 4)), expected)
    assert np.ptp(fits.pose, axis=0).max() > 0.05  # pictures differ, and so do the bodies
    frames = [[24, 24, 24], [15, 24, 24], [24, 10, 24], [24, 24, 24], [48, 40, 48]]
    assert fits.frame.tolist() == frames and fits.id.tolist() == [0, 1, 2, 3, 4]
    assert fits.loss is None and not fits.terms
    diagonals = np.hypot([48, 30, 48, 48, 96], [48, 48, 20, 48, 80])
    np.testing.assert_allclose(fits.focal / diagonals, fits.focal[0] / diagonals[0], rtol=1e-6)

    finished = FinishedRun.open(tmp_path / "out")
    assert finished.record.regressor.path == tmp_path / "net.safetensors"
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert set(record["median_stage"]) == set(stages) and record["loss"] == "nan"
    assert {p.name for p in (tmp_path / "out" / "meshes").iterdir()} == {
        f"{n}.ply" for n in range(5)
    }
    assert cv2.imread(str(tmp_path / "out" / "overlays.png")) is not None
    assert not (tmp_path / "out" / "shards").exists()


def test_a_body_does_not_depend_on_the_other_pictures(predict, tmp_path):
    """Nor on how many are seen at a time, nor on their order."""
    together = tmp_path / "pictures"
    assert predict("all").status == 0
    fits = Fits.load(tmp_path / "all" / "fits.npz")
    assert predict("one", folder=together / "c.png").status == 0
    assert_close(Fits.load(tmp_path / "one" / "fits.npz"), fits.select([2]))
    result = predict("two", "--quiet", folder=[together / "e.png", together / "b.png"])
    assert (result.status, result.out, result.error) == (0, "", "")
    two = Fits.load(tmp_path / "two" / "fits.npz")
    assert two.id.tolist() == [0, 1]
    assert_close(two, fits.select([4, 1]))
    assert FinishedRun.open(tmp_path / "two").people.read(0, 2).picture.tolist() == [
        "e.png", "b.png",
    ]  # fmt: skip


def test_boxes_of_a_coco_file(predict, network, pictures, tmp_path):
    images = [{"id": 1, "file_name": "e.png"}, {"id": 2, "file_name": "a.png"}]
    boxes = [(5, 1, [28, 20, 40, 20]), (9, 2, [14, 4, 10, 40]), (8, 1, [46, 10, 40, 40])]
    annotations = [{"id": i, "image_id": image, "bbox": box} for i, image, box in boxes]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    assert predict("out", "--boxes", path, "--focal", 100).status == 0
    fits = Fits.load(tmp_path / "out" / "fits.npz")
    frames = [[48, 30, 24], [19, 24, 24], [66, 30, 24]]
    assert fits.id.tolist() == [5, 9, 8] and fits.frame.tolist() == frames
    assert fits.focal.tolist() == [100, 100, 100]
    np.testing.assert_array_equal(fits.principal_point, [[48, 40], [24, 24], [48, 40]])
    e, a = (pictures[name][..., ::-1].transpose(2, 0, 1) for name in ("e.png", "a.png"))
    left = np.concatenate([np.zeros((3, 48, 5), np.uint8), a[:, :, :43]], axis=2)
    crops = [e[:, 6:54, 24:72], left, e[:, 6:54, 42:90]]
    assert_close(fits, expected_of(network, crops, frames))


def test_people_with_keypoints_and_their_truth(predict, bodyreg, demo, tmp_path):
    """The run is measured like a registration: against the truth, and against what was seen."""
    folder = demo / "densepose-coco"
    arguments = "--densepose-coco", folder / "densepose.json"
    result = predict("out", *arguments, folder=folder / "images")
    assert (result.status, result.error) == (0, "")
    assert "median distance of dense points: " in result.out
    assert "median distance of keypoints: " in result.out
    boxes = predict("boxes", "--boxes", folder / "densepose.json", folder=folder / "images")
    assert boxes.status == 0 and "median distance" not in boxes.out
    one, other = (Fits.load(tmp_path / n / "fits.npz") for n in ("out", "boxes"))
    assert all(np.array_equal(getattr(one, n), getattr(other, n)) for n in (*NUMBERS, "focal"))

    truth = folder / "truth.npz" if (folder / "truth.npz").exists() else demo / "truth.npz"
    result = bodyreg("evaluate", "--fits", tmp_path / "out", "--truth", truth)
    assert result.status == 0 and "7 people of" in result.out
    shown = Truth.load(truth)
    assert set(one.id.tolist()) == set(shown.id.tolist())
    for name in ("out", "boxes"):
        assert bodyreg("report", tmp_path / name, "--people", 2).status == 0
    assert bodyreg("report", tmp_path / "out", "--truth", truth).status == 0
    page = (tmp_path / "boxes" / "report.html").read_text(encoding="utf-8")
    assert "network net.safetensors" in page and '"marks":[0]' in page and '"order":"id"' in page


def test_a_finished_run_is_kept(predict, network, tmp_path):
    assert predict("out").status == 0
    before = (tmp_path / "out" / "fits.npz").read_bytes()
    result = predict("out")
    assert (result.status, result.error) == (0, "")
    assert "the same run is finished here" in result.out
    assert predict("out", "--preset", "paper").refusal.count("other configuration") == 1
    assert "other focal" in predict("out", "--focal", 50).refusal
    untaught(SIDE, seed=2).save(tmp_path / "net.safetensors")
    assert "other regressor" in predict("out").refusal
    network.save(tmp_path / "net.safetensors")
    cv2.imwrite(str(tmp_path / "pictures" / "a.png"), np.zeros((48, 48, 3), np.uint8))
    assert "other people" in predict("out").refusal
    assert (tmp_path / "out" / "fits.npz").read_bytes() == before


def test_a_network_has_seen_the_content_of_pictures(predict, tmp_path):
    """Pictures of boxes are not the people's file: other pixels of the same size count."""
    path = tmp_path / "boxes.json"
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"id": 1, "image_id": 1, "bbox": [0, 0, 9, 9]}],
    }
    path.write_text(json.dumps(content))
    assert predict("out", "--boxes", path).status == 0
    assert "the same run is finished here" in predict("out", "--boxes", path).out
    cv2.imwrite(str(tmp_path / "pictures" / "e.png"), np.zeros((48, 48, 3), np.uint8))
    assert "the same run is finished here" in predict("out", "--boxes", path).out
    cv2.imwrite(str(tmp_path / "pictures" / "a.png"), np.zeros((48, 48, 3), np.uint8))
    assert "other content of pictures)" in predict("out", "--boxes", path).refusal


def test_whole_pictures_that_have_moved(predict, tmp_path):
    assert predict("out").status == 0
    moved = (tmp_path / "pictures").rename(tmp_path / "moved")
    message = f"{tmp_path / 'pictures'}: the run has read its pictures here.*with --images"
    with pytest.raises(UserError, match=message):
        FinishedRun.open(tmp_path / "out")
    finished = FinishedRun.open(tmp_path / "out", moved)
    assert finished.source.path == finished.source.images == moved
    _, people = finished.read(np.array([4]))
    assert finished.grounds(people, 8)[1]
    (moved / "e.png").unlink()
    with pytest.raises(UserError, match=f"{moved}: has changed since the run"):
        FinishedRun.open(tmp_path / "out", moved)


def test_a_run_that_was_killed_goes_on(predict, tmp_path, monkeypatch):
    monkeypatch.setattr(fitted_shards, "PICTURES_PER_SHARD", 2)
    assert predict("whole").status == 0
    write = fitted_shards.FittedShards.write

    def write_two(self, shard, *arguments):
        if shard == 2:
            raise UserError("killed")
        write(self, shard, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(fitted_shards.FittedShards, "write", write_two)
        assert "killed" in predict("out").refusal
    assert "other regressor" in _with_another_network(predict, tmp_path)
    result = predict("out")
    assert result.status == 0 and "fitted before: 4 people\n1 person in " in result.out
    whole, out = (Fits.load(tmp_path / name / "fits.npz") for name in ("whole", "out"))
    assert all(np.array_equal(getattr(whole, n), getattr(out, n)) for n in (*NUMBERS, "id"))


def _with_another_network(predict, tmp_path) -> str:
    path = tmp_path / "net.safetensors"
    kept = path.read_bytes()
    untaught(SIDE, seed=3).save(path)
    refusal = predict("out").refusal
    path.write_bytes(kept)
    return refusal


def test_pictures_that_cannot_be_read_are_named(predict, tmp_path):
    """The header of one is whole; its pixels are not."""
    folder = tmp_path / "pictures"
    assert predict("whole").status == 0
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:60])
    (folder / "bad.jpg").write_bytes(b"no picture")
    result = predict("out", "--overlays", 4)
    assert (result.status, result.error) == (0, "")
    reasons = "1 unreadable picture b.png, 1 unreadable picture bad.jpg"
    assert f"skipped 2 ({reasons})" in result.out
    fits = Fits.load(tmp_path / "out" / "fits.npz")
    assert fits.id.tolist() == [0, 3, 4, 5]  # bad.jpg has a number, too
    assert_close(fits, Fits.load(tmp_path / "whole" / "fits.npz").select([0, 2, 3, 4]))
    finished = FinishedRun.open(tmp_path / "out")
    _, people = finished.read(np.arange(4))
    assert people.picture.tolist() == ["a.png", "c.png", "d.png", "e.png"]
    assert predict("out", "--overlays", 4).status == 0
    for path in folder.iterdir():
        path.write_bytes(b"no picture")
    assert "pictures: no people to see (1 unreadable picture a.png, " in predict("none").refusal
    assert not (tmp_path / "none").exists()


def test_a_picture_that_is_gone(predict, tmp_path):
    path = tmp_path / "boxes.json"
    content = {
        "images": [{"id": 1, "file_name": "gone.png"}, {"id": 2, "file_name": "a.png"}],
        "annotations": [{"id": i, "image_id": i, "bbox": [0, 0, 9, 9]} for i in (1, 2)],
    }
    path.write_text(json.dumps(content))
    result = predict("out", "--boxes", path)
    assert result.status == 0 and "skipped 1 (1 unreadable picture gone.png)" in result.out
    content["images"][0]["file_name"] = "../a.png"
    path.write_text(json.dumps(content))
    assert "../a.png" in predict("no", "--boxes", path).refusal


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--boxes", "boxes.json", "--mpii", "a.mat"), "give only one of --mpii and --boxes"),
        (("--whole-body",), "--whole-body belongs to --densepose-coco"),
        (("--boxes", "none.json"), "none.json: no such JSON file"),
        (("--mpii", "poses.npy"), "poses.npy: does not name people's pictures"),
        (("--checkpoint", "none"), "none: no such checkpoint file"),
        (("--checkpoint", "poses.npy"), "poses.npy: not a checkpoint"),
        (("--meshes", "stl"), "--meshes stl: choose one of obj, ply, glb"),
        (("--overlays", "-1"), "--overlays must be the number of fits to draw"),
        (("--focal", "long"), "'long' is no focal length"),
        (("--device", "tpu"), "--device tpu"),
    ],
)
def test_wrong_options(predict, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    np.save("poses.npy", np.arange(34.0)[None])
    assert message in predict("out", *arguments).refusal
    assert not (tmp_path / "out").exists()


def test_what_is_missing(bodyreg, predict, tmp_path, pictures):
    expected = "Missing from bodyreg predict: PICTURES; --checkpoint FILE; --out FOLDER"
    assert expected in bodyreg("predict").refusal
    here = tmp_path / "pictures" / "a.png"
    (tmp_path / "a.png").write_bytes(here.read_bytes())
    refusal = predict("out", folder=[here, tmp_path / "a.png"]).refusal
    assert "give files of one" in refusal
    refusal = predict("out", "--boxes", tmp_path / "b.json", folder=here).refusal
    assert "a file of people needs the pictures' folder" in refusal
    (tmp_path / "empty").mkdir()
    assert "no pictures in this folder" in predict("out", folder=tmp_path / "empty").refusal
    assert "none: no such picture file" in predict("out", folder=tmp_path / "none").refusal


def test_a_network_of_another_body(predict, bodyreg, tmp_path, body, body_file):
    path = tmp_path / "net.safetensors"
    untaught(SIDE, body=body.fingerprint).save(path)
    assert predict("own").status == 0
    refusal = predict("out", "--body", body_file).refusal
    assert f"has learnt another body ({body.fingerprint}) than" in refusal
    assert "--body" in refusal


def test_ids_that_name_two_people(predict, tmp_path):
    people = Observations.of_keypoints(
        ("pelvis", "neck"), np.array([[[9, 9], [9, 40]]] * 2), np.ones((2, 2)), id=np.array([3, 3]),
        picture=np.array(["a.png", "b.png"]),
    )  # fmt: skip
    people.save(tmp_path / "people.npz")
    refusal = predict("out", "--observations", tmp_path / "people.npz").refusal
    assert "people.npz: ids are not unique, so fits cannot be found by them" in refusal
