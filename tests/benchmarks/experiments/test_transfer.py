"""The experiments of the second paper, of a size that shows nothing but that they run."""

from __future__ import annotations

from graphlib import TopologicalSorter

import numpy as np
import pytest

from benchmarks import flow
from benchmarks.experiments import __main__ as experiments
from benchmarks.experiments.tables import NOT_YET
from benchmarks.experiments.transfer import (
    figure,
    flows,
    lessons,
    page,
    painters,
    people,
    results,
    tasks,
)
from benchmarks.experiments.transfer.rows import (
    FLOW_ROWS,
    PAINTED,
    PAINTING_ROWS,
    ROWS,
    SIZES,
)
from bodyreg.flow import FlowArchitecture, FlowRegressor
from bodyreg.metrics.images import image_errors
from bodyreg.npz import load_npz
from bodyreg.painting import Painter
from bodyreg.pictures import read_picture
from bodyreg.transfer import Provenance

SMOKE = SIZES["smoke"]
DONE = ("refiner", "pixel", "correction")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """People, what needs no training, and some rows; one of them begins with another."""
    path = tmp_path_factory.mktemp("experiments")
    for task in tasks.tasks(SMOKE, DONE):
        words = ["transfer", str(path), "--size", "smoke", "--task", task]
        assert experiments.main(words) == 0
    return path


@pytest.mark.parametrize("size", list(SIZES))
def test_rows_cost_the_same(size):
    size = SIZES[size]
    for row in PAINTING_ROWS.values():
        below = PAINTING_ROWS[row.begin] if row.begin else None
        cost = sum(one.cost * one.steps(size) for one in (row, below) if one)
        share = row.share + (below.share if below else 0)
        assert cost == pytest.approx(share * size.painting_seconds, abs=1.5)
        assert painters.recipe(row, size).architecture.network.levels <= 5
        assert below is None or (below.bodies, below.seed) == (row.bodies, row.seed)
    for flow_row in FLOW_ROWS.values():
        assert flows.recipe(flow_row, size).architecture.size == (size.side, size.side)


