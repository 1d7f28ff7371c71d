"""Poses as vertices of Meta's MHR."""

from __future__ import annotations

import numpy as np

from bodyreg.body import Body
from bodyreg.body.mhr import MhrVertices
from bodyreg.errors import UserError
from bodyreg.exchange.motion import Motion


def mhr_vertices(motion: Motion) -> np.ndarray:
    """Where MHR's vertices lie on the built-in body, in T poses.

    With MHR's faces (level of detail 1, in MHR's own files) they are the surface of the fit.

    Returns:
        (T, 18439, 3) float32 metres, in the axes of `motion`. MHR's own files are in centimetres.

    Raises:
        UserError: the body is another one.
    """
    body, table = motion.body, MhrVertices.built_in()
    if not np.array_equal(body.faces, Body.default().faces):
        raise UserError(
            f"body '{body.name}': only on the built-in body it is known where MHR's vertices lie"
        )
    points = body.surface_points(body.faces[table.face], table.barycentric)
    return motion.points(points).astype(np.float32)
