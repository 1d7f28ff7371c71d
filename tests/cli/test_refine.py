"""`bodyreg refine`: a prediction, and a registration that starts from it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from bodyreg import Body, Fits, RegistrationConfig, UserError, read_densepose_coco, register
from bodyreg.cli import main
from bodyreg.regression import Regressor, crops_of
from bodyreg.runs import registration
from bodyreg.runs.finished import FinishedRun
from tests.forked import run_pair
from tests.regression.nets import untaught

FITTED = ("pose", "segment_scale", "rotation", "scale", "translation", "loss", "focal", "id")


@pytest.fixture
def network(tmp_path, body: Body) -> Regressor:
    regressor = untaught(64, seed=4, six_numbers=True, body=Body.default().fingerprint)
    regressor.save(tmp_path / "net.safetensors")
    return regressor


@pytest.fixture
def people(demo, tmp_path):
    """A folder that a test may spoil: the people of the demonstration, and their pictures."""
    folder = tmp_path / "people"
    shutil.copytree(demo / "densepose-coco", folder)
    return folder


@pytest.fixture
def refine(bodyreg, tmp_path, network, people):
    def call(out: str, *arguments: object):
        return bodyreg(
            "refine", people / "images", "--densepose-coco", people / "densepose.json",
            "--checkpoint", tmp_path / "net.safetensors", "--out", tmp_path / out, *arguments,
        )  # fmt: skip

    return call


def test_it_is_a_prediction_and_a_registration(refine, bodyreg, network, people, tmp_path):
    """By the commands, and by the functions."""
    result = refine("out", "--overlays", 2)
    assert (result.status, result.error) == (0, "")
    assert "network: 7 people in " in result.out and "on cpu, warm: " in result.out
    stages = "reading and cropping", "network", "outputs to fits", "registration"
    last = result.out.splitlines()[-2]
    assert last.startswith("median time of a person: ")
    assert [part.rsplit(" ", 2)[0] for part in last.partition(": ")[2].split(", ")] == list(stages)
    found = Fits.load(tmp_path / "out" / "fits.npz")

    body = Body.default()
    seen, _ = read_densepose_coco(people / "densepose.json", body)
    config = RegistrationConfig(warm_iterations=50)
    predicted = network.predict(crops_of(people / "images", seen, 64), seen, config)
    stored = Fits.load(tmp_path / "out" / "prediction" / "fits.npz")
    for name in ("pose", "segment_scale", "rotation", "scale", "translation"):
        np.testing.assert_allclose(getattr(stored, name), getattr(predicted, name), atol=1e-5)
    expected = register(body, seen, config, initial=stored)
    assert all(np.array_equal(getattr(found, n), getattr(expected, n)) for n in FITTED)
    assert (found.loss < register(body, seen, config, initial=stored, device="cpu").loss + 1).all()

    common = "--densepose-coco", people / "densepose.json", "--images", people / "images"
    initial = tmp_path / "out" / "prediction" / "fits.npz"
    arguments = *common, "--initial", initial, "--iterations", 50, "--out", tmp_path / "by_hand"
    assert bodyreg("register", *arguments).status == 0
    by_hand = Fits.load(tmp_path / "by_hand" / "fits.npz")
    assert all(np.array_equal(getattr(found, n), getattr(by_hand, n)) for n in FITTED)

    finished = FinishedRun.open(tmp_path / "out")
    assert finished.warm and finished.record.regressor is None
    assert finished.record.initial_fits.path == initial
    assert finished.config.warm_iterations == 50
    assert FinishedRun.open(tmp_path / "out" / "prediction").record.regressor is not None
    for run in (tmp_path / "out", tmp_path / "out" / "prediction"):
        truth = people / "truth.npz"
        assert bodyreg("evaluate", "--fits", run, "--truth", truth).status == 0
    assert bodyreg("report", tmp_path / "out", "--people", 2).status == 0


def test_other_solvers_and_iterations(refine, tmp_path):
    assert refine("lm", "--solver", "lm").status == 0
    config = FinishedRun.open(tmp_path / "lm").config
    preset = RegistrationConfig()
    assert (config.lm_iterations, config.warm_iterations) == (
        preset.lm_iterations, preset.warm_iterations,
    )  # fmt: skip
    assert refine("none", "--iterations", 0).status == 0
    fits = Fits.load(tmp_path / "none" / "fits.npz")
    predicted = Fits.load(tmp_path / "none" / "prediction" / "fits.npz")
    np.testing.assert_allclose(fits.pose, predicted.pose, atol=1e-4)
    np.testing.assert_allclose(fits.scale, predicted.scale, rtol=1e-4)


def test_a_finished_refinement_is_kept(refine, bodyreg, people, tmp_path):
    assert refine("out").status == 0
    before = (tmp_path / "out" / "fits.npz").read_bytes()
    result = refine("out")
    assert result.status == 0 and "the same run is finished here" in result.out
    assert "other configuration" in refine("out", "--iterations", 9).refusal
    untaught(64, seed=5).save(tmp_path / "net.safetensors")
    assert "other regressor" in refine("out").refusal
    assert (tmp_path / "out" / "fits.npz").read_bytes() == before

    arguments = "--densepose-coco", people / "densepose.json", "--iterations", 2
    assert bodyreg("register", *arguments, "--out", tmp_path / "fits").status == 0
    assert "fits: holds another run" in refine("fits").refusal
    assert sorted(path.name for path in (tmp_path / "fits").iterdir() if path.name[0] != ".") == [
        "fits.npz", "run.json",
    ]  # fmt: skip


def test_a_refinement_that_was_killed_goes_on(refine, tmp_path, monkeypatch):
    assert refine("whole").status == 0

    def dies(*_):
        raise UserError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(registration, "_register", dies)
        assert "killed" in refine("out").refusal
    assert (tmp_path / "out" / "prediction" / "fits.npz").is_file()
    result = refine("out")
    assert result.status == 0 and "network: 7" not in result.out
    assert "network " in result.out and "registration " in result.out
    whole, out = (Fits.load(tmp_path / name / "fits.npz") for name in ("whole", "out"))
    assert all(np.array_equal(getattr(whole, n), getattr(out, n)) for n in FITTED)


def test_people_whose_picture_cannot_be_read(refine, people, tmp_path):
    content = json.loads((people / "densepose.json").read_text())
    image = content["annotations"][2]["image_id"]
    (name,) = (i["file_name"] for i in content["images"] if i["id"] == image)
    gone = [a["id"] for a in content["annotations"] if a["image_id"] == image]
    assert refine("whole").status == 0
    (people / "images" / name).write_bytes(b"no picture")
    result = refine("out", "--overlays", 3)
    assert result.status == 0
    if len(gone) < 7:
        assert f"skipped {len(gone)} ({len(gone)} not seen by the network)" in result.out
    whole, out = (Fits.load(tmp_path / n / "fits.npz") for n in ("whole", "out"))
    assert out.id.tolist() == [number for number in whole.id.tolist() if number not in gone]
    some = whole.select(np.isin(whole.id, out.id))
    np.testing.assert_allclose(out.loss, some.loss, rtol=1e-3)
    skipped = FinishedRun.open(tmp_path / "out" / "prediction").record.skipped
    assert skipped == {f"unreadable picture {name}": len(gone)}


def test_two_processes_refine_as_one(refine, people, tmp_path):
    assert refine("one").status == 0
    arguments = [
        "refine", people / "images", "--densepose-coco", people / "densepose.json",
        "--checkpoint", tmp_path / "net.safetensors", "--out", tmp_path / "two",
    ]  # fmt: skip
    ended = run_pair(main, arguments)
    assert ended.statuses == [0, 0], ended.stderr
    assert ended.stdout.count("results: ") == 1 and "2 processes" in ended.stdout
    one, two = (Fits.load(tmp_path / name / "fits.npz") for name in ("one", "two"))
    for name in FITTED:
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "starts"), "--set starts: expected NAME=VALUE"),
        (("--mpii", "a.mat"), "give only one of --densepose-coco and --mpii"),
        (("--iterations", "-1"), "0 to"),
        (("--checkpoint", "none"), "none: no such checkpoint file"),
    ],
)
def test_wrong_options(refine, tmp_path, arguments, message):
    assert message in refine("out", *arguments).refusal
    assert not (tmp_path / "out").exists()


def test_what_is_missing(bodyreg, tmp_path, people):
    common = people / "images", "--checkpoint", "net", "--out", tmp_path / "out"
    refusal = bodyreg("refine", *common).refusal
    assert "Missing from bodyreg refine: one of --observations, --densepose-coco" in refusal
    assert "--boxes" not in refusal
