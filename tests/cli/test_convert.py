"""Fits written for other tools, by the command."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from bodyreg.body import Body
from bodyreg.body.mhr import MhrVertices
from bodyreg.data import Fits
from bodyreg.npz import load_npz
from tests.exchange.people import Glb, from_pelvis, random_fits

from .conftest import made_observations


@pytest.fixture
def fits(tmp_path) -> Fits:
    """Three people of the built-in body, each with proportions of its own."""
    random = np.random.default_rng(1)
    fits = Fits.concatenate([random_fits(random, 1) for _ in range(3)])
    fits = replace(fits, id=np.array([41, 7, 139]))
    fits.save(tmp_path / "fits.npz")
    return fits


def test_a_glb_for_each_person(bodyreg, tmp_path, fits):
    result = bodyreg("convert", tmp_path / "fits.npz", "--to", "glb", "--out", tmp_path / "glb")
    assert (result.status, result.error) == (0, "")
    assert result.out == f"3 people: {tmp_path / 'glb'}\n"
    assert sorted(p.name for p in (tmp_path / "glb").iterdir()) == ["139.glb", "41.glb", "7.glb"]
    vertices, _ = from_pelvis(Body.default(), fits)
    for person, number in enumerate(fits.id):
        glb = Glb((tmp_path / "glb" / f"{number}.glb").read_bytes())
        np.testing.assert_allclose(glb.vertices(), vertices[person], atol=1e-5)


@pytest.mark.parametrize("to", ["glb", "bvh"])
def test_nothing_is_left_where_one_person_cannot_be_written(bodyreg, tmp_path, fits, to):
    out = tmp_path / "out"
    words = ("convert", tmp_path / "fits.npz", "--to", to, "--out", out)
    (out / f"139.{to}").mkdir(parents=True)
    assert f"139.{to}: is a folder; name a file to write" in bodyreg(*words).refusal
    assert [path.name for path in out.iterdir()] == [f"139.{to}"]
    (out / f"139.{to}").rmdir()
    replace(fits, scale=fits.scale * np.float32([1, 1, 0])).save(tmp_path / "fits.npz")
    assert "the fit of person 139" in bodyreg(*words).refusal
    assert not list(out.iterdir())


def test_some_people_and_a_rate(bodyreg, tmp_path, fits):
    out = tmp_path / "bvh"
    result = bodyreg(
        "convert", tmp_path / "fits.npz", "--to", "bvh", "--out", out, "--people", 139, 7,
        "--rate", 12.5,
    )  # fmt: skip
    assert (result.status, result.out) == (0, f"2 people: {out}\n")
    assert sorted(p.name for p in out.iterdir()) == ["139.bvh", "7.bvh"]
    assert "Frames: 1\nFrame Time: 0.080000000\n" in (out / "7.bvh").read_text()


def test_parameters_of_smpl(bodyreg, tmp_path, fits):
    replace(fits, scale=fits.scale * [1, -1, 1]).save(tmp_path / "fits.npz")
    out = tmp_path / "new" / "smpl.npz"
    result = bodyreg("convert", tmp_path / "fits.npz", "--to", "smpl", "--out", out)
    assert (result.status, result.out) == (0, f"skipped 1 (1 mirrored)\n2 people: {out}\n")
    arrays = load_npz(out, kind="SMPL's")
    assert str(arrays["format"]) == "bodyreg-smpl-1"
    np.testing.assert_array_equal(arrays["id"], [41, 139])
    np.testing.assert_array_equal(arrays["segment_scale"], fits.segment_scale[[0, 2]])
    assert "bodyreg convert" in str(arrays["provenance"])


def test_the_body_of_a_run_and_its_pictures(bodyreg, tmp_path, body_file):
    """A run names its body; COCO's results take the numbers of its pictures."""
    people = made_observations()
    names = np.array(["a/000000000139.jpg", "b/COCO_val2014_000000000007.jpg", "12.png"])
    replace(people, picture=names).save(tmp_path / "people.npz")
    run = tmp_path / "run"
    bodyreg("register", "--observations", tmp_path / "people.npz", "--body", body_file,
            "--iterations", 5, "--out", run)  # fmt: skip
    for path in (run / "run.json", tmp_path / "people.json"):
        path.touch()
        result = bodyreg(
            "convert", run, "--to", "coco", "--out", path, "--annotations", tmp_path / "people.json"
        )
        assert "is read, so it cannot be written" in result.refusal
    result = bodyreg("convert", run, "--to", "coco", "--out", tmp_path / "results.json")
    assert (result.status, result.error) == (0, "")
    results = json.loads((tmp_path / "results.json").read_text())
    assert [r["image_id"] for r in results] == [139, 7, 12]
    assert all(len(r["keypoints"]) == 51 and 0 < r["score"] < 1 for r in results)
    result = bodyreg("convert", run / "fits.npz", "--to", "glb", "--out", tmp_path / "glb")
    assert result.status == 0
    assert Glb((tmp_path / "glb" / "10.glb").read_bytes()).vertices().shape == (96, 3)
    assert "omit --body" in bodyreg(
        "convert", run, "--to", "glb", "--out", tmp_path / "x", "--body", body_file
    ).refusal  # fmt: skip

    coco = {"images": [{"id": 50 + i, "file_name": n} for i, n in enumerate(names)]}
    (tmp_path / "coco.json").write_text(json.dumps(coco | {"annotations": []}))
    bodyreg("convert", run, "--to", "coco", "--out", tmp_path / "results.json",
            "--annotations", tmp_path / "coco.json", "--people", 12)  # fmt: skip
    (result,) = json.loads((tmp_path / "results.json").read_text())
    assert result["image_id"] == 52


