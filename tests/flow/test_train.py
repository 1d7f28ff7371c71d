"""train/flow.py, from a made folder of pairs to a flow regressor."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch

from bodyreg import Body, Fits, register
from bodyreg.cli import main as bodyreg
from bodyreg.data.deepfashion import read_deepfashion
from bodyreg.flow import FlowLearningConfig, FlowRegressor
from tests.forked import run_pair
from train.flow import PRESETS, drawn, lessons_of
from train.flow import Options as FlowOptions
from train.flow import main as train


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Four people in five pictures each; 60 pairs to learn from."""
    out = tmp_path_factory.mktemp("made")
    command = ["synthesize", "--people", "20", "--seed", "3", "--formats", "deepfashion", "--quiet"]
    assert bodyreg([*command, "--out", str(out / "made")]) == 0
    return out / "made" / "deepfashion"


@pytest.fixture(scope="module")
def smoke(folder) -> list[str]:
    return ["--pairs-of", str(folder), "--preset", "smoke"]


def test_from_pairs_to_a_flow_regressor(folder, smoke, tmp_path, capsys):
    """Also the same command again, and a second one that goes on from the first."""
    out = tmp_path / "run"
    command = [*smoke, "--truth", str(folder / "truth.npz"), "--out", str(out)]
    assert train(command) == 0
    printed, path = capsys.readouterr().out, out / "flow.safetensors"
    assert printed.startswith("step ") and "held out epe " in printed
    assert "held out epe of fits " in printed and printed.endswith(f"flow regressor: {path}\n")
    regressor, fits = FlowRegressor.load(path), Fits.load(out / "fits.npz")
    assert regressor.architecture == PRESETS["smoke"].architecture and len(fits) == 20
    assert regressor.facts["command"].startswith("python -m train.flow --pairs-of ")
    data = read_deepfashion(folder)
    pairs = data.pairs["train"][:3]
    found = regressor.between(data.joints[pairs[:, 0]], data.joints[pairs[:, 1]], (256, 256))
    assert found.flow.isfinite().all() and found.flow.shape == (3, 256, 256, 2)
    kept = path.read_bytes()
    assert train(command) == 0 and path.read_bytes() == kept
    kept = (out / "fits.npz").read_bytes()
    assert train([*command, "--fits", str(out / "fits.npz"), "--set", "batch=4"]) == 2
    assert "of a run with other config; " in capsys.readouterr().err
    assert (out / "fits.npz").read_bytes() == kept
    more = [*smoke, "--fits", str(out / "fits.npz"), "--out", str(tmp_path / "more")]
    assert train([*more, "--start", str(path)]) == 0
    for other in (["--seed", "1"], ["--set", "held_out=0.6"]):
        assert train([*more[:-1], str(tmp_path / "leak"), "--start", str(path), *other]) == 2
        assert "has learnt from people who are held out now; " in capsys.readouterr().err
    again = FlowRegressor.load(tmp_path / "more" / "flow.safetensors")
    weights = [torch.cat([p.flatten() for p in r.network.parameters()]) for r in (regressor, again)]
    assert 0 < (weights[0] - weights[1]).abs().max() < 0.1  # some steps on, not another network


class Written:
    """Curves that are kept in memory."""

    def __init__(self):
        self.scalars, self.images = {}, {}

    def add_scalar(self, name, value, step):
        self.scalars[name, step] = value

    def add_image(self, name, picture, step, *, dataformats):
        assert dataformats == "HWC"
        self.images[name, step] = picture


def test_a_correction_and_its_pictures(folder, smoke, tmp_path, monkeypatch):
    """At the start it is what the fits say; after an epoch it is still near them."""
    written = Written()
    monkeypatch.setattr("train.options.curves", lambda folder: contextlib.nullcontext(written))
    options = [*smoke, "--truth", str(folder / "truth.npz"), "--out", str(tmp_path)]
    assert train([*options, "--set", "architecture.corrects=true"]) == 0
    regressor = FlowRegressor.load(tmp_path / "flow.safetensors")
    assert regressor.architecture.corrects
    (step,) = {step for name, step in written.scalars if name == "held out epe"}
    epe, fits = (written.scalars[f"held out epe{of}", step] for of in ("", " of fits"))
    assert 0 < epe < 1.5 * fits
    assert {name for name, _ in written.scalars} >= {"flow", "visibility", "parts", "epe"}
    picture = written.images["held out", step]
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.std() > 10

    settings = FlowOptions(
        pairs_of=folder, out=tmp_path, preset="smoke", truth=folder / "truth.npz"
    )
    data, body = read_deepfashion(folder), Body.default()
    found = Fits.load(tmp_path / "fits.npz")
    recipe, how = PRESETS["smoke"], regressor.architecture
    lessons, held_out = lessons_of(settings, recipe, body, data, found, how)
    assert len(lessons) + len(held_out) == len(data.pairs["train"]) and len(held_out) == 20
    assert np.array_equal(drawn(regressor, held_out), picture)


