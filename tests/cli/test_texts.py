"""Names that are not UTF-8, from the command line to every file, and outputs of any encoding."""

import io
import json
import os
import sys

import cv2
import numpy as np
import pytest

from bodyreg.cli import main
from bodyreg.data import Fits

NAME = os.fsdecode(b"caf\xe9 \xff")


@pytest.fixture
def people(tmp_path):
    """A picture and its keypoints under a name that is not UTF-8."""
    xy = np.random.default_rng(0).uniform(20, 90, (25, 2))
    person = np.column_stack([xy, np.ones(25)]).reshape(-1).tolist()
    (tmp_path / f"{NAME}_keypoints.json").write_text(
        json.dumps({"people": [{"pose_keypoints_2d": person}]})
    )
    data = cv2.imencode(".jpg", np.full((96, 96, 3), (0, 0, 255), np.uint8))[1]
    (tmp_path / f"{NAME}.JPG").write_bytes(data.tobytes())
    return tmp_path


def test_names_that_are_not_utf_8(bodyreg, people):
    out = people / f"out {NAME}"
    result = bodyreg(
        "register", "--openpose", people, "--images", people, "--overlays", 1, "--meshes", "obj",
        "--iterations", 2, "--out", out,
    )  # fmt: skip
    assert (result.status, result.error) == (0, "")
    assert len(Fits.load(out / "fits.npz")) == 1
    sheet = cv2.imdecode(np.fromfile(out / "overlays.png", np.uint8), cv2.IMREAD_COLOR)
    assert (sheet == sheet[60, 60]).all(-1).sum() > 1000 and sheet[60, 60, 2] > 240
    record = json.loads((out / "run.json").read_text())
    assert record["source"]["images"] == str(people.absolute())
    result = bodyreg("report", out)
    assert (result.status, result.error) == (0, "")
    assert "out caf\\udce9" in (out / "report.html").read_text(encoding="utf-8")
    assert bodyreg("report", people / NAME).refusal


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_an_output_of_any_encoding(monkeypatch, encoding):
    """A character that the encoding lacks appears as its code."""
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding=encoding))
    assert main(["info", "--preset", "accurate"]) == 0
    print(NAME, "\u03a3")
    sys.stdout.flush()
    text = shown.getvalue().decode(encoding)
    assert "caf\\udce9" in text
    assert ("\u03a3" if encoding == "utf-8" else "\\u03a3") in text
