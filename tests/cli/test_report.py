"""bodyreg report: it finds the run's inputs, and names a missing one in one line."""

import base64
import json
import re
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from bodyreg import Body
from bodyreg.data import Fits, Observations, Truth
from bodyreg.data.fits import FitsFile
from bodyreg.errors import UserError
from bodyreg.flow.bodies import parts
from bodyreg.runs import report
from bodyreg.runs.finished import FinishedRun
from bodyreg.runs.record import BodyFiles, File
from bodyreg.viz.grounds import GROUND
from bodyreg.viz.report import TILE

from .conftest import made_observations


@pytest.fixture
def run(bodyreg, tmp_path, observations_file, body_file):
    out = tmp_path / "out"
    result = bodyreg(
        "register", "--observations", observations_file, "--body", body_file, "--out", out,
        "--iterations", 5, "--set", "dense_width=inf", "dense_width_start=inf",
    )  # fmt: skip
    assert result.status == 0
    return out


def test_a_report_of_plain_observations(bodyreg, run):
    result = bodyreg("report", run, "--people", 2)
    assert (result.status, result.error) == (0, "")
    assert result.out == f"report of 3 people, 2 shown, without truth: {run / 'report.html'}\n"
    assert "<!doctype html>" in (run / "report.html").read_text(encoding="utf-8")


def test_the_same_run_gives_the_same_report(bodyreg, run, tmp_path):
    pages = [tmp_path / "a.html", tmp_path / "b.html"]
    for page in pages:
        assert bodyreg("report", run, "--out", page).status == 0
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_people_are_read_in_the_order_asked_for(bodyreg, tmp_path, body_file, monkeypatch):
    """Across several batches, with skipped people in the file."""
    monkeypatch.setattr("bodyreg.runs.finished.AT_ONCE", 3)
    observations = made_observations(8)
    observations.keypoint_xy += np.arange(8, dtype=np.float32)[:, None, None]
    observations.point_weight[observations.point_person == 2] = 0
    observations.keypoint_weight[2] = 0
    observations.save(tmp_path / "people.npz")
    bodyreg(
        "register", "--observations", tmp_path / "people.npz", "--body", body_file,
        "--iterations", 2, "--out", tmp_path / "out",
    )  # fmt: skip
    finished = FinishedRun.open(tmp_path / "out")
    rows = np.array([6, 0, 3, 2])
    fits, found = finished.read(rows)
    stored = Fits.load(tmp_path / "out" / "fits.npz").select(rows)
    np.testing.assert_array_equal(fits.id, stored.id)
    np.testing.assert_array_equal(found.id, [17, 10, 14, 13])
    kept = Observations.load(tmp_path / "people.npz").select(found.id - 10)
    np.testing.assert_array_equal(found.keypoint_xy, kept.keypoint_xy)
    assert [len(fits) for _, fits, _ in finished.batches()] == [3, 3, 1]


def test_people_without_a_number_are_neither_best_nor_worst():
    errors = np.array([3, np.nan, 1, 2, np.nan, 0, 5, 4], np.float32)
    assert report._choose(errors, 8).tolist() == [5, 2, 3, 1, 4, 0, 7, 6]
    assert report._choose(errors, 4)[[0, -1]].tolist() == [5, 6]
    assert report._choose(np.array([np.nan, 7]), 24).tolist() == [1, 0]


def test_all_inputs_are_named(run):
    finished = FinishedRun.open(run)
    record = finished.record
    files = {name: run / name for name in ("path", "uv", "landmarks", "proportions")}
    body = replace(
        record.body,
        files=BodyFiles(**files),
        charts_fingerprint=None,  # of an older run
        landmarks_fingerprint="1",
        proportions_fingerprint="2",
    )
    keypoints = replace(record.source, path=run / "keypoints")
    more = {
        "source": replace(record.source, keypoints=keypoints),
        "initial_fits": File(run / "initial", "3"),
        "regressor": File(run / "network", "4"),
        "body": body,
    }
    people = record.people_fingerprint
    assert report._inputs(replace(finished, record=replace(record, **more))) == [
        (str(record.source.path), people),
        (str(run / "keypoints"), people),
        (str(run / "path"), body.fingerprint),
        (str(run / "uv"), "unknown"),
        (str(run / "landmarks"), "1"),
        (str(run / "proportions"), "2"),
        (str(run / "initial"), "3"),
        (str(run / "network"), "4"),
    ]


def test_a_run_that_moved_with_what_it_has_read(
    bodyreg, run, tmp_path, observations_file, body_file
):
    moved = tmp_path / "elsewhere"
    shutil.move(run, moved)
    shutil.move(observations_file, moved / observations_file.name)
    shutil.move(body_file, moved / body_file.name)
    assert bodyreg("report", moved).status == 0


