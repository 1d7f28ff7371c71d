"""Soft two-tone shading of a body seen by a weak-perspective camera, on the CPU."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from bodyreg.body.surface import vertex_normals
from bodyreg.ops import raster
from bodyreg.viz.doubt import SURE_COLOUR, UNSURE_COLOUR

# Bodies are drawn this many times finer, then averaged, which makes outlines smooth.
SUPERSAMPLING = 3

# Blue, green, red in [0, 1]: the colours in light and in shade.
LIT = np.array(SURE_COLOUR[::-1], np.float32) / 255
SHADE = np.array([0.58, 0.39, 0.30], np.float32)
# The same of what is in doubt.
DOUBT_LIT = np.array(UNSURE_COLOUR[::-1], np.float32) / 255
DOUBT_SHADE = np.array([0.16, 0.30, 0.72], np.float32)
# The direction toward the light, over the viewer's left shoulder.
LIGHT = np.array([-0.45, 0.60, 0.66], np.float32)
# How much darker creases (a near part in front of a far part) and outlines are.
CREASE, OUTLINE = 0.35, 0.35
# Depth differences of this share of the picture's side count as fully creased.
CREASE_DEPTH = 0.03


def render_body(
    vertices: np.ndarray, faces: np.ndarray, side: int, doubt: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Shade a body.

    Args:
        vertices: (V, 3) frame units: x right, y up, z toward the viewer.
        faces: (F, 3), counter-clockwise seen from outside.
        side: of the square picture of the frame, pixels.
        doubt: (V,) from 0 to 1: how much the colour is that of doubt.

    Returns:
        colour (side, side, 3) float32 blue-green-red in [0, 255], and coverage (side, side, 1)
        float32 in [0, 1]. The colour is already multiplied by the coverage.
    """
    fine = side * SUPERSAMPLING
    pixels = (vertices * [1, -1, 1] + [1, 1, 0]) * [fine / 2, fine / 2, 1]
    out = raster(
        torch.from_numpy(pixels.astype(np.float32))[None],
        torch.from_numpy(np.ascontiguousarray(faces, np.int32)),
        fine,
        fine,
        cull=True,
    )
    face, shares, depths = (array[0].numpy() for array in out)
    rows, columns = np.nonzero(face >= 0)
    corners, share = faces[face[rows, columns]], shares[rows, columns]
    normals = vertex_normals(vertices, faces)
    normal = np.einsum("pk,pkc->pc", share, normals[corners])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)

    doubted = np.zeros((len(rows), 1), np.float32)
    if doubt is not None:
        doubted = (share * doubt[corners]).sum(1, keepdims=True)

    picture = np.zeros((fine, fine, 3), np.float32)
    picture[rows, columns] = (
        255 * _shade(normal, doubted) * (1 - CREASE * _creases(depths)[rows, columns, None])
    )
    coverage = (face >= 0).astype(np.float32)
    return (
        cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA),
        cv2.resize(coverage, (side, side), interpolation=cv2.INTER_AREA)[..., None],
    )


def _shade(normal: np.ndarray, doubt: np.ndarray) -> np.ndarray:
    light = np.clip(0.5 + 0.5 * (normal @ (LIGHT / np.linalg.norm(LIGHT))), 0, 1)
    light = light * light * (3 - 2 * light)
    edge = np.clip(1 - normal[:, 2], 0, 1) ** 3
    shade, lit = SHADE + doubt * (DOUBT_SHADE - SHADE), LIT + doubt * (DOUBT_LIT - LIT)
    return ((shade + (lit - shade) * light[:, None]) * (1 - OUTLINE * edge[:, None])).clip(0, 1)


def _creases(depth: np.ndarray) -> np.ndarray:
    """[0, 1]: how far a pixel is behind the mean depth of its surroundings on the body."""
    inside = np.isfinite(depth)
    sigma = len(depth) / 60
    known = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), sigma)
    mean = cv2.GaussianBlur(np.where(inside, depth, 0), (0, 0), sigma) / np.maximum(known, 1e-6)
    behind = np.where(inside, mean - depth, 0)
    return np.clip(behind / (2 * CREASE_DEPTH), 0, 1)
