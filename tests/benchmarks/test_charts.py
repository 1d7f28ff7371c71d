"""The measures of the map of DensePose's charts, on charts of this project's making."""

import re
import sys

import cv2
import numpy as np

from benchmarks import charts
from bodyreg.body.uv import load_uv
from bodyreg.npz import save_npz
from tests.body.densepose_files import write_uv


def test_every_measure_is_printed(body, tmp_path, monkeypatch, capsys):
    uv = write_uv(tmp_path / "uv.mat", body)
    places = charts.places(body, body.smpl)
    np.save(tmp_path / "template.npy", places)
    moved = body.smpl.barycentric[:, [1, 2, 0]]
    save_npz(tmp_path / "table.npz", smpl_vertex=body.smpl.vertex, smpl_barycentric=moved)
    part, uv_of = charts.spread(body, load_uv(uv, 6890))
    some = np.random.default_rng(0).integers(0, len(part), 60)
    carried = body.with_uv(uv).carried_charts
    x, y, _ = charts.places(body, carried.locate(part[some], uv_of[some])).T
    save_npz(
        tmp_path / "people.npz", x_0=200 + 100 * x, y_0=200 - 100 * y, I_0=part[some],
        U_0=uv_of[some, 0], V_0=uv_of[some, 1],
    )  # fmt: skip
    arguments = [str(uv), "--picture", str(tmp_path / "charts.png")]
    for name, file in (
        ("--template", "template.npy"), ("--table", "table.npz"), ("--detections", "people.npz"),
    ):  # fmt: skip
        arguments += [name, str(tmp_path / file)]
    monkeypatch.setattr(sys, "argv", ["charts", *arguments])
    monkeypatch.setattr(charts, "POINTS", 2000)
    charts.main()
    printed = capsys.readouterr().out
    assert "on the other side: 0 of" in printed
    found = {
        name: float(re.search(rf"{name}[^\n]*?: (?:50 % )?([\d.]+)", printed).group(1))
        for name in ("round trip", "against the other map", "these charts", "the body's own charts")
    }
    assert found["round trip"] < 0.5
    assert found["against the other map"] > 1
    # The two charts mean nearly the same.
    assert abs(found["these charts"] - found["the body's own charts"]) < 3
    picture = cv2.imread(str(tmp_path / "charts.png"))
    assert picture.shape == (charts.LARGE, 3 * charts.LARGE, 3)
    assert 0.05 < (picture.min(2) < 250).mean() < 0.9
