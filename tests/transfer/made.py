"""Made people whose colours tell where on the body they are from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from bodyreg import ops
from bodyreg.transfer import Source
from tests.flow.made import Shown

LOW, HIGH = np.array([-1.1, -1.3, -0.5]), np.array([1.1, 1.3, 0.7])
"""A box round all rest bodies, metres from the pelvis."""


@dataclass(frozen=True, eq=False)
class Coloured:
    """A picture of a bare body.

    Attributes:
        place: (H, W, 3) the rest position that each pixel shows.
        mask: (H, W) bool.
        picture: (H, W, 3) uint8.
    """

    place: np.ndarray
    mask: np.ndarray
    picture: np.ndarray


def coloured(shown: Shown, colours) -> Coloured:
    """Draw a body in the colours (..., 3) that a function of rest positions (..., 3) gives."""
    figure = shown.figure
    faces = torch.from_numpy(shown.body.faces.astype(np.int32))
    placed = torch.from_numpy(figure.project(figure.vertices))[None]
    raster = ops.raster(placed, faces, shown.height, shown.width, perspective=shown.near)
    face = raster.face[0].numpy()
    corners = shown.body.vertices[shown.body.faces[face]].astype(np.float64)
    place = (raster.barycentric[0].numpy()[..., None] * corners).sum(2) - shown.body.joints[0]
    picture = np.rint(colours(place)).astype(np.uint8)
    picture[face < 0] = (255, 0, 255)  # in no picture of a body
    return Coloured(place, face >= 0, picture)


def positions(place: np.ndarray) -> np.ndarray:
    """Colours that are the places themselves."""
    return 255 * (place - LOW) / (HIGH - LOW)


def places(picture: np.ndarray) -> np.ndarray:
    """The inverse of `positions`, to half a step of 1/255."""
    return picture / 255 * (HIGH - LOW) + LOW


def stripes(place: np.ndarray) -> np.ndarray:
    """Soft level stripes, 8 cm wide, and others along the body."""
    level, along = (np.sin(2 * np.pi * place[..., axis] / 0.16) for axis in (1, 0))
    return 128 + 100 * np.stack([level, along, level * along], -1)


def source_of(shown: Shown, colours=positions) -> Source:
    made = coloured(shown, colours)
    return Source(made.picture, made.mask, shown.fits)