def test_pictures_of_other_fits_in_the_folder_of_a_run(bodyreg, tmp_path, body_file):
    """They are found by the ids of the people."""
    people = replace(made_observations(), picture=np.array(["139.jpg", "7.jpg", "12.jpg"]))
    people.save(tmp_path / "people.npz")
    run, out = tmp_path / "run", tmp_path / "results.json"
    bodyreg("register", "--observations", tmp_path / "people.npz", "--body", body_file,
            "--iterations", 2, "--out", run)  # fmt: skip
    some = Fits.load(run / "fits.npz").select([2, 1])
    some.save(run / "some.npz")
    assert bodyreg("convert", run / "some.npz", "--to", "coco", "--out", out).status == 0
    assert [result["image_id"] for result in json.loads(out.read_text())] == [12, 7]
    replace(some, id=np.array([12, 77])).save(run / "some.npz")
    line = bodyreg("convert", run / "some.npz", "--to", "coco", "--out", out).refusal
    assert f"{run / 'some.npz'}: holds people that the run has not read" in line


def test_vertices_of_smpl_on_the_built_in_body(bodyreg, tmp_path, fits):
    out = tmp_path / "smpl.npz"
    bodyreg("convert", tmp_path / "fits.npz", "--to", "smpl", "--vertices", "--out", out)
    found, body = load_npz(out, kind="SMPL's")["vertices"], Body.default()
    vertices, _ = from_pelvis(body, fits)
    corners, share = body.smpl_points(np.arange(6890))
    expected = (vertices[:, corners] * share[..., None]).sum(2)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_vertices_of_mhr(bodyreg, tmp_path, fits):
    """Also of mirrored people: no rotation tells of them."""
    mirrored = replace(fits, scale=fits.scale * np.array([1, -1, 1], np.float32))
    mirrored.save(tmp_path / "fits.npz")
    out = tmp_path / "mhr.npz"
    result = bodyreg("convert", tmp_path / "fits.npz", "--to", "mhr", "--out", out)
    assert (result.status, result.out) == (0, f"3 people: {out}\n")
    arrays, body = load_npz(out, kind="MHR's"), Body.default()
    assert str(arrays["format"]) == "bodyreg-mhr-1" and arrays["id"].tolist() == [41, 7, 139]
    vertices, _ = from_pelvis(body, mirrored)
    table = MhrVertices.built_in()
    expected = (vertices[:, body.faces[table.face]] * table.barycentric[..., None]).sum(2)
    np.testing.assert_allclose(arrays["vertices"], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["walk.jpg", "1.jpg", "2.jpg"], "picture 'walk.jpg': its name has no number"),
        (["a1.jpg", "b1.jpg", "2.jpg"], "end with the same number"),
        (["", "1.jpg", "2.jpg"], "the picture of person 10 is not known"),
        (None, "do not name their pictures"),
    ],
)
def test_pictures_without_numbers(bodyreg, tmp_path, body_file, names, message):
    people = made_observations()
    replace(people, picture=names and np.array(names)).save(tmp_path / "people.npz")
    bodyreg("register", "--observations", tmp_path / "people.npz", "--body", body_file,
            "--iterations", 2, "--out", tmp_path / "run")  # fmt: skip
    out = tmp_path / "results.json"
    words = ("convert", tmp_path / "run", "--to", "coco", "--out", out)
    assert message in bodyreg(*words).refusal
    assert not out.exists()
    if names is not None:  # those of others do not matter
        assert bodyreg(*words, "--people", 11, 12).status == 0
        numbers = [result["image_id"] for result in json.loads(out.read_text())]
        assert numbers == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "fbx", "--out", "x"], "--to fbx: choose one of glb, bvh, smpl, mhr, coco"),
        (["--to", "smpl", "--out", "x"], "with --to smpl the file is a .npz"),
        (["--to", "coco", "--out", "x.json"], "only a run knows people's pictures"),
        (["--to", "glb", "--out", "x", "--images", "."], "--images belongs to --to coco"),
        (["--to", "glb", "--out", "x", "--vertices"], "--vertices belongs to --to smpl"),
        (["--to", "glb", "--out", "x", "--people", "5"], "has no person of this id"),
        (["--to", "glb", "--out", "x", "--people", str(2**80)], "has no person of this id"),
        (["--to", "smpl", "--out", "fits.npz"], "fits.npz: is read, so it cannot be written"),
        (["--to", "smpl", "--out", "../{folder}/fits.npz"], "is read, so it cannot be written"),
        (["--to", "glb", "--out", "x", "--rate", "0"], "--rate 0.0: must be"),
        (["--to", "glb", "--out", "x", "--body", "nowhere.npz"], "nowhere.npz"),
    ],
)
def test_what_cannot_be(bodyreg, tmp_path, monkeypatch, fits, arguments, message):
    monkeypatch.chdir(tmp_path)
    before = (tmp_path / "fits.npz").read_bytes()
    arguments = [text.format(folder=tmp_path.name) for text in arguments]
    assert message in bodyreg("convert", "fits.npz", *arguments).refusal
    assert [p.name for p in tmp_path.iterdir()] == ["fits.npz"]
    assert (tmp_path / "fits.npz").read_bytes() == before


