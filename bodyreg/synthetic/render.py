"""Rendering of a scene: background, shadows, dressed people, objects in front, camera effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional

from bodyreg.ops import raster
from bodyreg.synthetic.blend import threefold
from bodyreg.synthetic.figure import Figure
from bodyreg.synthetic.lens import photograph
from bodyreg.synthetic.light import (
    Light,
    ground_shadow,
    lit_share,
    openness,
    sample_light,
    shade,
    shadow_map_places,
    soften,
)
from bodyreg.synthetic.looks import channels
from bodyreg.synthetic.looks.look import drape, look_of
from bodyreg.synthetic.looks.paint import paint
from bodyreg.synthetic.mesh import Mesh, mesh_of
from bodyreg.synthetic.places.background import paint_background
from bodyreg.synthetic.places.occluders import paint_occluder
from bodyreg.synthetic.places.seats import paint_seat
from bodyreg.synthetic.scenes.scene import Scene

# People are drawn FINE times finer than the picture and then averaged. Large people, for which this
# would take more than MOST_SAMPLES samples, are drawn less finely: their details are large.
FINE, LEAST_FINE, MOST_SAMPLES = 1.5, 1.25, 40_000
# Outlines are smoothed over three samples with this kernel; few samples alone would leave steps.
EDGE = np.array([0.22, 0.56, 0.22], np.float32)
OUTDOORS = 0.5


def render(scene: Scene, backgrounds: Sequence[Path] | None = None) -> np.ndarray:
    """Render a scene. The same scene gives the same bytes.

    Args:
        scene: The scene.
        backgrounds: The user's picture files; without them backgrounds are procedural.

    Returns:
        (height, width, 3) uint8 blue, green, red.

    Raises:
        UserError: a background cannot be read.
    """
    random = [_random(scene, number) for number in range(4)]
    light, outdoors = _light(scene, random[0])
    picture = paint_background(random[1], scene, outdoors, backgrounds)
    draped, bright = [], np.ones((scene.height, scene.width), np.float32)
    for figure in scene.figures:
        mesh = mesh_of(figure.person.body.faces, len(figure.vertices))
        vertices, normals = drape(look_of(figure.person), figure.vertices, mesh)
        draped.append((figure, mesh, vertices, normals))
        shadow = ground_shadow(figure, vertices, light, scene.height, scene.width)
        bright *= 1 - np.float32(0.85) * shadow
    picture *= threefold(bright)
    for figure in scene.figures:
        paint_seat(random[3], picture, figure, light)
    for figure, mesh, vertices, normals in draped:
        layer = _layer(picture.shape[:2], figure, mesh, vertices, normals, light)
        if layer is not None:
            layer.put_over(picture)
    for occluder in scene.occluders:
        paint_occluder(picture, occluder)
    return photograph(random[2], picture)


def render_alone(scene: Scene, backdrop: int = 255) -> tuple[np.ndarray, np.ndarray]:
    """Render a scene's people alone, in the light of `render`.

    There are no shadows on the ground, no objects, and no effects of a camera.

    Args:
        scene: The scene.
        backdrop: The grey level behind the people.

    Returns:
        (height, width, 3) uint8 blue, green, red, and (height, width) float32, the share of each
        pixel that people cover.
    """
    light, _ = _light(scene, _random(scene, 0))
    shape = scene.height, scene.width
    picture, behind = np.full((*shape, 3), backdrop, np.float32), np.ones(shape, np.float32)
    for figure in scene.figures:
        mesh = mesh_of(figure.person.body.faces, len(figure.vertices))
        vertices, normals = drape(look_of(figure.person), figure.vertices, mesh)
        layer = _layer(shape, figure, mesh, vertices, normals, light)
        if layer is not None:
            layer.put_over(picture)
            behind[layer.window] *= 1 - layer.share
    return cv2.add(picture, 0, dtype=cv2.CV_8U), 1 - behind


def _random(scene: Scene, number: int) -> np.random.Generator:
    """One of a scene's sources of random numbers: light, background, camera, seats."""
    return np.random.default_rng([*scene.seed, number])


