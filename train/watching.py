"""What recipes look at while a network learns: errors of people who are held out, and pictures."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from bodyreg import Body, RegistrationConfig
from bodyreg.metrics import joint_errors
from bodyreg.regression import Album, Regressor
from bodyreg.regression.learning import Watch
from bodyreg.training.curves import NO_CURVES, Curves
from bodyreg.viz.overlay import overlay

EXAMPLES, COLUMNS = 12, 6
"""People whose pictures are drawn, and how many stand in a row."""

TILE = 128
"""Pixels of a picture's side."""


def watcher(
    body: Body,
    held_out: Sequence[Album],
    examples: Album,
    registration: RegistrationConfig | None = None,
) -> Watch:
    """Measures people who are held out, and draws some people with the bodies that are seen.

    Args:
        body: The body.
        held_out: Data sets with known joints.
        examples: The people to draw, the first ones. They are drawn only if curves are written.
        registration: Says what the cameras are, as of `Regressor.predict`.
    """
    few = Album(examples.people.select(slice(0, EXAMPLES)), examples.crops[:EXAMPLES])

    def watch(step: int, regressor: Regressor, curves: Curves) -> dict[str, float]:
        numbers = {}
        for number, album in enumerate(held_out, 1):
            seen = regressor.predict(album.in_frames(regressor.side), album.people, registration)
            assert album.joints is not None
            errors = joint_errors(seen, album.joints, body)
            numbers |= {f"held out {number} {name}": e.mean() for name, e in errors.items()}
        if curves is not NO_CURVES:
            picture = drawn(body, regressor, few, registration)
            curves.add_image("people", picture, step, dataformats="HWC")
        return numbers

    return watch


def drawn(
    body: Body, regressor: Regressor, album: Album, registration: RegistrationConfig | None = None
) -> np.ndarray:
    """(H, W, 3) uint8 red, green, blue: people's pictures, and below each the body that is seen."""
    crops = album.in_frames(regressor.side)
    fits = regressor.predict(crops, album.people, registration)
    tiles = []
    for crop, seen in zip(crops, fits.seen(fits.vertices(body)), strict=True):
        picture = crop.permute(1, 2, 0).numpy()[..., ::-1]
        ground = cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_LINEAR)
        tiles.append(np.concatenate([ground, overlay(ground, seen, body.faces)])[..., ::-1])
    empty = np.full_like(tiles[0], 255)
    tiles += [empty] * (-len(tiles) % min(COLUMNS, len(tiles)))
    columns = min(COLUMNS, len(tiles))
    rows = [np.concatenate(tiles[i : i + columns], 1) for i in range(0, len(tiles), columns)]
    return np.concatenate(rows)
