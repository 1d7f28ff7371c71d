"""What each pixel of a picture shows, without colours: the annotations come from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from bodyreg.ops import Raster, raster
from bodyreg.synthetic.figure import Figure
from bodyreg.synthetic.mesh import mesh_of
from bodyreg.synthetic.places.occluders import coverage
from bodyreg.synthetic.scenes.scene import Scene

BACKGROUND, OBJECT = -1, -2


@dataclass(frozen=True, eq=False)
class Layout:
    """What each pixel of a picture shows.

    Attributes:
        owner: (H, W) int16, the visible figure as an index into the scene's figures; -1 the
            background, -2 an occluding object.
        alone: (H, W) bool for each figure: its pixels if nothing else were in the picture.
        surface: For each figure its own raster, as arrays: face (H, W), barycentric (H, W, 3),
            depth (H, W).
    """

    owner: np.ndarray
    alone: list[np.ndarray]
    surface: list[Raster]


def lay_out(scene: Scene) -> Layout:
    """Find what every pixel's centre shows: bodies without clothes, objects, or the background.

    Args:
        scene: The scene.
    """
    height, width = scene.height, scene.width
    surface: list[Raster | None] = [None] * len(scene.figures)
    for batch in _batches(scene.figures):
        places = [scene.figures[i].project(scene.figures[i].vertices) for i in batch]
        first = scene.figures[batch[0]]
        drawn = raster(
            torch.from_numpy(np.stack(places).astype(np.float32)),
            mesh_of(first.person.body.faces, len(first.vertices)).faces,
            height,
            width,
            perspective=first.camera.perspective,
            cull=True,
        )
        for row, i in enumerate(batch):
            surface[i] = Raster(*(part[row].numpy() for part in drawn))
    owner = np.full((height, width), BACKGROUND, np.int16)
    alone = [found.face >= 0 for found in surface]
    for number, pixels in enumerate(alone):
        owner[pixels] = number
    for occluder in scene.occluders:
        owner[coverage(occluder, height, width) >= 0.5] = OBJECT
    return Layout(owner, alone, surface)


def _batches(figures: list[Figure]) -> list[list[int]]:
    """Group figures that one raster call can draw: one mesh, one kind of camera."""
    batches: dict[tuple[int, bool], list[int]] = {}
    for number, figure in enumerate(figures):
        kind = id(figure.person.body.faces), figure.camera.perspective
        batches.setdefault(kind, []).append(number)
    return list(batches.values())
