"""Runs in shards: killed, continued, shared by processes, larger than memory."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bodyreg.data import Fits, Observations
from bodyreg.runs import fitted_shards
from bodyreg.runs.lock import working_in

from ..forked import run_pair
from . import shards_of_four
from .conftest import made_observations, smpl_arrays

HERE = Path(__file__).parent
PEOPLE = 18
OPTIONS = ("--preset", "paper", "--iterations", "2", "--out", "out")
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")},
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(HERE.parents[1]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A body, and people for it: as one file, and as files that are cut differently from shards."""
    folder = tmp_path_factory.mktemp("scale")
    np.savez(folder / "body.npz", **smpl_arrays())
    people = made_observations(PEOPLE)
    people.point_weight[people.point_person == 5] = 0
    people.keypoint_weight[5] = 0
    people.save(folder / "people.npz")
    people.select(slice(0, 10)).save(folder / "few.npz")
    (folder / "shards").mkdir()
    for number, cut in enumerate([slice(0, 7), slice(7, 7), slice(7, 9), slice(9, PEOPLE)]):
        people.select(cut).save(folder / "shards" / f"{number}.npz")
    return folder


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(fitted_shards, "PEOPLE_PER_SHARD", 4)


@pytest.fixture
def register(bodyreg, folder, tmp_path, monkeypatch, small_shards):
    """Register in this process, in the test's own folder, with shards of four people."""
    monkeypatch.chdir(tmp_path)

    def call(people: str | Path = "people.npz", *options: object):
        return bodyreg(
            "register", "--observations", folder / people, "--body", folder / "body.npz",
            *OPTIONS, *options,
        )  # fmt: skip

    return call


