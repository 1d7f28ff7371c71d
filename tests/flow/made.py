"""Made people in two pictures, with the fits that a perfect registration would give."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bodyreg.body import Body
from bodyreg.data import Fits
from bodyreg.synthetic.figure import Figure
from bodyreg.synthetic.scenes.catalogue import FASHION_VIEWS, POSING, Catalogue


@dataclass(frozen=True, eq=False)
class Shown:
    """A person in a picture.

    Attributes:
        figure: The person before the camera.
        fits: One fit: the same body and camera.
        height, width: Of the picture.
    """

    figure: Figure
    fits: Fits
    height: int
    width: int

    @property
    def body(self) -> Body:
        """The person's own body."""
        return self.figure.person.body

    @property
    def near(self) -> bool:
        """Whether the camera is near."""
        return self.figure.camera.perspective


def in_pictures(
    seed: int, person: int, size: tuple[int, int] = (256, 256), focal: float | None = None
) -> list[Shown]:
    """A person in five views.

    Args:
        seed: Of the people.
        person: The number of the person.
        size: Height and width of the pictures.
        focal: Of near cameras, pixels; None = distant cameras.
    """
    height, width = size
    views = len(FASHION_VIEWS)
    catalogue = Catalogue(
        "flow", views * (person + 1), seed, width, height, FASHION_VIEWS, POSING, True
    )
    body = Body.default()
    figures = [catalogue.scene(body, number).figures[0] for number in catalogue.pictures_of(person)]
    if focal is not None:
        centre = np.array([width * 0.45, height * 0.55])
        figures = [replace(f, camera=f.camera.near(focal, centre)) for f in figures]
    return [Shown(figure, fits_of(figure, i), height, width) for i, figure in enumerate(figures)]


def fits_of(figure: Figure, number: int) -> Fits:
    """The fit that is the figure itself, in a frame somewhere round it."""
    weak = figure.camera.weak()
    half_side = 90.0 + 7 * number
    frame = np.array([[*weak.pelvis, half_side]], np.float32) + np.float32([5, 3 * number, 0])
    near = figure.camera.perspective
    fits = Fits(
        id=np.array([number]),
        frame=frame,
        pose=figure.pose[None],
        segment_scale=figure.person.segment_scale[None].astype(np.float32),
        rotation=figure.rotation[None],
        scale=np.array([weak.pixels_per_metre / half_side], np.float32),
        translation=np.zeros((1, 2), np.float32),
        focal=figure.camera.focal[:1].astype(np.float32) if near else None,
        principal_point=figure.camera.centre[None].astype(np.float32) if near else None,
    )
    wanted = (weak.pelvis - frame[0, :2]) / half_side * [1, -1]
    there = fits.joints(figure.person.body)[0, 0, :2]
    return replace(fits, translation=(wanted - there)[None].astype(np.float32))
