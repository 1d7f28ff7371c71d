"""train/deform_and_learn.py: from made pictures to better labels, its options, and kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from bodyreg import Body, Fits, read_densepose_coco
from bodyreg.cli import main as bodyreg
from bodyreg.data.truth import Truth
from bodyreg.lifting import Lifter
from bodyreg.lifting.network import Generator
from bodyreg.metrics import Evaluator
from bodyreg.regression import Regressor
from bodyreg.training.loops import seeded
from tests.forked import run_pair
from train.deform_and_learn import PRESETS, Options, recipe_of
from train.deform_and_learn import main as train

ROOT = Path(__file__).parents[2]
FEW = ["--preset", "smoke", "--set", "learning.epochs=1", "registration.iterations=40"]


@pytest.fixture(scope="module")
def made(demo):
    """The options that name the seven people of the demonstration, and their pictures."""
    folder = demo / "densepose-coco"
    return ["--densepose-coco", str(folder / "densepose.json"), "--images", str(folder / "images")]


def again(made) -> list[str]:
    """The same people as another data set."""
    return ["densepose-coco", made[1], made[3]]


def rounds(out: Path) -> list[dict]:
    return json.loads((out / "history.json").read_text())["rounds"]


def test_smoke(tmp_path, capsys):
    """Labels of the second round have at most 0.8 times the errors of those of the first one.

    People are seen from all sides, and without depths the paper's cold fits do not know from which.
    The network has learnt from those that found the right side, and tells the others.
    """
    made, out = tmp_path / "made", tmp_path / "run"
    options = ["--people", "600", "--seed", "12", "--size", "128", "--workers", "1", "--quiet"]
    assert bodyreg(["synthesize", *options, "--out", str(made)]) == 0
    folder = made / "densepose-coco"
    command = ["--densepose-coco", str(folder / "densepose.json"), "--images"]
    command += [str(folder / "images"), "--truth", str(folder / "truth.npz"), "--out", str(out)]
    assert train(["--preset", "smoke", *command]) == 0
    printed = capsys.readouterr().out
    assert printed.count("% of the time\n") == 2 and "round 2: labels 1" in printed
    first, second = (entry["register"]["labels"][0]["bone_mpjpe"] for entry in rounds(out))
    assert second <= 0.8 * first


def test_kill_9(made, tmp_path, monkeypatch):
    """While it learns; the same command then writes what a run that was not killed writes."""
    options = [
        *made,
        *FEW,
        "rounds=1",
        "learning.epochs=220",
        "architecture.width=8",
        "side=16",
        "--depths",
        "none",
        "--out",
        "run",
    ]
    command = [sys.executable, "-m", "train.deform_and_learn", *options]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed.mkdir(), whole.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=killed, env=environment)
    try:
        state = killed / "run" / "round1" / "learn.state.safetensors"
        while process.poll() is None and not state.exists():
            time.sleep(0.02)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    for folder in (killed, whole):
        monkeypatch.chdir(folder)
        assert train(options) == 0
    names = ["regressor.safetensors", "round1/learn.safetensors", "round1/labels1.npz"]
    for name in names:
        assert (killed / "run" / name).read_bytes() == (whole / "run" / name).read_bytes()
    assert not state.exists()


def test_two_processes_share_a_run(made, tmp_path):
    """They end where one does, up to rounding, and the first one writes and prints."""
    more = ["rounds=1", "learning.epochs=3", "lifter.steps=3", "lifter.width=16"]
    options = [*made, *FEW, *more, "--depths", "robust", "--out"]
    assert train([*options, str(tmp_path / "one")]) == 0
    done = run_pair(train, [*options, tmp_path / "two"])
    assert done.statuses == [0, 0], done.stderr
    assert done.stdout.count("round 1: ") == done.stdout.count("7 people; ") == 1
    files = [
        sorted(str(p.relative_to(tmp_path / n)) for p in (tmp_path / n).rglob("*.*"))
        for n in ("one", "two")
    ]
    assert files[0] == files[1]
    for name in ("lifter.safetensors", "round1/labels1.npz"):
        assert (tmp_path / "one" / name).exists()
    one, two = (
        Regressor.load(tmp_path / name / "regressor.safetensors") for name in ("one", "two")
    )
    start = Regressor.new(one.network.architecture, one.side)
    weights = [torch.cat([p.flatten() for p in r.network.parameters()]) for r in (start, one, two)]
    moved, apart = (weights[1] - weights[0]).norm(), (weights[2] - weights[1]).norm()
    assert apart < 1e-4 * moved
    labels = [Fits.load(tmp_path / n / "round1" / "labels1.npz").pose for n in ("one", "two")]
    np.testing.assert_array_equal(*labels)


def test_errors_are_those_of_evaluate(made, demo, body: Body, tmp_path, capsys):
    """Of the labels of two data sets, and of people who are held out."""
    out, truth = tmp_path / "run", str(demo / "densepose-coco" / "truth.npz")
    command = [*made, *FEW, "shares=1,1", "last_shares=0,1", "--out", str(out)]
    command += ["--also", *again(made), "--truth", truth, truth]
    assert train([*command, "--held-out", *again(made), truth]) == 0
    evaluate, known = Evaluator(body), Truth.load(truth)
    for number, entry in enumerate(rounds(out), 1):
        errors = entry["register"]["labels"]
        assert [error["data_set"] for error in errors] == [1, 2][number - 1 :]
        for error in errors:
            fits = Fits.load(out / f"round{number}" / f"labels{error['data_set']}.npz")
            expected = evaluate(fits, known)
            for name in ("bone_mpjpe", "pa_mpjpe"):
                assert error[name] == pytest.approx(expected[name].mean(), rel=1e-5)
        assert set(entry["measure"]["held_out"][0]) == {"network", "refined"}
    printed = capsys.readouterr().out
    assert "; network " in printed and "; refined " in printed
    assert Regressor.load(out / "regressor.safetensors").facts["people"] == 14


def depths(out: Path) -> np.ndarray:
    return Fits.load(out / "round1" / "labels1.npz").terms["depth"]


def test_where_depths_come_from(made, tmp_path):
    with seeded(0):
        Lifter(Generator(16)).save(tmp_path / "lifter.safetensors")
    sources = {
        "none": ["--depths", "none"],
        "given": ["--depths", "given"],
        "file": ["--lifter", str(tmp_path / "lifter.safetensors")],
        "taught": ["--depths", "robust"],
    }
    found = {}
    for name, options in sources.items():
        more = ["lifter.width=16", "lifter.steps=3"] if name == "taught" else []
        command = [*made, *FEW, "rounds=1", *more, *options, "--out", str(tmp_path / name)]
        assert train(command) == 0
        found[name] = depths(tmp_path / name)
    assert not found["none"].any()
    assert all((found[name] > 0).any() for name in ("given", "file", "taught"))
    assert (found["given"] < found["file"]).mean() > 0.5  # those of a lifter that knows nothing
    assert (tmp_path / "taught" / "lifter.safetensors").exists()
    assert not (tmp_path / "given" / "lifter.safetensors").exists()


def recipe(*options: str, **fields):
    return recipe_of(Options(out=Path("x"), set=options, **fields))


def test_every_part_of_a_recipe_can_be_set():
    found = recipe(
        "rounds=7", "learning.losses.parameter_weight=0", "learning.losses.joint_weight=0.5",
        "registration.warm_iterations=30", "registration.starts=2", "labels.keep_best=false",
        "labels.confidence=both", "starts=labels", "shares=0.25,0.75", "further=true",
        "lifter.steps=9", "architecture.width=8", "side=32",
    )  # fmt: skip
    assert (found.rounds, found.starts, found.shares, found.further) == (
        7, "labels", (0.25, 0.75), True,
    )  # fmt: skip
    assert found.learning.losses.parameter_weight == 0
    assert found.learning.losses.of_bodies == ("joint",)
    assert (found.registration.warm_iterations, found.registration.starts) == (30, 2)
    assert (found.labels.keep_best, found.labels.confidence) == (False, "both")
    assert (found.lifter.steps, found.architecture.width, found.side) == (9, 8, 32)
    accurate = recipe(labels="accurate")
    assert accurate.registration.prior_weight > 0 and accurate.labels.confidence == "deviation"
    assert recipe(preset="paper", labels="accurate").labels.confidence == "none"
    assert recipe(preset="paper", depths="paper").lifter.adversarial_weight == 0.1
    assert recipe(depths="none").lifter is None is recipe(depths="given").lifter


def test_presets_are_for_cpus_but_the_papers():
    paper, small, smoke = (PRESETS[name] for name in ("paper", "small", "smoke"))
    assert (paper.architecture.kind, paper.side, paper.rounds) == ("resnet50", 224, 5)
    assert paper.learning.epochs == 50 and not paper.labels.keep_best
    assert small.side == 64 and small.labels.keep_best and smoke.rounds == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "speed=3"], "--set speed=3: no field; choose one of "),
        (["--set", "further=perhaps"], "--set further=perhaps: not a value of further"),
        (["--set", "shares=a,b"], "--set shares=a,b: not a value of shares"),
        (["--set", "shares=1,1"], "2 shares of 1 data sets; give one for each"),
        (["--set", "lifter=3", "--depths", "none"], "--set lifter=3: not a value of lifter"),
        (["--set", "rounds=0"], "option rounds is 0"),
        (["--truth", "a", "b"], "--truth: 2 files of 1 data sets"),
        (["--truth", "none.npz"], "none.npz: no such truth file"),
        (["--also", "words", "a", "b"], "this version cannot read 'words'"),
        (["--held-out", "densepose-coco", "none.json", "b", "c"], "none.json: no such"),
        (["--lifter", "none", "--depths", "none"], "--lifter and --depths both say"),
        (["--device", "tpu"], "--device tpu: "),
    ],
)
def test_errors_are_one_line(made, tmp_path, capsys, options, message):
    out = tmp_path / "run"
    assert train([*made, "--out", str(out), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("train.deform_and_learn: error: ") and message in error
    assert error.count("\n") == 1 and not out.exists()


def test_another_run_is_refused_in_one_line(made, tmp_path, capsys):
    command = [*made, *FEW, "rounds=1", "--out", str(tmp_path)]
    assert train(command) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert train([*made, *FEW, "rounds=1", "learning.batch=3", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "holds a run with other learning.batch; give the same options" in error
    assert error.count("\n") == 1
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*.*")}


def test_people_are_those_of_the_files(made, tmp_path, body: Body):
    assert train([*made, *FEW, "rounds=1", "--out", str(tmp_path)]) == 0
    people, _ = read_densepose_coco(made[1], body)
    np.testing.assert_array_equal(Fits.load(tmp_path / "round1" / "labels1.npz").id, people.id)