def test_pairs_are_of_one_person_each():
    some = people.People(7, 5)
    pairs = some.pairs(6).reshape(7, 6, 2)
    assert (pairs // flow.VIEWS == np.arange(7)[:, None, None]).all()
    assert (pairs[..., 0] != pairs[..., 1]).all()
    assert all(len(np.unique(own, axis=0)) == 6 for own in pairs)
    every = np.sort(some.pairs(20).reshape(7, 20, 2) @ [100, 1], 1)
    np.testing.assert_array_equal(every, flow.pairs_of(35).reshape(7, 20, 2) @ [100, 1])


def test_people_stand_before_white(folder):
    pictures, foreground = people.pictures(SMOKE.held_out, folder)
    colours = pictures.permute(0, 2, 3, 1).numpy()
    assert colours.shape[:3] == foreground.shape == (10, SMOKE.side, SMOKE.side)
    outside = colours[~foreground]
    assert np.median(outside) == 255 and np.median(colours[foreground]) < 220
    shares = foreground.mean((1, 2))
    assert (shares > 0.05).all() and (shares < 0.9).all()


def test_true_bodies_cover_people_better_than_fits(folder):
    """Each person's own body, in its own shape, in both pictures of a pair."""
    _, foreground = people.pictures(SMOKE.held_out, folder)
    overlap = {}
    for bodies in PAINTED:
        held = lessons.held_out(SMOKE, bodies, folder)
        person = foreground[held.pairs.pairs[:, 1]]
        covered = held.provenance.numpy() != Provenance.BACKGROUND
        overlap[bodies] = ((covered & person).sum() / (covered | person).sum()).item()
        assert len(held) == len(held.paintings) == 40
    assert overlap["truth"] > max(0.8, overlap["fits"])


def test_pairs_are_seen_in_turn():
    rows = painters.in_turn(7, 18, 3)
    assert np.bincount(rows).min() == 2 and len(rows) == 18
    assert sorted(rows[:7]) == list(range(7)) and (rows[:7] != np.arange(7)).any()


def test_errors_are_those_of_the_kept_painter(folder):
    errors = load_npz(folder / "refiner" / painters.ERRORS, kind="errors")
    kept = results.kept(folder / "refiner")
    held = lessons.held_out(SMOKE, "fits", folder)
    painted = Painter.load(folder / "refiner" / painters.PAINTER).paint(held)
    _, foreground = people.pictures(SMOKE.held_out, folder)
    for row in (0, 21, 39):
        target = held.pairs.pairs[row, 1]
        pictures = [x.permute(1, 2, 0).numpy() for x in (painted[row], held.pictures[target])]
        expected = image_errors(*pictures, foreground[target])
        for name in ("l1_person", "ssim_person"):
            assert errors[name][row] == pytest.approx(expected[name])
    for name, values in errors.items():
        assert len(values) == 40 and kept.errors[name] == pytest.approx(np.nanmean(values))
    person, seen, hidden = (errors[f"l1_{region}"] for region in painters.REGIONS)
    assert (np.minimum(seen, hidden) < person + 0.1).all()


def test_a_new_correction_is_what_the_fits_say(folder):
    held, fits = people.load(SMOKE.held_out, folder), people.fits(SMOKE.held_out, folder)
    side = flow.SIDE
    new = FlowRegressor.new(FlowArchitecture("unet", 3, 2, side, side, corrects=True))
    way = flows.way(new, held, fits)
    for pair in ((0, 3), (7, 5)):
        found, expected = way(*pair), flow.of_fits(fits, *pair)
        on_body = expected[1] < 2
        np.testing.assert_allclose(found[0][on_body], expected[0][on_body], atol=1e-3)
        np.testing.assert_array_equal(found[1], expected[1])


def test_what_is_finished_is_not_repeated(folder, monkeypatch):
    monkeypatch.setattr(painters, "train_painter", None)
    monkeypatch.setattr(flows, "train_flow", None)
    before = [(folder / name / results.RESULT).read_text() for name in DONE]
    for task in tasks.tasks(SMOKE, DONE):
        assert experiments.main(["transfer", str(folder), "--size", "smoke", "--task", task]) == 0
    assert before == [(folder / name / results.RESULT).read_text() for name in DONE]


def test_page(folder, tmp_path):
    path = tmp_path / "page.md"
    path.write_text("# Before\n<!-- tables:begin -->\nstale\n<!-- tables:end -->\nafter\n")
    tasks.write(path, SMOKE, folder)
    text = path.read_text()
    assert text.startswith("# Before\n<!--") and text.endswith("-->\nafter\n")
    assert "stale" not in text and "(page.jpg)" in text
    lines = text.splitlines()
    found = page.Results(SMOKE, folder)
    person = found.errors("refiner")["l1_person"]
    assert any(x.startswith(f"| refiner | fits | {person:.3f} | ") for x in lines)
    epe = found.errors("correction")["epe"]
    assert any(x.startswith(f"| {FLOW_ROWS['correction'].title} | {epe:.1f} | ") for x in lines)
    plain = found.errors(PAINTED["truth"])["ssim_hidden"]
    assert any("| true bodies | " in x and f" | {plain:.3f} | –" in x for x in lines)
    assert f"| {FLOW_ROWS['unet'].title} | {NOT_YET} |" in text
    change = found.change("refiner", PAINTED["fits"], "l1_person")
    own, plain = found.errors("refiner"), found.errors(PAINTED["fits"])
    assert change.startswith(f"{own['l1_person'] - plain['l1_person']:+.3f} ± ")
    assert found.change("pixel", "residual", "l1_person") == NOT_YET
    drawn = read_picture(path.with_suffix(".jpg"))
    people = SMOKE.held_out.count  # each as source, target, painting and two rows
    assert drawn.shape == (people * figure.TILE, 5 * figure.TILE, 3)
    legend = "source, target, painting without training, + pixel warping (half and half), refiner"
    assert figure.legend(folder) == legend and f" {legend}." in text


def test_a_page_of_nothing(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("<!-- tables:begin --><!-- tables:end -->")
    tasks.write(path, SMOKE, tmp_path)
    assert NOT_YET in path.read_text() and not path.with_suffix(".jpg").exists()


def test_all_rows_have_an_order():
    wanted = tasks.tasks(SIZES["small"], list(ROWS))
    assert set(TopologicalSorter(wanted).static_order()) == set(wanted)
    before = [*(some.name for some in SIZES["small"].people), tasks.floor.FLOOR, *PAINTED.values()]
    assert len(wanted) == len(before) + len(ROWS)
    assert wanted["pixel"][-1] == "half" and wanted["refiner-truth"][-1] == PAINTED["truth"]


def test_unknown_rows_and_sizes_are_refused(tmp_path, capsys):
    for more in (["--only", "refined"], ["--size", "large"]):
        with pytest.raises(SystemExit, match="2"):
            experiments.main(["transfer", str(tmp_path), *more])
        assert f"'{more[1]}': choose from " in capsys.readouterr().err
