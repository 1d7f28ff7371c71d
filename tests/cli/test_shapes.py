"""Shapes of people, fitted by the command; what other commands make of them."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from bodyreg.body import Body
from bodyreg.data import Fits
from bodyreg.runs import fitted_shards
from tests.exchange.people import Glb, from_pelvis

from .conftest import made_observations


@pytest.fixture
def shaped_body(tmp_path, body_file) -> Body:
    """The tiny body, with a direction that makes it broader, and one that makes it taller."""
    body, grow = Body.load(body_file), (np.diag([0.3, 0, 0]), np.diag([0, 0.3, 0]))
    body = replace(
        body,
        shape_names=("broad", "tall"),
        shape_directions=np.stack([body.vertices @ d for d in grow]).astype(np.float32),
        shape_joint_directions=np.stack([body.joints @ d for d in grow]).astype(np.float32),
    )
    body.save(tmp_path / "shaped.npz")
    return body


@pytest.fixture
def people(tmp_path):
    """Three people, broader and less tall than the body."""
    people = made_observations()
    people.point_xy[:] = 300 + (people.point_xy - 300) * [1.1, 0.9]
    people.keypoint_xy[:] = 300 + (people.keypoint_xy - 300) * [1.1, 0.9]
    people.save(tmp_path / "people.npz")
    return tmp_path / "people.npz"


@pytest.fixture
def run(bodyreg, tmp_path, shaped_body, people):
    """The options of a registration, and its folder."""
    out = tmp_path / "out"
    options = (
        "register", "--observations", people, "--body", tmp_path / "shaped.npz", "--out", out,
        "--iterations", 60,
    )  # fmt: skip
    result = bodyreg(*options, "--fit-shape", "--meshes", "ply", "--overlays", 2)
    assert (result.status, result.error) == (0, "")
    assert "\nshapes: fitted for 3 of 3 people\n" in result.out
    return options, out


def test_a_run_has_shapes(run, shaped_body):
    fits = Fits.load(run[1] / "fits.npz")
    assert (fits.shape[:, 0] > fits.shape[:, 1]).all()
    assert json.loads((run[1] / "run.json").read_text())["config"]["fit_shape"] is True
    mesh = trimesh.load(run[1] / "meshes" / "11.ply", process=False)
    vertices, _ = from_pelvis(shaped_body, fits.select([1]))
    away = mesh.vertices - vertices[0]
    np.testing.assert_allclose(away, np.tile(away[:1], (len(away), 1)), atol=1e-5)


def test_shards_have_the_same_shapes(bodyreg, run, tmp_path, monkeypatch):
    monkeypatch.setattr(fitted_shards, "SHAPES_PER_SHARD", 2)
    options = (*run[0][:-3], tmp_path / "sharded", *run[0][-2:])
    assert bodyreg(*options, "--fit-shape").status == 0
    whole, shards = (Fits.load(out / "fits.npz") for out in (run[1], tmp_path / "sharded"))
    for name in ("id", "shape", "pose", "segment_scale", "scale", "loss"):
        np.testing.assert_array_equal(getattr(shards, name), getattr(whole, name))


def test_a_glb_has_the_shape(bodyreg, run, tmp_path, shaped_body):
    assert bodyreg("convert", run[1], "--to", "glb", "--out", tmp_path / "glb").status == 0
    fits = Fits.load(run[1] / "fits.npz")
    vertices, _ = from_pelvis(shaped_body, fits)
    for person, number in enumerate(fits.id):
        glb = Glb((tmp_path / "glb" / f"{number}.glb").read_bytes())
        np.testing.assert_allclose(glb.vertices(), vertices[person], atol=1e-5)


def test_a_report_poses_and_names_shapes(bodyreg, run, shaped_body):
    """Vertices at rest are each person's own, and the page has no course of the fits."""
    result = bodyreg("report", run[1])
    assert (result.status, result.error) == (0, "")
    page = (run[1] / "report.html").read_text(encoding="utf-8")
    data = json.loads(
        re.search(r'<script id="data" type="application/json">(.*?)</script>', page)[1]
    )
    fits, body = Fits.load(run[1] / "fits.npz"), shaped_body
    assert data["marks"] == [0] and data["curveNote"] == ""
    for person in data["people"]:
        i = fits.id.tolist().index(person["id"])
        names = dict(zip(body.shape_names, fits.shape[i], strict=True))
        words = dict(re.findall(r"(broad|tall) ([+-][01]\.\d\d)", person["caption"]))
        found = {name: float(value) for name, value in words.items()}
        assert found == pytest.approx(names, abs=0.006)
        rest = unpacked(person["own"]["vertices"]).reshape(-1, 3)
        np.testing.assert_array_equal(rest, body.with_shape(fits.shape[i]).vertices)
        segments = unpacked(person["poses"]).reshape(24, 3, 4)
        whole = np.concatenate([rest, np.ones((len(rest), 1))], 1)
        placed = np.einsum("vij,vj->vi", segments[np.arange(24).repeat(4)], whole)
        expected = fits.vertices(body)[i]
        np.testing.assert_allclose(placed[:, :2], expected[:, :2], atol=1e-5)


def unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


def test_fits_with_shapes_are_a_start(bodyreg, run, tmp_path):
    """Only for a registration that keeps them."""
    options, out = run
    options = (*options[:-4], "--initial", out / "fits.npz", "--out", tmp_path / "again")
    assert "have shapes of their own" in bodyreg(*options).refusal
    assert not (tmp_path / "again" / "fits.npz").exists()
    assert bodyreg(*options, "--fit-shape").status == 0
    assert Fits.load(tmp_path / "again" / "fits.npz").shape.any(1).all()


def test_a_body_without_directions_is_refused(bodyreg, tmp_path, body_file, people):
    result = bodyreg(
        "register", "--observations", people, "--body", body_file, "--out", tmp_path / "out",
        "--fit-shape",
    )  # fmt: skip
    assert "has no shape directions" in result.refusal and "--fit-shape" in result.refusal
    assert not (tmp_path / "out" / "fits.npz").exists()


def test_another_body_is_refused(bodyreg, run, tmp_path):
    """Fits alone do not name their body; the built-in one has other directions."""
    (tmp_path / "alone").mkdir()
    (run[1] / "fits.npz").rename(tmp_path / "alone" / "fits.npz")
    result = bodyreg(
        "convert", tmp_path / "alone" / "fits.npz", "--to", "glb", "--out", tmp_path / "glb"
    )
    assert "shape directions" in result.refusal and "got 2 coefficients" in result.refusal
