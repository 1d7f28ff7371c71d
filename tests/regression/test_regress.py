"""train/regress.py, from made pictures to a regressor that sees people in them."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch

from bodyreg import Body, Fits, read_densepose_coco
from bodyreg.lifting import Lifter
from bodyreg.lifting.network import Generator
from bodyreg.metrics import joint_errors
from bodyreg.regression import Album, Regressor, crops_of
from bodyreg.training.loops import seeded
from tests.forked import run_pair
from train.options import joints_of
from train.regress import main as train
from train.watching import drawn

FEW = ["epochs=2", "batch=4", "augmentation.mirror=0", "losses.dense_weight=2.5"]


@pytest.fixture(scope="module")
def made(demo):
    """The options that name the seven people of the demonstration, and their pictures."""
    folder = demo / "densepose-coco"
    return ["--densepose-coco", str(folder / "densepose.json"), "--images", str(folder / "images")]


def test_from_pictures_to_a_regressor(made, tmp_path, body: Body, capsys):
    """Also the same command again, and a second round that goes on from the first."""
    out = tmp_path / "run"
    command = [*made, "--out", str(out), "--set", *FEW]
    assert train(command) == 0
    path = out / "regressor.safetensors"
    printed = capsys.readouterr().out
    assert printed.startswith("step 2: parameter ") and "\n7 people, " in printed
    assert printed.endswith(f"regressor: {path}\n")
    regressor, labels = Regressor.load(path), Fits.load(out / "labels.npz")
    assert regressor.side == 64 and regressor.facts["people"] == 7 == len(labels)
    assert regressor.facts["command"].startswith("python -m train.regress --densepose-coco")

    people, _ = read_densepose_coco(made[1], body)
    crops = crops_of(made[3], people, 64)
    found = regressor.predict(crops, people)
    assert np.isfinite(found.vertices(body)).all() and found.focal is not None

    data = path.read_bytes()
    assert train(command) == 0 and path.read_bytes() == data
    second = [*made, "--out", str(tmp_path / "second"), "--fits", str(out / "labels.npz")]
    assert train([*second, "--start", str(path), "--set", *FEW]) == 0
    again = Regressor.load(tmp_path / "second" / "regressor.safetensors")
    before, after = (
        torch.cat([p.flatten() for p in r.network.parameters()]) for r in (regressor, again)
    )
    assert 0 < (before - after).abs().max() < 0.05  # some steps on, not another network
    kept = (out / "labels.npz").read_bytes()
    assert train([*second[:-3], str(out), *second[-2:], "--set", *FEW, "side=48"]) == 2
    assert "of a run with other " in capsys.readouterr().err
    assert (out / "labels.npz").read_bytes() == kept
    for more in (["--weights", "b"], ["--set", "side=32"], ["--set", "architecture.width=8"]):
        assert train([*second, "--start", str(path), *more]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "; leave out --" in error
    np.testing.assert_array_equal(Fits.load(tmp_path / "second" / "labels.npz").pose, labels.pose)


class Written:
    """Curves that are kept in memory."""

    def __init__(self):
        self.scalars, self.images = {}, {}

    def add_scalar(self, name, value, step):
        self.scalars[name, step] = value

    def add_image(self, name, picture, step, *, dataformats):
        assert dataformats == "HWC"
        self.images[name, step] = picture


def test_people_who_are_held_out_are_measured_and_drawn(
    made, demo, tmp_path, body: Body, capsys, monkeypatch
):
    """While the network learns, which ends with the same numbers as without."""
    truth, written = demo / "densepose-coco" / "truth.npz", Written()
    command = [*made, "--set", *FEW, "--out"]
    more = ["--held-out", "densepose-coco", made[1], made[3], str(truth)]
    with monkeypatch.context() as patch:
        patch.setattr("train.options.curves", lambda folder: contextlib.nullcontext(written))
        assert train([*command, str(tmp_path / "watched"), *more]) == 0
    printed = capsys.readouterr().out
    assert train([*command, str(tmp_path / "alone")]) == 0
    one, two = (
        Regressor.load(tmp_path / name / "regressor.safetensors") for name in ("watched", "alone")
    )
    for a, b in zip(one.network.parameters(), two.network.parameters(), strict=True):
        assert torch.equal(a, b)
    people, _ = read_densepose_coco(made[1], body)
    album = Album.of(made[3], people, 64, joints_of(truth, people, body))
    fits = one.predict(album.in_frames(64), people)
    expected = joint_errors(fits, album.joints, body)["bone_mpjpe"].mean()
    assert f"held out 1 bone_mpjpe {expected:.3f}" in printed
    assert written.scalars["held out 1 bone_mpjpe", 2] == pytest.approx(expected, rel=1e-6)
    assert written.scalars.keys() >= {("dense", 1), ("dense", 2), ("held out 1 pa_mpjpe", 2)}
    assert written.images.keys() == {("people", 2)}
    picture = drawn(body, one, album)
    np.testing.assert_array_equal(written.images["people", 2], picture)
    assert picture.shape == (512, 768, 3) and (picture[256:, 128:] == 255).all()
    inside = album.in_frames(64)[0].permute(1, 2, 0).numpy().astype(int)
    assert np.abs(picture[1:128:2, 1:128:2].astype(int) - inside).mean() < 12
    below = picture[128:256, :128].astype(int) != picture[:128, :128]
    seen = fits.seen(fits.vertices(body))[0, :, :2]
    xy = np.rint((seen * [1, -1] + 1) * 64 - 0.5).astype(int)
    xy = xy[((xy >= 0) & (xy < 128)).all(1)]
    assert below.any(2)[xy[:, 1], xy[:, 0]].mean() > 0.95 and below.any(2).mean() < 0.7


def test_two_processes_end_where_one_does(made, tmp_path):
    """Each computes a half of every batch; their sums are rounded in another order.

    By Adam: Muon moves a weight as far where its gradient is rounding alone.
    """
    options = [*made, "--set", "epochs=4", "batch=6", "muon=0", "--out"]
    assert train([*options, str(tmp_path / "one")]) == 0
    command = [*options, str(tmp_path / "two")]
    done = run_pair(train, command)
    assert done.statuses == [0, 0], done.stderr
    assert done.stdout.count("step 4: ") == done.stdout.count("7 people, ") == 1
    one, two = (
        Regressor.load(tmp_path / name / "regressor.safetensors") for name in ("one", "two")
    )
    start = Regressor.new(one.network.architecture, one.side)
    weights = [torch.cat([p.flatten() for p in r.network.parameters()]) for r in (start, one, two)]
    moved, apart = (weights[1] - weights[0]).norm(), (weights[2] - weights[1]).norm()
    assert apart < 1e-4 * moved
    done = run_pair(train, [*command, "--set", "batch=1"])
    assert done.statuses == [2, 2]
    assert done.stderr.count("2 processes cannot share 1 people of a batch; start fewer") == 1


def test_lifted_depths_teach(made, tmp_path):
    with seeded(0):
        Lifter(Generator(16)).save(tmp_path / "lifter.safetensors")
    command = [*made, "--out", str(tmp_path / "run"), "--set", *FEW]
    assert train([*command, "--lifter", str(tmp_path / "lifter.safetensors")]) == 0
    assert (Fits.load(tmp_path / "run" / "labels.npz").terms["depth"] > 0).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "speed=3"], "--set speed=3: no field; choose one of epochs, "),
        (["--set", "losses.speed=3"], "--set speed=3: no field; choose one of parameter_weight, "),
        (["--set", "losses=3"], "--set losses=3: has fields of its own"),
        (["--set", "epochs=many"], "--set epochs=many: not a value of epochs"),
        (["--start", "none"], "none: no such checkpoint file"),
        (["--weights", "none.pth"], "none.pth: no such weights file"),
        (["--set", "architecture.width=9"], "width 9: give a multiple of 8"),
        (["--device", "tpu"], "--device tpu: "),
        (["--fits", "none.npz"], "none.npz: no such fits file"),
    ],
)
def test_errors_are_one_line(made, tmp_path, capsys, options, message):
    out = tmp_path / "run"
    assert train([*made, "--out", str(out), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("train.regress: error: ") and message in error
    assert error.count("\n") == 1 and not out.exists()


def test_people_and_pictures_must_be_named(made, tmp_path, capsys):
    for options, message in ((made[2:], "must name the people"), (made[:2], "--images must name")):
        assert train([*options, "--out", str(tmp_path / "run")]) == 2
        assert message in capsys.readouterr().err
