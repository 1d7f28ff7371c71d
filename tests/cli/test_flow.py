"""`bodyreg flow`, end to end on people made here.

Reference: `flow.between` of the fits that the command has used.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bodyreg import Body
from bodyreg.cli import main
from bodyreg.data import Fits, read_deepfashion
from bodyreg.data.corr import read_corr
from bodyreg.flow import between
from bodyreg.pictures import read_picture, write_picture
from bodyreg.runs import flow as flows
from bodyreg.runs.finished import FinishedRun


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory) -> Path:
    """DeepFashion's folder of two people in five pictures each; plain pictures."""
    folder = tmp_path_factory.mktemp("made")
    words = "synthesize --people 10 --seed 31 --formats deepfashion --no-pictures --quiet --out"
    assert main([*words.split(), str(folder)]) == 0
    people = folder / "deepfashion"
    for number, name in enumerate(names(people)):
        colour = np.full((256, 256, 3), 20 * number, np.uint8)
        write_picture(people / "Img" / "img" / f"{name}.jpg", colour)
    return people


@pytest.fixture(scope="module")
def run(catalogue, tmp_path_factory) -> Path:
    """The folder of a run with fits of these people."""
    out = tmp_path_factory.mktemp("run") / "fits"
    words = ["register", "--deepfashion", catalogue, "--images", catalogue / "Img" / "img"]
    words += ["--iterations", 10, "--starts", 1, "--quiet", "--out", out]
    assert main([str(word) for word in words]) == 0
    return out


def names(catalogue: Path) -> list[str]:
    return list(read_deepfashion(catalogue).ids)


def corr_files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "corr").iterdir())}


def test_of_a_run(bodyreg, catalogue, run, tmp_path):
    out, pairs = tmp_path / "out", catalogue / "Label" / "pair_split.json"
    result = bodyreg("flow", "--run", run, "--pairs", pairs, "--out", out, "--drawn", 2)
    assert (result.status, result.error) == (0, "")
    assert "40 of 40 pairs in" in result.out and f"results: {out}" in result.out
    fits = Fits.load(run / "fits.npz")
    place = {name: i for i, name in enumerate(names(catalogue))}
    splits = json.loads(pairs.read_text())
    counts = np.zeros(3, int)
    for source, target in splits["train"] + splits["test"]:
        corr = read_corr(out / "corr" / f"{target}_{source}.corr")
        counts += np.bincount(corr.kind.reshape(-1), minlength=3)
        if source != names(catalogue)[0]:
            continue
        some = (fits.select([place[name]]) for name in (source, target))
        expected = between(Body.default(), *some, (256, 256))
        np.testing.assert_array_equal(corr.kind, expected.visibility[0])
        np.testing.assert_allclose(corr.flow, expected.flow[0], atol=1e-4)
    record = json.loads((out / "flow.json").read_text())
    assert record["pairs"] == 40 and record["skipped"] == {}
    assert record["shares"]["visible"] == pytest.approx(counts[0] / counts[:2].sum(), abs=1e-6)
    assert record["shares"]["background"] == pytest.approx(counts[2] / counts.sum(), abs=1e-6)
    assert read_picture(out / "flow.png").shape[1] > 5 * 240
    assert sorted(path.name for path in out.iterdir()) == ["corr", "flow.json", "flow.png"]

    again = bodyreg("flow", "--run", run, "--pairs", pairs, "--out", out)
    assert again.status == 0 and "the same flows are finished here" in again.out
    other = bodyreg("flow", "--run", run, "--pairs", pairs, "--split", "test", "--out", out).refusal
    assert "holds other flows (other pairs, sizes)" in other


def test_from_skeletons(bodyreg, catalogue, tmp_path):
    # Registered first, and the same fits give the same bytes.
    out, names_ = tmp_path / "out", names(catalogue)
    people = ("--deepfashion", catalogue, "--quiet", "--size", 256, 256)
    pair = ("--pair", names_[0], f"{names_[1]}.jpg")
    result = bodyreg("flow", *people, *pair, "--out", out)
    assert (result.status, result.out, result.error) == (0, "", "")
    file = f"{names_[1]}_{names_[0]}.corr"
    assert list(corr_files(out)) == [file]
    second = tmp_path / "second"
    words = ("--run", out / "fits", "--size", 256, 256, *pair, "--quiet", "--out", second)
    assert bodyreg("flow", *words).status == 0
    assert corr_files(second) == corr_files(out)
    by_faces = tmp_path / "faces"
    words = ("--run", out / "fits", "--size", 256, 256, *pair, "--visible", "face")
    assert bodyreg("flow", *words, "--out", by_faces).status == 0
    kinds = [read_corr(folder / "corr" / file).kind for folder in (out, by_faces)]
    np.testing.assert_array_equal(kinds[0] == 2, kinds[1] == 2)
    assert (kinds[0] != kinds[1]).any()


