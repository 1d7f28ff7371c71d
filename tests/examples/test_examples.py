"""The programs of examples/ and of the README run as they are, and do what they say."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import trimesh

import bodyreg
from bodyreg.cli import main
from bodyreg.pictures import write_picture
from bodyreg.runs import detection
from tests.cli.test_detect import RED, StandIn
from tests.data.test_keypoint_files import GOOD

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


def test_the_notebook(run, tmp_path, capsys):
    """Its cells run one after the other, as a notebook's program does."""
    cells = json.loads((ROOT / "examples" / "keypoints_to_blender.ipynb").read_text())["cells"]
    assert all(not cell.get("outputs") for cell in cells)
    names: dict[str, Any] = {}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    printed = capsys.readouterr().out
    assert len(re.findall(r"mm across the view, +\d+ mm along it", printed)) == 5
    mesh = trimesh.load(tmp_path / "person.glb", force="mesh")
    assert len(mesh.vertices) == len(bodyreg.Body.default().vertices)
    assert len(names["figure"].data[0].x) == len(mesh.vertices)


def commands(page: str) -> list[list[str]]:
    """The lines of a page that are commands of bodyreg."""
    lines = (ROOT / "docs" / page).read_text().splitlines()
    return [
        shlex.split(line, comments=True)[1:] for line in lines if line.startswith("    bodyreg ")
    ]


def test_commands_of_the_tutorial(tmp_path, monkeypatch):
    """With a detector that finds red people."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(detection, "BlazePose", StandIn)
    (tmp_path / "photographs").mkdir()
    (tmp_path / "keypoints").mkdir()
    for number in (1, 2):
        picture = np.full((400, 640, 3), 90, np.uint8)
        picture[50:350, 100 * number : 100 * number + 260] = RED
        write_picture(tmp_path / "photographs" / f"{number}.png", picture)
        content = GOOD["mmpose"][0]
        (tmp_path / "keypoints" / f"{number}.json").write_text(json.dumps(content))
    *found, app = commands("tutorial.md")
    assert [command[0] for command in found] == ["register", "report", "register"]
    assert app == ["app"]
    for command in found:
        assert main(command) == 0
    run = tmp_path / "runs" / "photographs"
    assert {path.name for path in run.iterdir()} >= {"overlays.png", "report.html", "meshes"}
    assert len(list((run / "meshes").glob("*.glb"))) == 2
