from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from bodyreg.errors import UserError
from bodyreg.synthetic.places.background import find_backgrounds, paint_background
from bodyreg.synthetic.render import render
from tests.synthetic.scenery import scene


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for name, shape in (("b.jpg", (90, 200, 3)), ("a.png", (400, 300)), ("c.bmp", (1, 1, 3))):
        cv2.imwrite(str(tmp_path / name), random.integers(0, 255, shape, dtype=np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


@pytest.mark.parametrize("outdoors", [False, True])
def test_backgrounds_are_pictures_and_differ(outdoors):
    made = scene(people=1)
    seen = set()
    for number in range(25):
        painted = paint_background(np.random.default_rng(number), made, outdoors, None)
        assert painted.shape == (made.height, made.width, 3) and painted.dtype == np.float32
        assert np.isfinite(painted).all() and painted.min() >= 0 and painted.max() < 350
        seen.add(painted.tobytes())
    assert len(seen) == 25


def test_any_camera_has_a_background():
    made = scene(people=1)
    for tilt in (-1.2, -0.4, 0.5, 1.4):
        up = np.array([0.1, np.cos(tilt), np.sin(tilt)], np.float32)
        tilted = replace(made, figures=[replace(made.figures[0], up=up)])
        for outdoors in (False, True):
            painted = paint_background(np.random.default_rng(1), tilted, outdoors, None)
            assert np.isfinite(painted).all()


def test_users_pictures_are_found_and_used(folder):
    found = find_backgrounds(folder)
    assert [p.name for p in found] == ["a.png", "b.jpg", "c.bmp"]
    made = scene(people=1)
    for number in range(12):
        piece = paint_background(np.random.default_rng(number), made, True, found)
        assert piece.shape == (made.height, made.width, 3) and piece.dtype == np.float32
    assert np.array_equal(render(made, found), render(made, found))


def test_a_broken_picture_is_named(folder):
    (folder / "a.png").write_bytes(b"no picture at all")
    made = scene(people=1)
    for content in (b"no picture", b"", b"\xff\xd8\xff\xe0 and nothing more"):
        broken = folder / f"broken{len(content)}.jpg"
        broken.write_bytes(content)
        with pytest.raises(UserError, match=r"broken.*no readable background") as error:
            render(made, [broken])
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"missing\.jpg: no background here"):
        render(made, [folder / "missing.jpg"])


def test_a_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no pictures in it"):
        find_backgrounds(tmp_path)
    with pytest.raises(UserError, match="missing: cannot be read"):
        find_backgrounds(tmp_path / "missing")
