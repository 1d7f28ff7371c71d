"""run.json: runs of other versions, runs that have moved, and values that cannot be."""

import copy
import json
import shutil
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import pytest

import bodyreg.registration
from bodyreg.errors import UserError
from bodyreg.registration import RegistrationConfig
from bodyreg.runs.finished import FinishedRun
from bodyreg.runs.plain import from_plain, to_plain
from bodyreg.runs.record import read_record

KEPT = Path(__file__).parent / "kept"
"""A run of the first version that wrote bodyreg-run-1, with what it has read."""


@pytest.fixture
def run(tmp_path) -> Path:
    return shutil.copytree(KEPT, tmp_path / "run")


def content(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())


def write(run: Path, record: object) -> None:
    (run / "run.json").write_text(json.dumps(record))


def test_a_run_of_an_older_version_opens(run):
    """A field of the configuration that was added since must say what this run did."""
    finished = FinishedRun.open(run)
    written = content(run)
    assert (len(finished), finished.warm) == (2, False)
    assert finished.record.version == "0.2.0"
    assert finished.record.skipped == {"no point and no keypoint": 1}
    assert finished.config.dense_width == np.inf and finished.config.iterations == 20
    for name, value in written["config"].items():
        assert getattr(finished.config, name) == (float(value) if value == "inf" else value)
    fits, observations = finished.read(np.array([1, 0]))
    np.testing.assert_array_equal(fits.id, [12, 10])
    np.testing.assert_array_equal(observations.id, [12, 10])
    assert finished.truth() is None
    assert (finished.source.path, finished.source.images) == (run / "people.npz", None)


def test_a_field_that_is_added_reads_as_older_runs_did(run, monkeypatch):
    @dataclass(frozen=True)
    class Newer(RegistrationConfig):
        luck_weight: float = field(default=1.0, metadata={"before": 0.25})

    @dataclass(frozen=True)
    class Careless(RegistrationConfig):
        luck_weight: float = 1.0

    monkeypatch.setattr(bodyreg.registration, "RegistrationConfig", Newer)
    assert FinishedRun.open(run).config.luck_weight == 0.25
    monkeypatch.setattr(bodyreg.registration, "RegistrationConfig", Careless)
    with pytest.raises(UserError, match=r"run.json: config: has no 'luck_weight'"):
        FinishedRun.open(run)


@pytest.mark.parametrize("path", [("config",), ("source",), ("body",), ("body", "files")])
def test_a_field_of_a_newer_version_is_refused(run, path):
    record = content(run)
    at = record
    for name in path:
        at = at[name]
    at["telepathy"] = True
    write(run, record)
    with pytest.raises(UserError, match=r"has 'telepathy', which a newer version wrote"):
        FinishedRun.open(run)


def test_a_fact_of_a_newer_version_is_ignored(run):
    record = content(run)
    record["weather"] = {"rain": True}
    write(run, record)
    assert len(FinishedRun.open(run)) == 2


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"version": "0.1.0", "options": {}}, "was written by version 0.1.0 of bodyreg, this"),
        ({"format": "bodyreg-run-2", "version": "9.0"}, "was written by version 9.0 of bodyreg"),
        ({"format": 1}, "was written by another program"),
        ([1], "was written by another program"),
        (None, "was written by another program"),
        ({"format": "bodyreg-run-1"}, "config: must be an object; the file is damaged"),
    ],
)
def test_other_formats_are_one_line(run, record, words):
    write(run, record)
    with pytest.raises(UserError, match=words) as error:
        FinishedRun.open(run)
    assert "\n" not in str(error.value)


def places(value: object, path: tuple = ()):
    """Where all values of a record are."""
    yield path
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield from places(inner, (*path, name))


FOREIGN = (None, True, -1, 7, 1e999, 1.5, "", "x", "inf", "a\0b", [], [[]], {}, {"a": {}}, 10**30)


def test_values_of_any_other_type(run):
    """Each value, by each of some others: the run opens, or is refused in one line."""
    record, errors = content(run), []
    for path in places(record):
        for foreign in FOREIGN:
            spoiled = copy.deepcopy(record)
            at = spoiled
            for name in path[:-1]:
                at = at[name]
            if path:
                at[path[-1]] = foreign
            write(run, spoiled if path else foreign)
            try:
                FinishedRun.open(run).read(np.array([0]))
            except UserError as error:
                errors.append(str(error))
    assert len(errors) > 500
    assert not any("\n" in error for error in errors)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"format": NaN', "\udc80"])
def test_text_that_is_not_json(run, text):
    (run / "run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=r"run\.json: not readable JSON"):
        read_record(run)


def test_the_built_in_body_of_another_version(run):
    record = content(run)
    record["body"]["files"]["path"] = None
    write(run, record)
    with pytest.raises(UserError, match=f"{run}: the built-in body of this version is not that of"):
        FinishedRun.open(run)


def test_files_at_their_old_place_or_in_the_folder(run, tmp_path):
    """A path outside of the run's folder; then the file is put into it."""
    record = content(run)
    outside = tmp_path / "elsewhere" / "people.npz"
    record["source"]["path"] = str(outside)
    write(run, record)
    assert FinishedRun.open(run).source.path == run / "people.npz"
    outside.parent.mkdir()
    (run / "people.npz").rename(outside)
    assert FinishedRun.open(run).source.path == outside
    outside.unlink()
    with pytest.raises(UserError, match=f"{outside}: the run has read its people here"):
        FinishedRun.open(run)


def test_plain_values_come_back():
    config = replace(RegistrationConfig.preset("paper"), dense_width=np.inf, six_numbers=True)
    text = json.dumps(to_plain(config, Path("here")), allow_nan=False)
    assert from_plain(RegistrationConfig, json.loads(text), "config", Path("there")) == config
    assert to_plain([Path("/a/b"), Path("here/c")], Path("here")) == ["/a/b", "c"]
    assert {f.name for f in fields(config)} == set(json.loads(text))
