"""Fits drawn over pictures with their evidence, and sheets of many fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from bodyreg.body.surface import outward_faces
from bodyreg.viz.doubt import SURE, SURE_COLOUR, UNSURE, UNSURE_COLOUR, doubt_of
from bodyreg.viz.grounds import TILE, plain_ground
from bodyreg.viz.shading import render_body

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data import Fits, Observations

# Blue, green, red.
PAPER = (250, 248, 246)
INK = (70, 60, 55)
FAINT = (110, 100, 92)
POINT = (110, 90, 20)
KEYPOINT = (60, 90, 235)

# The largest half height or half width of a body that is seen from the side, frame units.
LARGEST = 0.95
GAP = 14
GUTTER = 4
LINE = 38
SCALE = 90
FONT = cv2.FONT_HERSHEY_SIMPLEX
# Text and dots are drawn this many times finer, then averaged.
FINE = 2


def overlay(
    ground: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    opacity: float = 0.9,
    doubt: np.ndarray | None = None,
) -> np.ndarray:
    """Paint a body over the square picture of its frame.

    Args:
        ground: (S, S, 3) uint8.
        vertices: (V, 3) as `Fits.seen` gives them, frame units.
        faces: (F, 3), counter-clockwise seen from outside.
        opacity: Of the body.
        doubt: (V,) from 0 to 1, which changes its colour.
    """
    colour, coverage = render_body(vertices, faces, len(ground), doubt)
    return np.rint(ground * (1 - opacity * coverage) + opacity * colour).astype(np.uint8)


def draw_evidence(picture: np.ndarray, points: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Draw dots at the observed points (P, 2) and keypoints (K, 2), in frame units."""
    side = len(picture)
    fine = cv2.resize(picture, (FINE * side, FINE * side), interpolation=cv2.INTER_LINEAR)
    unit = FINE * side / 256

    def dot(xy: np.ndarray, radius: float, colour: tuple[int, int, int]) -> None:
        centre = (xy * [1, -1] + 1) * (FINE * side / 2) - 0.5
        x, y = (round(float(v) * 16) for v in centre)
        cv2.circle(fine, (x, y), round(16 * radius * unit), colour, -1, cv2.LINE_AA, 4)

    for xy in points:
        dot(xy, 1.3, POINT)
    for xy in keypoints:
        dot(xy, 3.2, (255, 255, 255))
        dot(xy, 2.3, KEYPOINT)
    return cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA)


def side_view(vertices: np.ndarray) -> np.ndarray:
    """The body (V, 3) turned by 90 degrees about the vertical: seen from the picture's left."""
    turned = np.column_stack([vertices[:, 2], vertices[:, 1], -vertices[:, 0]])
    low, high = turned.min(0), turned.max(0)
    turned -= (low + high) / 2 * [1, 0, 1]
    # An upright body keeps its place. A body that leaves the frame or lies along the view shrinks.
    excess = max(-low[1], high[1], (high[0] - low[0]) / 2) / LARGEST
    return (turned / max(1, excess)).astype(np.float32)


def fit_tile(
    vertices: np.ndarray,
    seen: np.ndarray,
    faces: np.ndarray,
    ground: np.ndarray,
    points: np.ndarray,
    keypoints: np.ndarray,
    doubt: np.ndarray | None = None,
) -> np.ndarray:
    """(S, 2 S, 3): the fit and the evidence over the picture, and the same body from the side.

    `vertices` (V, 3) are those of `Fits.vertices`, and `seen` where the picture shows them. `doubt`
    (V,) from 0 to 1 changes the colour of the body from the side.
    """
    front = draw_evidence(overlay(ground, seen, faces), points, keypoints)
    side = overlay(plain_ground(len(ground)), side_view(vertices), faces, 1.0, doubt)
    return np.concatenate([front, side], axis=1)


def fit_sheet(
    body: Body,
    fits: Fits,
    observations: Observations,
    captions: Sequence[tuple[str, str]],
    title: str,
    grounds: Sequence[np.ndarray] | None = None,
    side: int = TILE,
    columns: int = 3,
) -> np.ndarray:
    """A sheet of fits, with a legend of the colours that it shows.

    Args:
        body: The fitted body.
        fits: N fits.
        observations: The same N people.
        captions: N pairs of texts, left and right below each tile.
        title: Above all tiles.
        grounds: N pictures (side, side, 3) of the frames, which are also shown without a body.
        side: of one picture in pixels.
        columns: Tiles per row.

    Returns:
        (H, W, 3) uint8 blue-green-red.
    """
    page = sheet(fit_tiles(body, fits, observations, grounds, side), captions, title, columns)
    points = len(observations.point_xy) > 0
    keypoints = bool((observations.keypoint_weight > 0).any())
    rows = legend(page.shape[1], points, keypoints, fits.joint_deviation is not None)
    return np.concatenate([page, rows])


