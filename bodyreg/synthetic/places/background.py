"""Backgrounds: a room, a street, the country, or a crop of the user's pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from bodyreg.errors import UserError
from bodyreg.pictures import SUFFIXES, picture_names, read_picture
from bodyreg.synthetic.blend import threefold
from bodyreg.synthetic.noise import fractal_crop
from bodyreg.synthetic.places.ground_view import GroundView, ground_view_of
from bodyreg.synthetic.places.indoors import paint_room
from bodyreg.synthetic.places.outdoors import paint_street
from bodyreg.synthetic.scenes.scene import Scene

# Share of pictures with a plain backdrop.
PLAIN = 0.1
# Backgrounds that are blurred by more pixels than this are drawn at half the size.
COARSE = 1.2
# The user's pictures are kept this many times larger than the crop that is needed.
KEPT = 1.6


def paint_background(
    random: np.random.Generator, scene: Scene, outdoors: bool, backgrounds: Sequence[Path] | None
) -> np.ndarray:
    """Paint the background of a scene.

    Args:
        random: Source of random numbers.
        scene: Gives the size and, for the ground, the figures.
        outdoors: True for a street or the country, False for a room.
        backgrounds: The user's picture files, to crop; None for a procedural background.

    Returns:
        (H, W, 3) float32 in [0, 255] blue, green, red.

    Raises:
        UserError: a file is not a readable picture.
    """
    if backgrounds:
        path = backgrounds[random.integers(len(backgrounds))]
        return _piece(random, path, scene.height, scene.width)
    view, blur = ground_view_of(scene), 0.0
    if random.random() < 0.75:
        blur = random.uniform(0.4, max(0.5, 0.011 * scene.height))
    # An unsharp background needs fewer pixels.
    if blur > COARSE:
        view, blur = view.halved(), blur / 2
    if random.random() < PLAIN or scene.plain:
        canvas = _backdrop(random, view)
    else:
        canvas = (paint_street if outdoors else paint_room)(random, view)
    canvas = _rolled(canvas, scene)
    if blur:
        canvas = cv2.GaussianBlur(canvas, (0, 0), blur)
    canvas = cv2.resize(canvas, (scene.width, scene.height), interpolation=cv2.INTER_LINEAR)
    dirt = fractal_crop(random, scene.height, scene.width, random.uniform(1, 4))
    dirt *= np.float32(random.uniform(0.01, 0.05))
    dirt += 1
    return threefold(dirt) * canvas


def find_backgrounds(folder: str | os.PathLike) -> list[Path]:
    """The picture files in a folder (known by suffix), sorted by name.

    Raises:
        UserError: there is no such folder, or no picture in it.
    """
    found = [Path(folder) / name for name in picture_names(folder)]
    if not found:
        known = ", ".join(SUFFIXES)
        raise UserError(f"{folder}: no pictures in it ({known}); choose another folder")
    return found


def _piece(random: np.random.Generator, path: Path, height: int, width: int) -> np.ndarray:
    picture = _load(str(path), max(height, width))
    have_height, have_width = picture.shape[:2]
    # A crop of the right shape: between half of the largest that fits and that.
    fit = min(have_height / height, have_width / width)
    zoom = fit * random.uniform(0.5, 1)
    rows, columns = max(1, int(height * zoom)), max(1, int(width * zoom))
    top = random.integers(have_height - rows + 1)
    left = random.integers(have_width - columns + 1)
    piece = picture[top : top + rows, left : left + columns]
    if random.random() < 0.5:
        piece = piece[:, ::-1]
    shrunk = cv2.INTER_AREA if zoom > 1 else cv2.INTER_LINEAR
    return cv2.resize(piece, (width, height), interpolation=shrunk).astype(np.float32)


@lru_cache(maxsize=64)
def _load(path: str, side: int) -> np.ndarray:
    """Load a user's picture, shrunk to little more than the size that is needed."""
    picture = read_picture(path, kind="background")
    zoom = KEPT * side / min(picture.shape[:2])
    if zoom < 1:
        picture = cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    return picture


def _rolled(canvas: np.ndarray, scene: Scene) -> np.ndarray:
    """Rotate the picture by the roll of the camera."""
    if not scene.figures:
        return canvas
    up = scene.figures[0].up
    angle = float(np.degrees(np.arctan2(up[0], up[1])))
    if abs(angle) < 0.5:
        return canvas
    height, width = canvas.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), -angle, 1.0)
    return cv2.warpAffine(canvas, turn, (width, height), borderMode=cv2.BORDER_REFLECT)


def _backdrop(random: np.random.Generator, view: GroundView) -> np.ndarray:
    """A photographer's backdrop: one colour, shaded towards the edges."""
    colour = np.clip(random.uniform(60, 235) * (1 + random.normal(0, 0.08, 3)), 20, 245)
    x = np.linspace(-1, 1, view.width)
    y = np.linspace(-1, 1, view.height)[:, None]
    middle = random.uniform(-0.5, 0.5, 2)
    shade = 1.08 - random.uniform(0.05, 0.3) * ((x - middle[0]) ** 2 + (y - middle[1]) ** 2)
    return np.clip(shade[..., None] * colour, 0, 255).astype(np.uint8)