def forks(what: str, root: Path, number: int, *arguments: object) -> list[dict]:
    done = subprocess.run(
        [sys.executable, HERE / "forks.py", what, root, str(number), *map(str, arguments)],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def command(folder: Path, people: str = "people.npz") -> list[str]:
    people = ("--observations", str(folder / people), "--body", str(folder / "body.npz"))
    return ["register", *people, *OPTIONS, "--quiet"]


def in_all_shards(runs: list[dict], *learned: str) -> None:
    """All runs left the same bytes and the same record, and no temporary files."""
    for run in runs:
        assert run["fits"] == runs[0]["fits"]
        assert run["left"] == ["fits.npz", *learned, "run.json"]
        for record in (run["record"], runs[0]["record"]):
            record.pop("people_of_earlier_starts", None)
        assert run["record"] == runs[0]["record"]


@pytest.mark.parametrize("learned", [(), ("proportions.json",)])
def test_killed_at_any_moment_of_writing(folder, tmp_path, learned):
    options = ["--learn-proportions"] * len(learned)
    step = 25 if learned else 13  # proportions take three more rounds of fits
    arguments = command(folder, "few.npz")
    whole, *runs = forks("kill_at_moments", tmp_path, step, *arguments, *options)
    assert whole["record"]["shards"] == 3
    assert len(runs) > 10
    assert all(run["statuses"][0] == -signal.SIGKILL for run in runs)
    assert sum(run["statuses"][1] == -signal.SIGKILL for run in runs) > len(runs) / 2
    assert all(run["statuses"][2] == 0 for run in runs)
    in_all_shards([whole, *runs], *learned)


def test_killed_at_random(folder, tmp_path):
    runs = forks("kill_at_random", tmp_path, 8, *command(folder))
    # The number of kills before the end is random; one is enough.
    assert any(run["kills"] for run in runs)
    in_all_shards(runs)


def test_shards_are_the_whole(bodyreg, register, tmp_path, monkeypatch):
    """Results do not depend on the shards; the person without evidence is left out and counted."""
    result = register()
    assert (result.status, result.error) == (0, "")
    assert "skipped 1 (1 no point and no keypoint, or all in one place)" in result.out
    cut = (tmp_path / "out" / "fits.npz").read_bytes()
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    monkeypatch.setattr(fitted_shards, "PEOPLE_PER_SHARD", 100)
    (tmp_path / "out").rename(tmp_path / "cut")
    register()
    assert (tmp_path / "out" / "fits.npz").read_bytes() == cut
    whole = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (record["shards"], whole["shards"]) == (5, 1)
    for name in ("people", "skipped", "mirrored", "median_pixel", "median_pixel_people"):
        assert record[name] == whole[name]
    assert record["loss"] == pytest.approx(whole["loss"], rel=1e-12)
    fits = Fits.load(tmp_path / "out" / "fits.npz")
    assert len(fits) == record["people"] == PEOPLE - 1
    assert record["loss"] == pytest.approx(fits.loss.mean(dtype=np.float64), rel=1e-6)
    assert sum(record["terms"].values()) == pytest.approx(record["loss"], rel=1e-5)


@pytest.mark.parametrize("kind", ["shards", "deflated"])
def test_shards_and_deflated_files_are_one_file(register, folder, tmp_path, kind):
    register()
    (tmp_path / "out").rename(tmp_path / "expected")
    expected = Fits.load(tmp_path / "expected" / "fits.npz")
    if kind == "deflated":
        with np.load(folder / "people.npz") as arrays:
            np.savez_compressed(folder / "deflated", **arrays)
        kind = "deflated.npz"
    assert register(kind).status == 0
    found = Fits.load(tmp_path / "out" / "fits.npz")
    assert vars(found).keys() == vars(expected).keys()
    for name, values in vars(expected).items():
        theirs = vars(found)[name]
        if not isinstance(values, dict):  # terms and doubts have names
            theirs, values = {name: theirs}, {name: values}
        assert theirs.keys() == values.keys()
        for key in values:
            np.testing.assert_array_equal(theirs[key], values[key])
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["source"]["path"] == str(folder / kind)


@pytest.fixture
def unfinished(register, monkeypatch):
    """A run that has ended after its second shard."""
    write = fitted_shards.FittedShards.write

    def fail(self, shard, *rest):
        if shard == 2:
            raise KeyboardInterrupt
        write(self, shard, *rest)

    with monkeypatch.context() as context:
        context.setattr(fitted_shards.FittedShards, "write", fail)
        assert register().status > 2
    return Path("out")


def test_an_unfinished_run_is_finished(register, unfinished):
    assert len(list(unfinished.glob("shards/*.npz"))) == 2
    (unfinished / "shards" / "00001.npz").write_bytes(b"damaged by a disk")
    result = register()
    assert result.status == 0
    assert "fitted before: 4 people" in result.out
    assert sorted(path.name for path in unfinished.iterdir()) == ["fits.npz", "run.json"]


@pytest.mark.parametrize(
    ("people", "options", "what"),
    [
        ("people.npz", ("--set", "det_weight=0.2"), "other configuration"),
        ("shards", (), "other people"),
        ("people.npz", ("--meshes", "ply"), "other meshes"),
    ],
)
def test_shards_of_another_run_are_refused(register, unfinished, people, options, what):
    before = sorted(unfinished.rglob("*"))
    refusal = register(people, *options).refusal
    assert what in refusal
    assert "remove the folder" in refusal
    assert sorted(unfinished.rglob("*")) == before


def test_a_folder_of_something_else_is_refused(register):
    Path("out/shards").mkdir(parents=True)
    Path("out/shards/holiday.jpg").touch()
    assert "another run (unknown)" in register().refusal
    assert Path("out/shards/holiday.jpg").exists()


def test_a_truncated_shard_is_refused_before_anything_is_done(register, folder, tmp_path):
    shards = tmp_path / "cut"
    shards.mkdir()
    for path in (folder / "shards").iterdir():
        content = path.read_bytes()
        (shards / path.name).write_bytes(content[: -100 if path.name == "3.npz" else None])
    assert "3.npz" in register(shards).refusal
    assert not Path("out").exists()


def test_a_bad_person_of_a_late_shard_is_named(register, tmp_path):
    people = made_observations(PEOPLE)
    people.point_xy[-1] = np.nan
    shards = tmp_path / "bad"
    people.select(slice(0, 9)).save(shards / "a.npz")
    people.select(slice(9, PEOPLE)).save(shards / "b.npz")
    assert register(shards).refusal == (
        f"bodyreg: error: {shards / 'b.npz'}: point_xy of person {people.id[-1]} is not finite\n"
    )
    assert not Path("out/fits.npz").exists()


def test_shards_of_other_keypoints_are_refused(register, tmp_path):
    people = made_observations(4)
    people.save(tmp_path / "mixed" / "a.npz")
    people.keypoint_name = ("head", *people.keypoint_name[1:])
    people.save(tmp_path / "mixed" / "b.npz")
    refusal = register(tmp_path / "mixed").refusal
    assert "b.npz: its keypoints are not those of a.npz" in refusal
    (tmp_path / "none").mkdir()
    assert "no .npz file" in register(tmp_path / "none").refusal


def test_initial_fits_of_shards(register, tmp_path):
    """In any order: every shard finds its people."""
    register()
    Path("out").rename("first")
    start = Fits.load("first/fits.npz")
    order = np.random.default_rng(0).permutation(len(start))
    start.select(order).save("start.npz")
    results = []
    for name in ("start.npz", "first/fits.npz"):
        Path("initial.npz").write_bytes(Path(name).read_bytes())
        assert register("people.npz", "--initial", "initial.npz").status == 0
        results.append(Fits.load("out/fits.npz").pose)
        shutil.rmtree("out")
    np.testing.assert_array_equal(results[0], results[1])
    assert np.abs(results[0] - start.pose).max() > 0
    start.select([0, 1, 2]).save("few.npz")
    assert "no person 13" in register("people.npz", "--initial", "few.npz").refusal


def test_overlays_and_meshes_of_shards(register, tmp_path, monkeypatch):
    result = register("people.npz", "--overlays", "5", "--meshes", "ply")
    assert result.status == 0
    assert len(list(Path("out/meshes").iterdir())) == PEOPLE - 1
    drawn = Path("out/overlays.png").read_bytes()
    monkeypatch.setattr(fitted_shards, "PEOPLE_PER_SHARD", 100)
    register("people.npz", "--overlays", "5", "--meshes", "ply")
    assert Path("out/overlays.png").read_bytes() == drawn


def test_memory_does_not_grow_with_the_people(folder, tmp_path):
    """Four times the people, 43 MB more on disk, in shards of 32."""
    sizes = {}
    for people in (400, 1600):
        observations = made_observations(people)
        some = np.tile(np.arange(20), 50)
        points = (some + 20 * np.arange(people)[:, None]).reshape(-1)
        thick = Observations(
            **{
                **vars(observations),
                "point_start": 1000 * np.arange(people + 1),
                **{
                    name: getattr(observations, name)[points]
                    for name in ("point_xy", "point_vertex", "point_barycentric", "point_weight")
                },
            }
        )
        path = tmp_path / f"{people}.npz"
        thick.save(path)
        sizes[str(people)] = path.stat().st_size / 1024
    runs = forks(
        "measure_memory", tmp_path, 32, ",".join(sizes), "register", "--quiet",
        "--observations", tmp_path / "NAME.npz", "--body", folder / "body.npz",
        "--preset", "paper", "--iterations", "1", "--out", "out",
    )  # fmt: skip
    assert [run["status"] for run in runs] == [0, 0]
    small, large = (run["memory"] for run in runs)
    growth = sizes["1600"] - sizes["400"]
    assert growth > 40_000
    assert large - small < growth / 4


def test_two_processes_one_of_which_dies(register, folder, tmp_path):
    """torchrun ends the other one. The second start shares the missing shards; the result is that
    of one process."""
    arguments = command(folder)[:-1]
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    first = subprocess.run(
        [sys.executable, *launcher, HERE / "shards_of_four.py", *arguments],
        env={**ENVIRONMENT, "DEAD": "1"}, cwd=tmp_path, timeout=300,
    )  # fmt: skip
    assert first.returncode != 0
    done = {path.name for path in Path("out/shards").glob("*.npz")}
    assert "00001.npz" in done
    assert "00003.npz" not in done
    second = run_pair(shards_of_four.main, arguments)
    assert second.statuses == [0, 0], second.stderr
    assert second.stdout.count("people/s") == 1
    assert "2 processes" in second.stdout
    shared = Path("out/fits.npz").read_bytes()
    record = json.loads(Path("out/run.json").read_text())
    assert record["processes"] == 2
    register()
    assert Path("out/fits.npz").read_bytes() == shared


def test_two_processes_respect_the_lock_of_another_run(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with working_in(tmp_path / "out"):
        before = sorted(tmp_path.rglob("*"))
        done = run_pair(shards_of_four.main, command(folder))
        assert sorted(tmp_path.rglob("*")) == before
    assert done.statuses == [2, 2]
    lines = [line for line in done.stderr.splitlines() if "another bodyreg command" in line]
    assert len(lines) == 1 and lines[0].startswith("bodyreg: error: out: ")


def test_two_processes_refuse_with_one_line(folder, tmp_path, monkeypatch):
    """The second process meets a bad person; both processes end."""
    monkeypatch.chdir(tmp_path)
    people = made_observations(6)
    people.point_xy[-1] = np.nan
    people.save(tmp_path / "bad.npz")
    arguments = ["register", "--observations", "bad.npz", "--body", str(folder / "body.npz")]
    done = run_pair(shards_of_four.main, [*arguments, *OPTIONS])
    lines = [line for line in done.stderr.splitlines() if line.startswith("bodyreg: error")]
    assert lines == ["bodyreg: error: bad.npz: point_xy of person 15 is not finite"]
    assert done.statuses == [2, 2]
    assert "UserError" not in done.stderr