def test_two_processes_end_where_one_does(folder, smoke, body: Body, tmp_path):
    """Each computes a half of every batch, and normalises with all of it."""
    fits = tmp_path / "fits.npz"
    register(body, read_deepfashion(folder).observations()[0]).save(fits)
    options = [*smoke, "--fits", str(fits), "--set", "learning_rate=0.0001", "--out"]
    assert train([*options, str(tmp_path / "one")]) == 0
    done = run_pair(train, [*options, tmp_path / "two"])
    assert done.statuses == [0, 0], done.stderr
    assert done.stdout.count("flow regressor: ") == 1
    one, two = (FlowRegressor.load(tmp_path / n / "flow.safetensors") for n in ("one", "two"))
    start = FlowRegressor.new(one.architecture)
    states = [torch.cat([t.flatten() for t in r.network.state_dict().values()
                         if t.is_floating_point()]) for r in (start, one, two)]  # fmt: skip
    moved, apart = (states[1] - states[0]).norm(), (states[2] - states[1]).norm()
    assert apart < 1e-3 * moved, (apart, moved)


def test_joints_are_the_data_sets_or_the_bodies(folder, tmp_path):
    settings = FlowOptions(pairs_of=folder, out=tmp_path, preset="smoke")
    data, body = read_deepfashion(folder), Body.default()
    fits = register(body, data.observations()[0])
    how = PRESETS["smoke"].architecture
    seen = {}
    for name in ("detected", "fitted"):
        recipe = PRESETS["smoke"].__class__(
            **vars(PRESETS["smoke"]) | {"joints": name, "held_out": 0.0}
        )
        lessons, held_out = lessons_of(settings, recipe, body, data, fits, how)
        assert len(held_out) == 0 and lessons.fitted is None
        seen[name] = lessons.joints
    np.testing.assert_allclose(seen["detected"], data.joints / 8, rtol=1e-5)
    assert np.array_equal(np.isnan(seen["fitted"]), np.isnan(seen["detected"]))
    apart = np.linalg.norm(seen["fitted"] - seen["detected"], axis=2)
    assert 0.01 < np.nanmedian(apart) < 1.0


def test_the_papers_presets():
    paper, market = PRESETS["deepfashion"], PRESETS["market1501"]
    plain = FlowLearningConfig()
    assert all(getattr(paper, name) == value for name, value in vars(plain).items())
    how = paper.architecture, market.architecture
    assert [(h.kind, h.levels, h.size, h.radius) for h in how] == [
        ("unet", 5, (256, 256), 8.0),
        ("unet_v2", 4, (128, 64), 4.0),
    ]
    assert (paper.epochs, paper.batch, paper.learning_rate, paper.weight_decay) == (
        30, 8, 1e-4, 4e-4,
    )  # fmt: skip
    assert (paper.augmentation.across, paper.augmentation.down) == (20, 10)
    assert (market.augmentation.across, market.augmentation.down) == (5, 5)
    weights = paper.losses
    assert (weights.flow_weight, weights.visibility_weight, weights.part_weight) == (1, 1, 5)
    assert (weights.order, weights.full_size_weight) == ("fine", 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "speed=3"], "--set speed=3: no field; choose one of epochs, "),
        (["--set", "joints=guessed"], "joints 'guessed' are unknown; choose detected or fitted"),
        (["--set", "architecture.height=33"], "height 33: give a multiple of 16"),
        (["--set", "architecture.height=64"], "pictures of 256 x 256 pixels cannot be taught as"),
        (["--set", "architecture.corrects=true"], "learns from true bodies; give --truth"),
        (["--split", "valid"], "--split valid: no such pairs; choose one of train, test"),
        (["--start", "none"], "none: no such checkpoint file"),
        (["--fits", "none.npz"], "none.npz: no such fits file"),
        (["--truth", "none.npz"], "none.npz: no such truth file"),
        (["--set", "held_out=0.9"], "people cannot be held out"),
        (["--device", "tpu"], "--device tpu: "),
    ],
)
def test_errors_are_one_line(smoke, tmp_path, capsys, options, message):
    out = tmp_path / "run"
    assert train([*smoke, "--out", str(out), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("train.flow: error: ") and message in error
    assert error.count("\n") == 1 and not out.exists()


def test_fits_of_other_pictures_are_refused(folder, smoke, tmp_path, capsys):
    assert train([*smoke, "--out", str(tmp_path / "run")]) == 0
    fits = Fits.load(tmp_path / "run" / "fits.npz")
    for ids in (fits.id + 1000, fits.id - 5):
        fits.id = ids
        fits.save(tmp_path / "other.npz")
        options = ["--fits", str(tmp_path / "other.npz"), "--out", str(tmp_path / "other")]
        assert train([*smoke, *options]) == 2
        message = "the bodies' ids must be places in the file of joints, below 20"
        assert message in capsys.readouterr().err and not (tmp_path / "other").exists()