def _light(scene: Scene, random: np.random.Generator) -> tuple[Light, bool]:
    """A scene's light, and whether it is outdoors."""
    up = scene.figures[0].up if scene.figures else np.array([0, 1, 0], np.float32)
    outdoors = bool(random.random() < OUTDOORS)
    return sample_light(random, up, outdoors), outdoors


@dataclass(frozen=True, eq=False)
class Layer:
    """A figure that is drawn, to be put over a picture.

    Attributes:
        window: The rows and columns that it may cover.
        colour: (h, w, 3) float32 in that window, times `share`.
        share: (h, w) float32, the share of each pixel that it covers.
    """

    window: tuple[slice, slice]
    colour: np.ndarray
    share: np.ndarray

    def put_over(self, picture: np.ndarray) -> None:
        """Cover a picture (H, W, 3) float32, in place."""
        region = picture[self.window]
        region *= threefold(1 - self.share)
        region += self.colour


def _layer(
    shape: tuple[int, int], figure: Figure, mesh: Mesh, vertices: np.ndarray, normals: np.ndarray,
    light: Light,
) -> Layer | None:  # fmt: skip
    """A dressed figure in a picture of height and width `shape`; None if it is outside."""
    height, width = shape
    places = figure.project(vertices)
    x, y = np.ascontiguousarray(places[:, :2].T)
    left, right = (int(v) for v in np.clip((x.min() - 1, x.max() + 2), 0, width))
    top, low = (int(v) for v in np.clip((y.min() - 1, y.max() + 2), 0, height))
    if right <= left or low <= top:
        return None
    columns, rows = right - left, low - top
    fine = np.clip(np.sqrt(MOST_SAMPLES / (columns * rows)), LEAST_FINE, FINE)
    grid = int(np.ceil(fine * rows)), int(np.ceil(fine * columns))
    places[:, 0] = (x - left) * (grid[1] / columns)
    places[:, 1] = (y - top) * (grid[0] / rows)
    drawn = raster(
        torch.from_numpy(places.astype(np.float32))[None], mesh.faces, *grid,
        perspective=figure.camera.perspective, cull=True,
    )  # fmt: skip
    inside = drawn.face[0] >= 0
    pixels = np.flatnonzero(inside.numpy())
    if not len(pixels):
        return None
    at = torch.from_numpy(pixels)
    look, seen = look_of(figure.person), shadow_map_places(light, vertices)
    # Interpolate the values of each pixel's three corners.
    corners = mesh.faces.index_select(0, drawn.face[0].reshape(-1).index_select(0, at))
    points = functional.embedding_bag(
        corners,
        torch.from_numpy(cv2.transpose(np.concatenate([look.table, normals.T, seen]))),
        mode="sum",
        per_sample_weights=drawn.barycentric[0].reshape(-1, 3).index_select(0, at),
    )
    points, normal, at_light = np.split(
        cv2.transpose(points.numpy()), (channels.COUNT, channels.COUNT + 3)
    )
    normal /= np.sqrt(np.square(normal).sum(0)) + np.float32(1e-6)

    def spread(values: np.ndarray) -> np.ndarray:
        """Scatter values of the covered pixels into the window; 0 elsewhere."""
        all_ = torch.from_numpy(np.zeros((inside.numel(), *values.shape[1:]), np.float32))
        return all_.index_copy_(0, at, torch.from_numpy(values)).numpy().reshape(*grid, -1)

    scale = fine * figure.camera.weak().pixels_per_metre
    known = inside.numpy().astype(np.float32)
    open_ = openness(drawn.depth[0].numpy(), known, scale).reshape(-1).take(pixels)
    lit = spread(lit_share(seen, mesh, at_light))[..., 0]
    lit = soften(lit, known, 0.012 * scale).reshape(-1).take(pixels)
    colour = spread(shade(light, paint(look, points), normal, lit, open_))
    smooth = cv2.sepFilter2D(known, -1, EDGE, EDGE)
    colour, share, covered = (
        cv2.resize(part, (columns, rows), interpolation=cv2.INTER_LINEAR)
        for part in (colour, smooth, known)
    )
    # Divide by the coverage: a colour is the mean of the covered samples.
    colour *= threefold(share / np.maximum(covered, np.float32(1e-3)))
    share *= covered > 0
    return Layer((slice(top, low), slice(left, right)), colour, share)
