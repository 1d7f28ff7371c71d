"""The experiments of the first paper, of a size that shows nothing but that they run."""

from __future__ import annotations

import json
import subprocess
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.experiments import __main__ as experiments
from benchmarks.experiments.bodies import figure, page, tasks, training
from benchmarks.experiments.bodies.people import album, true_fits, truths
from benchmarks.experiments.bodies.rows import ROUNDS, ROWS, SIZES
from benchmarks.experiments.clock import Clock
from benchmarks.experiments.tables import NOT_YET
from bodyreg import Body
from bodyreg.metrics import Evaluator, joint_errors, true_joints
from bodyreg.npz import load_npz
from bodyreg.pictures import read_picture
from bodyreg.regression import Regressor

SMOKE = SIZES["smoke"]
OTHER = {"accurate-fifth": 1, "pose": 1}
"""Rows that see fewer or more pictures than the others: name -> units."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """People, what needs no network, and three rows; one of them begins with another."""
    path = tmp_path_factory.mktemp("experiments")
    for task in tasks.tasks(SMOKE, ["five", "truth", "pose-then-accurate"]):
        assert experiments.main(["bodies", str(path), "--size", "smoke", "--task", task]) == 0
    return path


@pytest.mark.parametrize("size", list(SIZES))
def test_all_rows_see_as_many_pictures(size):
    size = SIZES[size]
    for name, row in ROWS.items():
        found = training.recipe(row, size)
        people = sum(size.learn[kind].count for kind in row.sets)
        units = OTHER.get(name, ROUNDS - 1 if row.begin else ROUNDS)
        seen = found.rounds * found.learning.epochs * people
        expected = units * size.epochs * (size.crowd + size.studio)
        assert seen == pytest.approx(expected, rel=0.1)
        assert found.side == size.side and found.lifter is None


def test_people_are_others_in_every_set():
    seeds = [p.seed for size in SIZES.values() for p in (*size.learn.values(), *size.held.values())]
    assert len(set(seeds)) == len(seeds) // len(SIZES)


def test_true_fits_differ_from_the_truth_by_the_shape_alone(folder, body: Body):
    people = folder / training.PEOPLE
    for kind, some in SMOKE.held.items():
        fits, seen = true_fits(some, people), album(some, people)
        joints = np.concatenate([true_joints(truth, body) for truth in truths(some, people)])
        np.testing.assert_array_equal(seen.joints, joints)
        assert joint_errors(fits, seen.joints, body)["pa_mpjpe"].max() < 40
        assert (seen.people.id == fits.id).all() and seen.people.keypoint_depth is None
        assert (fits.focal is None) == (kind == "crowd")


def test_errors_are_those_of_evaluate(folder, body: Body):
    row = "truth"
    errors = load_npz(folder / row / training.ERRORS, kind="errors")
    result = json.loads((folder / row / training.RESULT).read_text())
    regressor = Regressor.load(folder / row / "regressor.safetensors")
    config = training.recipe(ROWS[row], SMOKE).registration
    evaluate = Evaluator(body, lambda one, other: np.zeros(len(one)))  # the real ones are slow
    for kind, some in SMOKE.held.items():
        seen = album(some, folder / training.PEOPLE)
        fits = regressor.predict(seen.in_frames(SMOKE.side), seen.people, config)
        (truth,) = truths(some, folder / training.PEOPLE)
        expected = evaluate(fits, truth)
        for name in ("bone_mpjpe", "pa_mpjpe", "vertex", "pixel"):
            found = errors[f"{kind}.network.{name}"]
            np.testing.assert_allclose(found, expected[name], rtol=1e-4)
            mean = result["errors"][f"{kind}.network.{name}"]
            assert mean == pytest.approx(np.nanmean(expected[name]), rel=1e-4)
        assert len(errors[f"{kind}.refitted.vertex"]) == SMOKE.refits
        assert len(errors[f"{kind}.refined.vertex"]) == len(truth)


def test_what_is_finished_is_not_repeated(folder, monkeypatch):
    monkeypatch.setattr(training, "deform_and_learn", None)
    before = (folder / "five" / training.RESULT).read_text()
    assert training.run("five", SMOKE, folder)["seconds"] == json.loads(before)["seconds"]
    for task in tasks.tasks(SMOKE, ["five"]):
        assert experiments.main(["bodies", str(folder), "--size", "smoke", "--task", task]) == 0


def test_seconds_of_killed_processes_count(tmp_path):
    path = tmp_path / "seconds"
    path.write_text("1000")
    clock = Clock(path)
    assert clock() > 1000 and json.loads(path.read_text()) > 1000


def test_page(folder, tmp_path):
    path = tmp_path / "page.md"
    path.write_text("# Before\n<!-- tables:begin -->\nstale\n<!-- tables:end -->\nafter\n")
    page.write(path, SMOKE, folder)
    text = path.read_text()
    assert (
        text.startswith("# Before\n<!--") and text.endswith("-->\nafter\n") and "stale" not in text
    )
    results = page.Results(folder)
    row = next(row for row in text.splitlines() if row.startswith("| network: five rounds |"))
    found = [f"{results.error('five', k, 'network', 'bone_mpjpe'):.1f} / " for k in page.KINDS]
    assert all(error in row for error in found) and NOT_YET not in row
    assert f"| {ROWS['one'].title} | {NOT_YET} | {NOT_YET} |" in text
    labels = [row for row in text.splitlines() if row.startswith("| five rounds | labels |")]
    assert len(labels) == 1 and NOT_YET not in labels[0]
    assert results.change("five", "truth", "crowd").count(" ± ") == 1
    assert results.change("five", "one", "crowd") == "–"


def test_figure(folder, tmp_path):
    path = tmp_path / "figure.jpg"
    figure.write(path, SMOKE, tmp_path)
    assert not path.exists()
    figure.write(path, SMOKE, folder)
    drawn = read_picture(path)
    assert drawn.shape[0] > figure.SHOWN * figure.TILE
    assert 8 * figure.TILE < drawn.shape[1] < 9 * figure.TILE  # picture, truth, five, refined
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 1000


def test_tasks_come_after_what_they_need(tmp_path, monkeypatch):
    begun: list[str] = []

    def run(command, **options):
        begun.append(command[-1])
        status = 1 if command[-1] == "pose" else 0
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(experiments.subprocess, "run", run)
    words = ["bodies", str(tmp_path), "--processes", "1", "--only", "pose-then-accurate", "one"]
    assert experiments.main(words) == 1
    people = [p.name for p in (*SIZES["small"].held.values(), *SIZES["small"].learn.values())]
    before = [*people, "robust", "distilled", tasks.FLOOR]
    assert begun == [*before, "one", "pose"]
    begun.clear()
    assert experiments.main([*words[:5], "one"]) == 0
    assert begun == [*before, "one"]


def test_all_rows_have_an_order():
    """Each name is of one task: a row that is called as its lifter is would wait for itself."""
    wanted = tasks.tasks(SIZES["small"], list(ROWS))
    assert set(TopologicalSorter(wanted).static_order()) == set(wanted)
    before = tasks.tasks(SIZES["small"], [])
    assert len(wanted) == len(before) + len(ROWS)


def test_a_page_of_nothing(tmp_path):
    path = Path(tmp_path / "page.md")
    path.write_text("<!-- tables:begin --><!-- tables:end -->")
    page.write(path, SMOKE, tmp_path)
    assert NOT_YET in path.read_text()
