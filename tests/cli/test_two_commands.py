"""Two commands in one folder: the second is refused in one line, and shards never mix."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bodyreg.data import Fits
from bodyreg.runs import fitted_shards
from bodyreg.runs.lock import working_in
from bodyreg.synthetic import generate

from ..forked import PATIENCE, Forked
from . import holding
from .conftest import made_observations, smpl_arrays

HERE = Path(__file__).parent
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")},
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(HERE.parents[1]),
}
WORKING = "another bodyreg command is working in this folder"


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(fitted_shards, "PEOPLE_PER_SHARD", 4)
    monkeypatch.setattr(generate, "PICTURES_PER_SHARD", 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    np.savez(folder / "body.npz", **smpl_arrays())
    made_observations(10).save(folder / "people.npz")
    return folder


def commands(folder: Path) -> dict[str, list[str]]:
    """Commands that take several shards, without --out."""
    register = ["register", "--observations", str(folder / "people.npz"), "--quiet"]
    register += ["--body", str(folder / "body.npz"), "--preset", "paper", "--iterations", "2"]
    synthesize = ["synthesize", "--formats", "mpii", "--no-pictures", "--quiet"]
    return {"register": register, "synthesize": [*synthesize, "--people", "12", "--size", "96"]}


OTHER = {"register": ("--set", "det_weight=0.2"), "synthesize": ("--seed", "4")}


def content(out: Path) -> dict[str, str]:
    """Name -> SHA-256 of all files; fewer facts of run.json, which holds times."""
    found = {}
    for path in sorted(out.rglob("*")):
        if path.is_file():
            text = path.read_bytes()
            if path.name == "run.json" and path.parent == out:
                record = json.loads(text)
                text = json.dumps([record["config"], record["source"], record["people"]]).encode()
            if path.name == "fits.npz":
                text = Fits.load(path).pose.tobytes()
            found[str(path.relative_to(out))] = hashlib.sha256(text).hexdigest()
    return found


class Held:
    """A command that has stopped after its first shard."""

    def __init__(self, folder: Path, arguments: list[str], out: Path) -> None:
        self._mark, self._release = folder / "mark", folder / "release"
        self._process = Forked(holding.main, [self._mark, self._release, *arguments, "--out", out])
        limit = time.monotonic() + PATIENCE
        while not self._mark.exists():
            assert self._process.status is None, self._process.printed("stderr")
            assert time.monotonic() < limit
            time.sleep(0.01)

    def kill(self) -> None:
        self._process.kill()

    def finish(self) -> tuple[int | None, str]:
        self._release.touch()
        self._process.wait()
        return self._process.status, self._process.printed("stderr")


@pytest.mark.parametrize("name", ["register", "synthesize"])
def test_the_second_command_is_refused(bodyreg, folder, tmp_path, name):
    """With the same and with other options; the first command ends as if it were alone."""
    arguments = commands(folder)[name]
    alone = tmp_path / "alone"
    assert bodyreg(*arguments, "--out", alone).status == 0
    out = tmp_path / "out"
    held = Held(tmp_path, arguments, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    for options in ((), OTHER[name]):
        result = bodyreg(*arguments, *options, "--out", out)
        assert result.out == ""
        assert result.refusal == (
            f"bodyreg: error: {out}: {WORKING}; wait until it ends, or choose another folder\n"
        )
        assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert held.finish() == (0, "")
    assert content(out) == content(alone)


@pytest.mark.parametrize("name", ["register", "synthesize"])
def test_a_killed_command_lets_go(bodyreg, folder, tmp_path, name):
    """Its shards refuse another run; the same command finishes the run."""
    arguments = commands(folder)[name]
    alone = tmp_path / "alone"
    assert bodyreg(*arguments, "--out", alone).status == 0
    out = tmp_path / "out"
    Held(tmp_path, arguments, out).kill()
    result = bodyreg(*arguments, *OTHER[name], "--out", out)
    assert "holds the unfinished shards of another run" in result.refusal
    assert bodyreg(*arguments, "--out", out).status == 0
    assert content(out) == content(alone)


@pytest.mark.parametrize("name", ["register", "synthesize"])
def test_a_shard_of_another_run_is_not_joined(bodyreg, folder, tmp_path, name):
    """This could happen on a disk without locks."""
    arguments, shards = commands(folder)[name], []
    (tmp_path / "other").mkdir()
    for place, options in ((tmp_path, ()), (tmp_path / "other", OTHER[name])):
        out = place / "out"
        held = Held(place, [*arguments, *options], out)
        shards.append(min((out / "shards").glob("*.npz")))
        if options:
            held.kill()
        else:
            first = held
    shutil.copy(shards[1], shards[0])
    status, error = first.finish()
    assert status == 2
    assert error.count("\n") == 1 and f"{shards[0]}: is a shard of another run" in error
    results = [
        p.name for p in (tmp_path / "out").rglob("*") if p.name in ("fits.npz", "annot.json")
    ]
    assert results == []
    # Without the foreign shard, the same command finishes.
    shards[0].unlink()
    assert bodyreg(*arguments, "--out", tmp_path / "out").status == 0


def test_both_at_once(folder, tmp_path):
    """Two commands start together; the result always belongs to one of them."""
    done = subprocess.run(
        [sys.executable, HERE / "forks.py", "two_at_once", tmp_path, "10"]
        + commands(folder)["register"] + ["--out", "out"],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rounds = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(rounds) == 10
    for found in rounds:
        assert found["left"] == ["fits.npz", "run.json"]
        assert sorted(found["statuses"]) in ([0, 0], [0, 2])
        assert found["det_weight"] in found["of_finished"]
        assert found["poses"] == rounds[0]["pure"][str(found["det_weight"])]
    # The second comes while the first works, or later, when it has finished.
    refused = done.stderr.count(WORKING) + done.stderr.count("holds another run")
    assert refused == sum(2 in found["statuses"] for found in rounds)
    assert done.stderr.count("\n") == refused


@pytest.mark.parametrize(
    "arguments",
    [
        ("register", "--mpii", "poses.npy", "--out"),
        ("synthesize", "--people", 1, "--no-pictures", "--out"),
        ("demo", "--people", 1, "--out"),
        ("evaluate", "--fits", "fits.npz", "--truth", "truth.npz", "--out"),
        ("report",),
    ],
)
def test_every_command_that_writes_respects_the_lock(bodyreg, tmp_path, arguments):
    with working_in(tmp_path / "out"):
        before = sorted(tmp_path.rglob("*"))
        result = bodyreg(*arguments, tmp_path / "out")
        assert f"{tmp_path / 'out'}: {WORKING}" in result.refusal
        assert sorted(tmp_path.rglob("*")) == before
