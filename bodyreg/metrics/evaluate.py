"""Fits against the truth of made people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bodyreg.errors import UserError
from bodyreg.metrics.pose import mpjpe, pa_mpjpe, turned_away
from bodyreg.metrics.surface import pixel_error, vertex_error

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data import Truth
    from bodyreg.registration import Fits

MILLIMETRES = 1000.0
# People whose vertices are compared at a time.
CHUNK = 64


def evaluate(fits: Fits, truth: Truth, body: Body) -> dict[str, np.ndarray]:
    """Every error of every person.

    Args:
        fits: N fits of `body`.
        truth: The truth of at least these people, matched by id.
        body: The template that was fitted.

    Returns:
        Name -> (N,): `pixel` mean distance of visible vertices in pixels of a 256-pixel frame;
        `vertex` mean distance of vertices after Procrustes, mm; `pa_mpjpe` of the 24 joints, mm;
        `mpjpe` of the 24 joints under the true camera's scale, mm; `reflected` bool, a mirrored
        body (determinant of the rotation negative); `turned_away` bool, a body that faces more
        than 90 degrees away from the truth.

    Raises:
        UserError: the truth lacks a person, or was made from another mesh.
    """
    position = {person: row for row, person in enumerate(truth.id.tolist())}
    missing = [person for person in fits.id.tolist() if person not in position]
    if missing:
        raise UserError(f"the truth holds no person {missing[0]}; it must be of the same people")
    if truth.body != body.fingerprint:
        raise UserError(
            f"the truth was made from body {truth.body}, these are fits of '{body.name}' "
            f"({body.fingerprint}); evaluate with the body it was made from"
        )
    truth = truth.select(np.array([position[person] for person in fits.id.tolist()], int))
    parts = [
        _evaluate(fits.select(some), truth.select(some), body)
        for some in np.array_split(np.arange(len(fits)), max(1, -(-len(fits) // CHUNK)))
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _evaluate(fits: Fits, truth: Truth, body: Body) -> dict[str, np.ndarray]:
    # Truth and fit may be seen through different crops.
    fits = fits.in_frames(truth.frame)
    vertices, joints = fits.vertices(body), fits.joints(body)
    metres = joints / truth.scale[:, None, None]
    return {
        "pixel": pixel_error(vertices[..., :2], truth.in_frame(truth.vertices), truth.visible),
        "vertex": MILLIMETRES * vertex_error(vertices, truth.vertices),
        "pa_mpjpe": MILLIMETRES * pa_mpjpe(joints, truth.joints),
        "mpjpe": MILLIMETRES * mpjpe(metres, truth.joints),
        "reflected": fits.mirrored,
        "turned_away": turned_away(joints, truth.joints, body.joint_names),
    }