def test_nothing_that_a_run_has_read_is_written_over(
    bodyreg, tmp_path, observations_file, body_file
):
    first, run, folder = tmp_path / "first", tmp_path / "run", tmp_path / "people"
    words = ("register", "--body", body_file, "--iterations", 3, "--observations")
    bodyreg(*words, observations_file, "--out", first)
    folder.mkdir()
    observations_file.rename(folder / "people.npz")
    bodyreg(*words, folder, "--initial", first / "fits.npz", "--out", run)
    read = [body_file, folder / "people.npz", first / "fits.npz", run / "fits.npz"]
    before = [path.read_bytes() for path in read]
    for path in read:
        result = bodyreg("convert", run, "--to", "smpl", "--out", path)
        assert f"{path}: is read, so it cannot be written" in result.refusal
    assert [path.read_bytes() for path in read] == before
    for out in (tmp_path / "smpl.npz", folder / "glb"):
        for _ in range(2):
            to = "smpl" if out.suffix else "glb"
            assert bodyreg("convert", run, "--to", to, "--out", out).status == 0


def test_what_a_killed_command_leaves_is_removed(bodyreg, tmp_path, fits, monkeypatch):
    out = tmp_path / "glb"
    words = ("convert", tmp_path / "fits.npz", "--to", "glb", "--out", out)
    child = os.fork()
    if not child:
        monkeypatch.setattr(os, "replace", lambda *names: os.kill(os.getpid(), signal.SIGKILL))
        bodyreg(*words)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert list(out.rglob("*.glb")) and not list(out.glob("*.glb"))
    assert bodyreg(*words).status == 0
    assert sorted(p.name for p in out.iterdir()) == ["139.glb", "41.glb", "7.glb"]


@pytest.mark.parametrize("to", ["bvh", "smpl"])
def test_only_mirrored_people(bodyreg, tmp_path, fits, to):
    replace(fits, scale=-fits.scale).save(tmp_path / "fits.npz")
    out = tmp_path / ("x.npz" if to == "smpl" else "x")
    result = bodyreg("convert", tmp_path / "fits.npz", "--to", to, "--out", out)
    assert f"all people are mirrored, which {to} cannot hold" in result.refusal
    assert not out.exists()


def test_files_that_are_no_fits(bodyreg, tmp_path, fits):
    made_observations().save(tmp_path / "people.npz")
    Fits.empty().save(tmp_path / "none.npz")
    replace(fits, id=np.array([1, 1, 2])).save(tmp_path / "twice.npz")
    chosen = ("convert", tmp_path / "twice.npz", "--to", "glb", "--people", 2)
    assert bodyreg(*chosen, "--out", tmp_path / "glb").status == 0
    assert [path.name for path in (tmp_path / "glb").iterdir()] == ["2.glb"]
    for name, message in (
        ("people.npz", "bodyreg-observations-1"),
        ("none.npz", "holds no fits"),
        ("twice.npz", "ids are not unique"),
        ("nothing.npz", "no such fits file"),
    ):
        result = bodyreg("convert", tmp_path / name, "--to", "glb", "--out", tmp_path / "x")
        assert message in result.refusal
    assert not (tmp_path / "x").exists()
