"""A picture of a scene: background, shadows, dressed people, objects before them, a camera."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional

from bodyreg.ops import raster
from bodyreg.synthetic.background import paint_background
from bodyreg.synthetic.dressing import paint
from bodyreg.synthetic.figure import Figure
from bodyreg.synthetic.lens import photograph
from bodyreg.synthetic.light import (
    Light,
    ground_shadow,
    light_places,
    lit_share,
    openness,
    sample_light,
    shade,
)
from bodyreg.synthetic.looks import drape, look_of
from bodyreg.synthetic.mesh import mesh_of
from bodyreg.synthetic.occluders import paint_occluder
from bodyreg.synthetic.scenes import Scene

# People are drawn this much finer than the picture, then averaged.
FINE = 2
OUTDOORS = 0.5


def render(scene: Scene, backgrounds: Sequence[Path] | None = None) -> np.ndarray:
    """Make the picture of a scene. The same scene gives the same bytes.

    Args:
        scene: The scene.
        backgrounds: The user's picture files; procedural ones without.

    Returns:
        (height, width, 3) uint8 blue, green, red.

    Raises:
        UserError: a background cannot be read.
    """
    random = [np.random.default_rng([*scene.seed, number]) for number in range(3)]
    up = scene.figures[0].up if scene.figures else np.array([0, 1, 0], np.float32)
    outdoors = bool(random[0].random() < OUTDOORS)
    light = sample_light(random[0], up, outdoors)
    picture = paint_background(random[1], scene, outdoors, backgrounds)
    draped = []
    for figure in scene.figures:
        mesh = mesh_of(figure.person.body.faces, len(figure.vertices))
        vertices, normals = drape(look_of(figure.person), figure.vertices, mesh)
        draped.append((figure, mesh, vertices, normals))
        shadow = ground_shadow(figure, vertices, mesh, light, scene.height, scene.width)
        picture *= (1 - 0.75 * shadow)[..., None]
    for figure, mesh, vertices, normals in draped:
        _add_figure(picture, figure, mesh, vertices, normals, light)
    for occluder in scene.occluders:
        paint_occluder(picture, occluder)
    return photograph(random[2], picture)


def _add_figure(picture, figure: Figure, mesh, vertices, normals, light: Light) -> None:
    """Draw a dressed figure over a picture (H, W, 3) float32, in place."""
    height, width = picture.shape[:2]
    places = figure.project(vertices)
    low = np.clip(np.floor(places[:, :2].min(0)) - 1, 0, (width, height)).astype(int)
    high = np.clip(np.ceil(places[:, :2].max(0)) + 1, 0, (width, height)).astype(int)
    columns, rows = (high - low).tolist()
    if columns <= 0 or rows <= 0:
        return
    places[:, :2] = (places[:, :2] - low) * FINE
    drawn = raster(
        torch.from_numpy(places.astype(np.float32))[None], mesh.faces, FINE * rows, FINE * columns,
        perspective=figure.camera.perspective,
    )  # fmt: skip
    face = drawn.face[0].reshape(-1)
    pixels = torch.nonzero(face >= 0)[:, 0]
    if not len(pixels):
        return
    look = look_of(figure.person)
    seen = light_places(light, vertices)
    # Every pixel's mix of its face's three corners.
    points = functional.embedding_bag(
        mesh.faces[face[pixels].long()],
        torch.from_numpy(np.concatenate([look.table, normals, seen], 1)),
        mode="sum",
        per_sample_weights=drawn.barycentric[0].reshape(-1, 3)[pixels],
    ).numpy()
    painted = paint(look, points[:, :8])
    normal = points[:, 8:11]
    normal /= np.sqrt((normal * normal).sum(1, keepdims=True)) + np.float32(1e-6)
    inside = (face >= 0).numpy().reshape(FINE * rows, FINE * columns)
    scale = FINE * figure.camera.weak().pixels_per_metre
    open_ = openness(drawn.depth[0].numpy(), inside, scale)
    at = pixels.numpy()
    lit = np.zeros(inside.size, np.float32)
    lit[at] = lit_share(seen, mesh, points[:, 11:])
    known = inside.astype(np.float32)
    reach = 2 * max(1, round(0.012 * scale)) + 1
    lit = cv2.blur(lit.reshape(inside.shape), (reach, reach)) / np.maximum(
        cv2.blur(known, (reach, reach)), 1e-3
    )
    colour = np.zeros((inside.size, 3), np.float32)
    colour[at] = shade(light, painted, normal, lit.reshape(-1)[at], open_.reshape(-1)[at])
    small = columns, rows
    colour = cv2.resize(colour.reshape(*inside.shape, 3), small, interpolation=cv2.INTER_AREA)
    share = cv2.resize(known, small, interpolation=cv2.INTER_AREA)
    region = picture[low[1] : high[1], low[0] : high[0]]
    region *= (1 - share)[..., None]
    region += colour