def fit_tiles(
    body: Body,
    fits: Fits,
    observations: Observations,
    grounds: Sequence[np.ndarray] | None,
    side: int,
) -> list[np.ndarray]:
    """The tiles of `fit_sheet`: of each fit the picture if it is given, then `fit_tile`."""
    points, keypoints = observations.points_in_frame(), observations.keypoints_in_frame()
    tiles = []
    vertices = fits.vertices(body)
    seen, mirrored = fits.seen(vertices), fits.mirrored
    for person in range(len(fits)):
        faces = outward_faces(body.faces, mirrored[person])
        ground = plain_ground(side) if grounds is None else grounds[person]
        own = points[observations.points_of(person)]
        present = keypoints[person][observations.keypoint_weight[person] > 0]
        doubt = doubt_of(body, fits, person)
        tile = fit_tile(vertices[person], seen[person], faces, ground, own, present, doubt)
        gutter = np.full((side, GUTTER, 3), PAPER, np.uint8)
        tiles.append(tile if grounds is None else np.concatenate([ground, gutter, tile], axis=1))
    return tiles


def sheet(
    tiles: Sequence[np.ndarray], captions: Sequence[tuple[str, str]], title: str, columns: int
) -> np.ndarray:
    """Tiles of one size (h, w, 3) in rows, with captions and a title."""
    height, width = tiles[0].shape[:2]
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    page = np.empty(
        (2 * LINE + GAP + rows * (height + LINE + GAP), GAP + columns * (width + GAP), 3), np.uint8
    )
    page[:] = PAPER
    places = [
        (
            2 * LINE + GAP + (n // columns) * (height + LINE + GAP),
            GAP + (n % columns) * (width + GAP),
        )
        for n in range(len(tiles))
    ]
    for tile, (top, left) in zip(tiles, places, strict=True):
        page[top : top + height, left : left + width] = tile
    fine = cv2.resize(page, None, fx=FINE, fy=FINE, interpolation=cv2.INTER_NEAREST)
    _text(fine, _drawable(title), GAP, 2 * LINE - 16, 1.15, INK)
    for caption, (top, left) in zip(captions, places, strict=True):
        left_text, right_text = map(_drawable, caption)
        baseline = top + height + LINE - 10
        end = left + width - 1
        room = width - GAP - _width(right_text, 0.85)
        _text(fine, _shortened(left_text, room, 0.85), left + 1, baseline, 0.85, INK)
        _text(fine, right_text, end - _width(right_text, 0.85), baseline, 0.85, FAINT)
    return cv2.resize(fine, page.shape[1::-1], interpolation=cv2.INTER_AREA)


def legend(width: int, points: bool, keypoints: bool, deviations: bool) -> np.ndarray:
    """(h, width, 3) what the colours of `fit_tile` mean, those that are there."""
    entries = [("keypoint", KEYPOINT)] * keypoints + [("dense point", POINT)] * points
    lines = 2 if deviations else 1
    page = np.full((FINE * LINE * lines, FINE * width, 3), PAPER, np.uint8)
    x, y = float(GAP), LINE - 14
    for words, colour in entries:
        centre = round(FINE * (x + 6)), round(FINE * (y - 6))
        cv2.circle(page, centre, 5 * FINE, colour, -1, cv2.LINE_AA)
        x = _text(page, words, x + 18, y, 0.7, FAINT) + 26
    if deviations:
        y += LINE - 8
        x = _text(page, f"joints uncertain by {SURE:g} mm", GAP, y, 0.7, FAINT) + 10
        share = np.linspace(0, 1, FINE * SCALE)[:, None]
        colours = (1 - share) * SURE_COLOUR[::-1] + share * UNSURE_COLOUR[::-1]
        left, bottom = round(FINE * x), FINE * y
        bar = page[bottom - FINE * 12 : bottom, left : left + FINE * SCALE]
        bar[:] = colours[: bar.shape[1]]
        _text(page, f"{UNSURE:g} mm", x + SCALE + 10, y, 0.7, FAINT)
    return cv2.resize(page, (width, LINE * lines), interpolation=cv2.INTER_AREA)


def _text(
    page: np.ndarray,
    text: str,
    x: float,
    y: float,
    size: float,
    colour: tuple[int, int, int],
) -> float:
    """Write a line, and return where it ends."""
    origin = (round(x * FINE), round(y * FINE))
    cv2.putText(page, text, origin, FONT, size * FINE, colour, FINE, cv2.LINE_AA)
    return x + _width(text, size)


def _drawable(text: str) -> str:
    """A text without what is not UTF-8, at which OpenCV ends the process."""
    return text.encode("utf-8", "replace").decode()


def _width(text: str, size: float) -> float:
    return cv2.getTextSize(text, FONT, size * FINE, FINE)[0][0] / FINE


def _shortened(text: str, room: float, size: float) -> str:
    """A text of this width, without its middle if it is longer."""
    cut, kept = text, len(text)
    while kept > 2 and _width(cut, size) > room:
        kept -= 1
        cut = f"{text[: kept // 2]}...{text[len(text) - (kept + 1) // 2 :]}"
    return cut