def test_a_killed_command_goes_on(bodyreg, catalogue, run, tmp_path, monkeypatch):
    words = ("--run", run, "--pairs", catalogue / "Label" / "pair_split.json", "--quiet")
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert bodyreg("flow", *words, "--out", whole).status == 0
    monkeypatch.setattr(flows, "PAIRS_PER_SHARD", 6)
    written, write = [], flows._Work._write

    def killed(work, pairs):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(pairs)
        return write(work, pairs)

    with monkeypatch.context() as patch:
        patch.setattr(flows._Work, "_write", killed)
        assert bodyreg("flow", *words, "--out", out).status == 130
    assert not (out / "flow.json").exists() and len(corr_files(out)) == 18
    other = bodyreg("flow", *words, "--visible", "face", "--out", out).refusal
    assert "unfinished shards of another run (other visibility)" in other
    written.clear()
    monkeypatch.setattr(
        flows._Work, "_write", lambda work, pairs: written.append(pairs) or write(work, pairs)
    )
    assert bodyreg("flow", *words, "--out", out).status == 0
    assert sum(map(len, written)) == 40 - 18
    assert corr_files(out) == corr_files(whole)
    records = [json.loads((folder / "flow.json").read_text()) for folder in (out, whole)]
    assert records[0]["shares"] == records[1]["shares"]


def test_the_largest_person_of_a_picture(bodyreg, demo, tmp_path):
    run_ = FinishedRun.open(demo)
    fits, people = run_.read(np.arange(len(run_)))
    pictures, counts = np.unique(people.picture, return_counts=True)
    picture = pictures[counts.argmax()]
    there = np.flatnonzero(people.picture == picture)
    assert len(there) > 1
    largest = fits.select([there[fits.frame[there, 2].argmax()]])
    out = tmp_path / "out"
    assert bodyreg("flow", "--run", demo, "--pair", picture, picture, "--out", out).status == 0
    ((_, content),) = corr_files(out).items()
    width, height = np.frombuffer(content[:8], "<i4")
    assert (width, height) == tuple(people.picture_size[there[0]])
    shown = between(run_.body, largest, largest, (int(height), int(width))).visibility[0]
    found = np.frombuffer(content[-width * height :], np.uint8)
    np.testing.assert_array_equal(found, shown.numpy().reshape(-1))


def test_pairs_without_a_fit_are_skipped(bodyreg, catalogue, run, tmp_path):
    first, second, *_ = names(catalogue)
    few = {"test": [[first, second], [first, "nowhere"]]}
    (tmp_path / "pairs.json").write_text(json.dumps(few))
    words = ("--run", run, "--pairs", tmp_path / "pairs.json", "--out", tmp_path / "out")
    result = bodyreg("flow", *words)
    assert "skipped 1 (1 with a picture that has no fit)" in result.out
    assert list(corr_files(tmp_path / "out")) == [f"{second}_{first}.corr"]


def test_refusals_leave_nothing(bodyreg, catalogue, run, tmp_path):
    out = tmp_path / "out"
    first, second, *_ = names(catalogue)
    pair, run_ = ("--pair", first, second), ("--run", run)
    pairs = tmp_path / "pairs.json"
    pairs.write_text(json.dumps({"test": [], "train": [[first, second]]}))

    def refused(*arguments: object) -> str:
        line = bodyreg("flow", "--out", out, *arguments).refusal
        assert not out.exists()
        return line

    assert (
        "--pairs FILE or --pair SOURCE TARGET; --run FOLDER or one of --observations" in refused()
    )
    assert "Missing from bodyreg flow: --out FOLDER" in bodyreg("flow", *run_, *pair).refusal
    assert "give one of --pairs and --pair" in refused(*run_, *pair, "--pairs", pairs)
    assert "--split belongs to --pairs" in refused(*run_, *pair, "--split", "test")
    assert "has no fit of 'x'" in refused(*run_, "--pair", first, "x")
    assert "no such" in refused(*run_, "--pairs", tmp_path / "nowhere.json")
    assert "no split 'validation' here; it has test, train" in refused(
        *run_, "--pairs", pairs, "--split", "validation"
    )
    assert "holds no pairs" in refused(*run_, "--pairs", pairs, "--split", "test")
    assert "--deepfashion is for a registration" in refused(
        *run_, *pair, "--deepfashion", catalogue
    )
    assert "no run.json here" in refused("--run", tmp_path, *pair)
    assert "--drawn must be" in refused(*run_, *pair, "--drawn", -1)
    assert "--size must be" in refused(*run_, *pair, "--size", 0, 5)
    assert "no such folder" in refused(*run_, *pair, "--images", tmp_path / "nowhere")


def test_a_picture_of_unknown_size(bodyreg, catalogue, tmp_path):
    first, second, *_ = names(catalogue)
    out = tmp_path / "out"
    words = ("--deepfashion", catalogue, "--pair", first, second, "--out", out)
    line = bodyreg("flow", *words, "--quiet").refusal
    assert f"does not tell the size of picture '{first}.jpg'" in line
    assert sorted(path.name for path in out.iterdir()) == ["fits"]  # a whole run, for the next try
