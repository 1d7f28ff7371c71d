"""The programs of examples/ and of the README run as they are, and do what they say."""

from __future__ import annotations

import re
import runpy
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

import bodyreg

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs an example with options, in an empty folder; what it prints."""
    monkeypatch.chdir(tmp_path)

    def of(name: str, *options: str | Path) -> str:
        path = ROOT / "examples" / name
        monkeypatch.setattr("sys.argv", [str(path), *map(str, options)])
        runpy.run_path(str(path), run_name="__main__")
        return capsys.readouterr().out

    return of


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+\.\d+", text)]


def test_keypoints_to_mesh(run):
    (pixels, height) = numbers(run("keypoints_to_mesh.py", "--out", "made.glb"))
    assert pixels < 3
    mesh = trimesh.load("made.glb", force="mesh")
    assert len(mesh.vertices) == len(bodyreg.Body.default().vertices)
    assert 1.2 < height < 2.2 and np.ptp(mesh.vertices[:, 1]) == pytest.approx(height, abs=0.01)
    raised, lowered = mesh.vertices[:, 0].argmin(), mesh.vertices[:, 0].argmax()
    assert mesh.vertices[raised, 1] > mesh.vertices[lowered, 1], "the right arm is the raised one"


def test_densepose_to_overlays(run, demo):
    folder = demo / "densepose-coco"
    flags = ["--annotations", folder / "densepose.json", "--images", folder / "images"]
    printed = run("densepose_to_overlays.py", *flags, "--people", "5", "--out", "drawn.png")
    assert printed.startswith("7 people")
    picture = cv2.imread("drawn.png").astype(int)
    assert picture.shape == (2 * 492, 4 * 252, 3), "two rows, with gaps of 12 pixels"
    tiles = [picture[492 * (n // 4) :, 252 * (n % 4) :][:480, :240] for n in range(8)]
    drawn = [(tile[:240] != tile[240:]).any() for tile in tiles]
    assert drawn == [True] * 5 + [False] * 3, "a body on every picture, and nothing after the last"


def test_a_wrong_path_is_one_line(run, tmp_path):
    with pytest.raises(SystemExit, match=r"^error: none\.json: no such JSON file; check"):
        run("densepose_to_overlays.py", "--annotations", "none.json", "--images", str(tmp_path))


def test_own_loss(run):
    without, with_it = numbers(run("own_loss.py"))
    assert without > 15 and with_it < 8


def test_train_with_ops(run):
    errors = numbers(run("train_with_ops.py", "--steps", "101"))
    assert len(errors) == 2
    assert errors[-1] < 0.7 * errors[0]


def test_the_first_program_of_the_readme(monkeypatch, tmp_path, capsys, demo):
    shutil.copytree(demo / "densepose-coco", tmp_path / "runs" / "demo" / "densepose-coco")
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    exec(program, {})
    assert "(7, 24, 3) (7, 24)" in capsys.readouterr().out
    assert len(bodyreg.Fits.load("runs/fits.npz")) == 7


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_is_short_and_says_how_to_run_it(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 60
    assert f"python examples/{path.name}" in text.split('"""')[1]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
