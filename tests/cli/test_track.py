"""People of a video: followed, smoothed, and written for other tools, by the commands."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from bodyreg.body import Parameters
from bodyreg.data import Fits, Observations
from bodyreg.npz import load_npz
from bodyreg.runs.finished import FinishedRun
from bodyreg.runs.record import read_record
from bodyreg.synthetic.motions.bvh import read_bvh
from tests.exchange.people import Glb

from .conftest import smpl_arrays

NAMES = (
    "pelvis", "left_knee", "right_knee", "left_ankle", "left_elbow", "right_elbow", "left_wrist",
    "right_wrist", "neck", "head",
)  # fmt: skip
SLOTS = [0, 4, 5, 7, 18, 19, 20, 21, 12, 15]


def walkers(moments: list[list[int]]) -> Observations:
    """People in T-pose who go to the right, in pictures frame_0.jpg, frame_2.jpg ..."""
    random = np.random.default_rng(0)
    rows = [(moment, person) for person, own in enumerate(moments) for moment in own]
    rows = random.permutation(rows)
    at = np.array([[300 + 400 * person + 5 * moment, 300] for moment, person in rows])
    xy = at[:, None] + smpl_arrays()["J"][SLOTS, :2] * [200.0, -200.0]
    return Observations.of_keypoints(
        NAMES,
        xy + random.normal(0, 1, xy.shape),
        np.ones(xy.shape[:2]),
        id=100 + np.arange(len(rows)),
        frame=np.float32(np.c_[at, np.full(len(at), 240)]),
        picture=np.array([f"frame_{2 * moment}.jpg" for moment, _ in rows]),
    )


@pytest.fixture
def run(bodyreg, tmp_path, body_file):
    """A run on a video in which the second person is not seen for two pictures."""
    walkers([list(range(6)), [1, 2, 5]]).save(tmp_path / "people.npz")
    bodyreg("register", "--observations", tmp_path / "people.npz", "--body", body_file,
            "--iterations", 30, "--out", tmp_path / "run")  # fmt: skip
    return tmp_path / "run"


def test_from_a_video_to_motion(bodyreg, tmp_path, run):
    out = tmp_path / "tracked"
    result = bodyreg("track", run, "--rate", 10, "--out", out)
    assert (result.status, result.error) == (0, "")
    first, second, last = result.out.splitlines()
    assert first == "9 fits of 2 people, the longest track in 6 pictures"
    assert second.startswith("mean acceleration of joints: ")
    assert last == f"results: {out}"

    single, fits = Fits.load(run / "fits.npz"), Fits.load(out / "fits.npz")
    np.testing.assert_array_equal(fits.id, single.id)
    for track, count in ((0, 6), (1, 3)):
        own = fits.select(fits.track == track)
        assert len(own) == count and np.ptp(own.segment_scale, axis=0).max() == 0
    record = json.loads((out / "run.json").read_text())
    assert record["command"].startswith("bodyreg track") and record["rate"] == 10
    assert bodyreg("evaluate", "--fits", out, "--truth", tmp_path / "nowhere").refusal
    assert bodyreg("report", out).status == 0
    assert "tracks in a video of 10 pictures/s" in (out / "report.html").read_text()

    result = bodyreg("convert", out, "--to", "bvh", "--out", tmp_path / "bvh")
    assert (result.status, result.out) == (0, f"2 people: {tmp_path / 'bvh'}\n")
    assert sorted(p.name for p in (tmp_path / "bvh").iterdir()) == ["0.bvh", "1.bvh"]
    for track, count in ((0, 6), (1, 5)):  # the missing poses are there
        places, _ = read_bvh(tmp_path / "bvh" / f"{track}.bvh", 1000.0).place()
        assert len(places) == count
        assert "Frame Time: 0.100000000" in (tmp_path / "bvh" / f"{track}.bvh").read_text()
        steps = np.diff(places[:, 0, 0])  # 5 pixels of 1 / 200 metre
        np.testing.assert_allclose(steps, 0.025, rtol=0.5)
    bodyreg("convert", out, "--to", "glb", "--rate", 20, "--out", tmp_path / "glb", "--people", 1)
    (path,) = (tmp_path / "glb").iterdir()
    assert path.name == "1.glb"
    glb = Glb(path.read_bytes())
    times = glb.array(glb.gltf.animations[0].samplers[0].input)
    np.testing.assert_allclose(times, np.arange(5) / 20)
    bodyreg("convert", out, "--to", "smpl", "--out", tmp_path / "smpl.npz")
    arrays = load_npz(tmp_path / "smpl.npz", kind="SMPL's")
    assert arrays["track"].tolist() == [0] * 6 + [1] * 3
    assert sorted(arrays["id"].tolist()) == sorted(fits.id.tolist())
    assert "has no track of this number" in bodyreg(
        "convert", out, "--to", "glb", "--out", tmp_path / "glb", "--people", 7
    ).refusal  # fmt: skip


def test_of_a_run_that_was_killed_and_has_moved(bodyreg, tmp_path, run, body_file, monkeypatch):
    """Its files are found, and numbers of its own fits are not those of the tracks."""
    monkeypatch.setattr("bodyreg.registration.smooth", lambda body, people, fits, *_, **__: fits)
    moved = tmp_path / "moved"
    run.rename(moved)
    for file in (body_file, tmp_path / "people.npz"):
        file.rename(moved / file.name)
    (moved / "truth.npz").touch()
    content = json.loads((moved / "run.json").read_text())
    truth = str(tmp_path / "nowhere" / "truth.npz")
    content |= {"people_of_earlier_starts": 8, "truth": truth}
    (moved / "run.json").write_text(json.dumps(content))
    for out, expected in (("a", moved / "truth.npz"), ("b", tmp_path / "nowhere" / "truth.npz")):
        assert bodyreg("track", moved, "--out", tmp_path / out, "--quiet").status == 0
        record, _ = read_record(tmp_path / out)
        assert (record.people_of_earlier_starts, record.people) == (0, 9)
        assert record.body.files.path == moved / body_file.name
        assert record.source.path == moved / "people.npz" and record.truth == expected
        assert len(FinishedRun.open(tmp_path / out)) == 9
        (moved / "truth.npz").unlink(missing_ok=True)


def test_the_same_bytes_each_time(bodyreg, tmp_path, run):
    for name in "ab":
        bodyreg("track", run, "--out", tmp_path / name, "--quiet")
    one, two = (load_npz(tmp_path / name / "fits.npz", kind="fits") for name in "ab")
    assert all(one[n].tobytes() == two[n].tobytes() for n in one if n != "provenance")


def test_a_person_does_not_depend_on_the_others(bodyreg, tmp_path, run, body_file):
    bodyreg("track", run, "--out", tmp_path / "all")
    together = Fits.load(tmp_path / "all" / "fits.npz")
    own = np.flatnonzero(together.track == 1)
    people = Observations.load(tmp_path / "people.npz")
    people.select(own).save(tmp_path / "one.npz")
    bodyreg("register", "--observations", tmp_path / "one.npz", "--body", body_file,
            "--iterations", 30, "--out", tmp_path / "run of one")  # fmt: skip
    bodyreg("track", tmp_path / "run of one", "--out", tmp_path / "one")
    alone = Fits.load(tmp_path / "one" / "fits.npz")
    for name in (*Parameters._fields, "loss", "joint_deviation"):
        assert getattr(together.select(own), name).tobytes() == getattr(alone, name).tobytes()


def test_what_cannot_be_tracked(bodyreg, tmp_path, run, body_file):
    assert "holds a run" in bodyreg("track", run, "--out", run).refusal
    out = tmp_path / "out"
    assert "--rate 0.0: must be" in bodyreg("track", run, "--out", out, "--rate", 0).refusal
    assert "no run.json" in bodyreg("track", tmp_path, "--out", out).refusal
    people = Observations.load(tmp_path / "people.npz")
    for change, message in (
        ({"picture": None}, "do not name their pictures"),
        ({"picture": np.array(["a.jpg"] * 9)}, "its name has no number"),
        ({"id": np.zeros(9, int)}, "ids are not unique"),
    ):
        replace(people, **change).save(tmp_path / "other.npz")
        other = tmp_path / f"run {message}"
        bodyreg("register", "--observations", tmp_path / "other.npz", "--body", body_file,
                "--iterations", 2, "--out", other)  # fmt: skip
        assert message in bodyreg("track", other, "--out", out).refusal
    assert not out.exists()
