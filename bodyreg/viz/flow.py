"""Pictures of flow and visibility, and of what a flow reads from its source."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from bodyreg.ops import warp
from bodyreg.reference.flow import BACKGROUND, HIDDEN, VISIBLE
from bodyreg.viz.grounds import GROUND, TILE
from bodyreg.viz.overlay import GUTTER, PAPER

# Blue, green, red. Green and red as in "Dense Intrinsic Appearance Flow for Human Pose Transfer".
KINDS = {VISIBLE: (110, 170, 70), HIDDEN: (80, 90, 215), BACKGROUND: GROUND}
# How much of a place's colour is left where the source hides it.
FADED = 0.35


def flow_picture(flow: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: the direction of a flow (H, W, 2) as hue, its length as brightness.

    Red points to the right, yellow-green downward. The longest flow of the picture is brightest.
    """
    length = np.linalg.norm(flow, axis=2)
    turn = np.degrees(np.arctan2(flow[..., 1], flow[..., 0])) % 360
    bright = 55 + 200 * length / max(float(length.max()), 1e-6)
    colours = np.stack([turn / 2, np.full_like(turn, 255), bright], -1)
    picture = cv2.cvtColor(colours.astype(np.uint8), cv2.COLOR_HSV2BGR)
    picture[kind == BACKGROUND] = GROUND
    return picture


def visibility_picture(kind: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: visible pixels green, hidden ones red."""
    return np.array([KINDS[number] for number in sorted(KINDS)], np.uint8)[kind]


def warped_picture(source: np.ndarray, flow: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: what a flow reads from its source (h, w, 3); hidden pixels are faded."""
    features = torch.from_numpy(source.astype(np.float32)).permute(2, 0, 1)[None]
    places = torch.from_numpy(flow).permute(2, 0, 1)[None]
    read = warp(features.contiguous(), places.contiguous())[0].permute(1, 2, 0).numpy()
    share = np.array([1, FADED, 0], np.float32)[kind][..., None]
    return np.rint(GROUND + share * (read - GROUND)).clip(0, 255).astype(np.uint8)


def pair_tile(pictures: Sequence[np.ndarray], side: int = TILE) -> np.ndarray:
    """(side, W, 3): pictures of any sizes side by side, each fitted into a square."""
    gutter = np.full((side, GUTTER, 3), PAPER, np.uint8)
    row = [part for picture in pictures for part in (gutter, _fitted(picture, side))]
    return np.concatenate(row[1:], axis=1)


def _fitted(picture: np.ndarray, side: int) -> np.ndarray:
    height, width = picture.shape[:2]
    zoom = side / max(height, width)
    size = max(1, round(zoom * width)), max(1, round(zoom * height))
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    square = np.full((side, side, 3), PAPER, np.uint8)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = cv2.resize(
        picture, size, interpolation=way
    )
    return square