def test_a_demo_that_moved(bodyreg, demo, tmp_path):
    """Its people, pictures and truth lie inside its folder."""
    there = tmp_path / "elsewhere"
    shutil.copytree(demo, there)
    finished = FinishedRun.open(there)
    assert finished.source.images == there / "densepose-coco" / "images"
    assert len(finished.truth()) == 7
    shutil.rmtree(there / "densepose-coco" / "images")
    result = bodyreg("report", there)
    assert f"{there}/densepose-coco/images: the run has read its pictures here" in result.refusal


def moved(run, observations_file):
    observations_file.rename(observations_file.with_name("other.npz"))


def changed(run, observations_file):
    made_observations(4).save(observations_file)


def no_record(run, observations_file):
    (run / "run.json").unlink()


def damaged_record(run, observations_file):
    (run / "run.json").write_text("{")


def older_record(run, observations_file):
    record = json.loads((run / "run.json").read_text())
    del record["format"]
    record["version"] = "0.1.0"
    (run / "run.json").write_text(json.dumps(record))


def newer_record(run, observations_file):
    record = json.loads((run / "run.json").read_text())
    record["source"]["telepathy"] = True
    (run / "run.json").write_text(json.dumps(record))


def other_config(run, observations_file):
    record = json.loads((run / "run.json").read_text())
    record["config"]["luck_weight"] = 1.0
    (run / "run.json").write_text(json.dumps(record))


def no_fits(run, observations_file):
    (run / "fits.npz").unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (moved, "the run has read its people here, but nothing is there now; put it back"),
        (changed, "has changed since the run"),
        (no_record, "no run.json here"),
        (damaged_record, "run.json: not readable JSON"),
        (older_record, "was written by version 0.1.0 of bodyreg, this version reads"),
        (newer_record, "has 'telepathy', which a newer version wrote; update bodyreg"),
        (other_config, "config: has 'luck_weight', which a newer version wrote"),
        (no_fits, "fits.npz: no such fits file"),
    ],
)
def test_what_is_missing_is_said_in_a_line(bodyreg, run, observations_file, spoil, words):
    spoil(run, observations_file)
    assert words in bodyreg("report", run).refusal
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--people", 0), "--people must be at least 1"),
        (("--images", "nowhere"), "nowhere: no such folder"),
        (("--images", "."), "--images: the people of this run do not name their pictures"),
        (("--truth", "nowhere.npz"), "nowhere.npz: no such truth file"),
        (("--out", "fits.npz"), "--out fits.npz: the file is a .html, such as report.html"),
    ],
)
def test_flags_that_cannot_be(bodyreg, run, monkeypatch, flags, words):
    monkeypatch.chdir(run)
    assert words in bodyreg("report", run, *flags).refusal


def test_a_file_in_place_of_the_folder(bodyreg, run):
    line = bodyreg("report", run / "fits.npz").refusal
    assert line.endswith("fits.npz: is a file; give the run's folder\n")


def test_pictures_that_have_moved(bodyreg, demo, tmp_path):
    shutil.copytree(demo, tmp_path / "demo")
    images = tmp_path / "demo" / "densepose-coco" / "images"
    images.rename(tmp_path / "elsewhere")
    line = bodyreg("report", tmp_path / "demo").refusal
    assert f"{images}: the run has read its pictures here" in line
    assert "or name their folder with --images" in line
    moved = ("report", tmp_path / "demo", "--images", tmp_path / "elsewhere")
    assert bodyreg(*moved).status == 0


def picture_of(text):
    data = np.frombuffer(base64.b64decode(text), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR).astype(int)


def test_people_are_painted_in_a_pose(bodyreg, demo, tmp_path):
    """All those shown, before the report's ground, in the pose and not in their own."""
    fits = Fits.load(demo / "fits.npz").select([3])
    fits.save(tmp_path / "pose.npz")
    page = tmp_path / "a.html"
    words = ("report", demo, "--people", 3, "--out", page)
    plain = bodyreg(*words)
    assert plain.status == 0 and '"painted":' not in page.read_text(encoding="utf-8")
    result = bodyreg(*words, "--pose", tmp_path / "pose.npz")
    assert (result.status, result.out) == (0, plain.out)
    tiles = re.findall(r'"painted":"data:image/jpeg;base64,([^"]+)"', page.read_text("utf-8"))
    assert len(tiles) == 3
    frame = np.array([[TILE / 2, TILE / 2, TILE / 2]], np.float32)
    shown = parts(Body.default(), replace(fits, frame=frame, focal=None, principal_point=None),
                  (TILE, TILE))[0].numpy() > 0  # fmt: skip
    for tile in tiles:
        picture = picture_of(tile)
        person = np.abs(picture - GROUND).max(2) > 20
        overlap = (person & shown).sum() / (person | shown).sum()
        assert picture.shape == (TILE, TILE, 3) and overlap > 0.7
    assert "b.bvh: no such pose file" in bodyreg(*words, "--pose", tmp_path / "b.bvh").refusal


