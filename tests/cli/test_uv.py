"""--uv with the built-in body: files in DensePose's charts, and files that name the body's own."""

import json

import numpy as np
import pytest

from bodyreg.cli import main
from bodyreg.data import Fits, read_densepose_coco
from bodyreg.errors import UserError
from bodyreg.synthetic.dataset import make_dataset
from bodyreg.synthetic.formats.densepose_coco import write_densepose_coco
from tests.body.densepose_files import write_uv


@pytest.fixture(scope="module")
def files(body, tmp_path_factory):
    """Three people in the body's own charts, the same people in DensePose's, and these charts.

    The charts in the file mean nearly what the body's own mean, so (I, U, V) can stay.
    """
    folder = tmp_path_factory.mktemp("uv")
    pictures, _ = make_dataset(body, 3, 0)
    write_densepose_coco(folder / "own.json", pictures, body.charts.name)
    content = json.loads((folder / "own.json").read_text())
    del content["info"]["charts"]
    (folder / "densepose.json").write_text(json.dumps(content))
    write_uv(folder / "UV_Processed.mat", body)
    return folder


def test_each_file_is_read_in_its_own_charts(body, files):
    both = body.with_uv(files / "UV_Processed.mat")
    own, _ = read_densepose_coco(files / "own.json", body)
    again, _ = read_densepose_coco(files / "own.json", both)
    np.testing.assert_array_equal(own.point_vertex, again.point_vertex)
    np.testing.assert_array_equal(own.point_barycentric, again.point_barycentric)
    carried, _ = read_densepose_coco(files / "densepose.json", both)
    places = [
        (body.vertices[people.point_vertex] * people.point_barycentric[..., None]).sum(1)
        for people in (own, carried)
    ]
    away = np.linalg.norm(places[0] - places[1], axis=1)
    assert away.any()
    assert np.median(away) < 2e-3
    with pytest.raises(UserError, match=r"densepose\.json: its points lie in .*--uv"):
        read_densepose_coco(files / "densepose.json", body)


def test_register_and_open_again(body, files, tmp_path, capsys):
    uv = str(files / "UV_Processed.mat")
    command = ["register", "--densepose-coco", str(files / "densepose.json")]
    assert main([*command, "--out", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert "--uv" in error and not (tmp_path / "none").exists()
    fast = ["--starts", "1"]
    for name, path in (("a", "densepose.json"), ("b", "own.json")):
        command = ["register", "--densepose-coco", str(files / path), "--uv", uv]
        assert main([*command, "--out", str(tmp_path / name), *fast]) == 0
    one, other = (Fits.load(tmp_path / name / "fits.npz") for name in "ab")
    apart = np.linalg.norm(one.joints(body) - other.joints(body), axis=-1)
    assert np.median(apart) < 0.02  # half sides of the frame
    record = json.loads((tmp_path / "a" / "run.json").read_text())
    assert record["body"]["files"]["uv"].endswith("UV_Processed.mat")
    assert main(["report", str(tmp_path / "a"), "--people", "1"]) == 0


def test_charts_that_have_changed(body, files, tmp_path, capsys):
    """A finished run is not continued or opened with other charts."""
    people, uv = str(files / "densepose.json"), tmp_path / "UV_Processed.mat"
    uv.write_bytes((files / "UV_Processed.mat").read_bytes())
    command = [
        "register",
        "--densepose-coco",
        people,
        "--uv",
        str(uv),
        "--out",
        str(tmp_path / "a"),
    ]
    command += ["--starts", "1", "--set", "iterations=3"]
    assert main(command) == 0
    before = (tmp_path / "a" / "fits.npz").read_bytes()
    assert main(command) == 0
    write_uv(uv, body, 5)
    capsys.readouterr()
    for again in (command, ["report", str(tmp_path / "a")]):
        assert main(again) == 2
        line = capsys.readouterr().err
        assert "charts" in line or "UV_Processed.mat: has changed since the run" in line
    assert (tmp_path / "a" / "fits.npz").read_bytes() == before
