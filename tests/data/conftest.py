"""A body of 24 unit squares, one per part: chart coordinates can be read off its vertices."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from bodyreg.body import Body, Charts

from .standing import SIDE


def square_body(charts: str = "densepose") -> SimpleNamespace:
    """Vertex 4 (part - 1) + 2 v + u lies at the corner (u, v) of its part's square."""
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    quads = 4 * np.arange(24)[:, None, None] + np.array([[0, 1, 3], [0, 3, 2]])
    uv = np.tile(corners, (24, 1))
    squares = SimpleNamespace(
        name="squares",
        vertices=np.concatenate([uv, np.zeros((96, 1), np.float32)], axis=1),
        charts=Charts(
            charts, uv, np.arange(96), quads.reshape(-1, 3), np.repeat(np.arange(1, 25), 2)
        ),
        fingerprint="squares",
        check_keypoints=lambda names: None,
        carried_charts=None,
    )
    squares.charts_named = lambda name: Body.charts_named(squares, name)
    return squares


@pytest.fixture
def body() -> SimpleNamespace:
    return square_body()


@pytest.fixture
def images(tmp_path) -> Path:
    """A folder with the picture of `standing`."""
    folder = tmp_path / "images"
    folder.mkdir()
    cv2.imwrite(str(folder / "7.png"), np.zeros((SIDE, SIDE, 3), np.uint8))
    return folder