def test_mirrored_people_show_their_outside(demo, tmp_path, monkeypatch):
    """Bodies in T-pose are their own mirror images, and look the same: fit, start and side."""
    finished, tiles = FinishedRun.open(demo), []
    fit = finished.fits.read(0, 1)
    for mirror in (1, -1):
        path = tmp_path / f"{mirror}.npz"
        shown = replace(
            fit,
            pose=np.zeros_like(fit.pose),
            segment_scale=np.ones_like(fit.segment_scale),
            rotation=np.diag(np.float32([mirror, 1, 1]))[None],
        )
        shown.save(path)
        monkeypatch.setattr("bodyreg.registration.trace.trace", lambda *_, s=shown, **__: [s])
        record = replace(finished.record, initial_fits=File(path, "0"))
        run = replace(finished, fits=FitsFile(path), record=record)
        (person,) = report._people(run, np.array([0]), {}, None, None)["people"]
        tiles.append({n: picture_of(uri.split(",")[1]) for n, uri in person["tiles"].items()})
    for name in ("before", "fit", "side"):
        one, other = (found[name] for found in tiles)
        assert (np.abs(one - other).max(2) > 25).mean() < 0.005, name


def test_paintings_need_pictures(bodyreg, run):
    line = bodyreg("report", run, "--pose", run / "fits.npz").refusal
    assert "--pose: the run has no pictures of its people; give --images" in line


def test_a_truth_of_others(bodyreg, run, demo, tmp_path):
    path = demo / "densepose-coco" / "truth.npz"
    assert "holds no person 10" in bodyreg("report", run, "--truth", path).refusal
    truth = Truth.load(path)
    truth.frame[:, 0] += 1000
    truth.save(tmp_path / "truth.npz")
    result = bodyreg("report", demo, "--people", 1, "--out", tmp_path / "a.html", "--truth", path)
    assert f"1 shown, compared with {path}: " in result.out
    line = bodyreg("report", demo, "--truth", tmp_path / "truth.npz").refusal
    assert "truth.npz: 7 of 7 people are at other places of their pictures" in line


def test_fits_of_others(run):
    fits = Fits.load(run / "fits.npz")
    fits.id[1] = 99
    fits.save(run / "fits.npz")
    with pytest.raises(UserError, match="holds people that the run has not read"):
        FinishedRun.open(run).read(np.array([0]))


def test_ids_that_stand_twice(bodyreg, tmp_path, body_file):
    """Where all people with evidence have fits, these are in their order; else nothing tells."""
    people = replace(made_observations(4), id=np.array([7, 7, 8, 9]))
    people.keypoint_xy += np.arange(4, dtype=np.float32)[:, None, None]
    people.save(tmp_path / "people.npz")
    out = tmp_path / "out"
    bodyreg(
        "register", "--observations", tmp_path / "people.npz", "--body", body_file,
        "--iterations", 2, "--out", out,
    )  # fmt: skip
    _, found = FinishedRun.open(out).read(np.arange(4))
    np.testing.assert_array_equal(found.keypoint_xy, people.keypoint_xy)
    fits = Fits.load(out / "fits.npz")
    fits.select([2, 3]).save(out / "fits.npz")
    _, found = FinishedRun.open(out).read(np.arange(2))
    np.testing.assert_array_equal(found.keypoint_xy, people.keypoint_xy[2:])
    fits.select([1, 2, 3]).save(out / "fits.npz")
    line = bodyreg("report", out).refusal
    assert f"fits.npz: several people of {tmp_path / 'people.npz'} have the id 7" in line
    people.keypoint_weight[3] = 0
    kept = people.point_person < 3
    names = ("point_xy", "point_vertex", "point_barycentric", "point_weight")
    replace(
        people,
        point_start=np.minimum(people.point_start, kept.sum()),
        **{name: getattr(people, name)[kept] for name in names},
    ).save(tmp_path / "people.npz")
    bodyreg(
        "register", "--observations", tmp_path / "people.npz", "--body", body_file,
        "--iterations", 2, "--overlays", 2, "--out", tmp_path / "fewer",
    )  # fmt: skip
    assert (tmp_path / "fewer" / "overlays.png").exists()
    _, found = FinishedRun.open(tmp_path / "fewer").read(np.arange(3))
    np.testing.assert_array_equal(found.keypoint_xy, people.keypoint_xy[:3])
