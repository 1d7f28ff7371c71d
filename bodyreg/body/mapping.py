"""Where SMPL's vertices lie on a body of any mesh: the built-in body, laid over it, tells."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bodyreg.body.body import Body
from bodyreg.body.joints import PARENTS
from bodyreg.body.landmarks import SMPL_VERTEX_COUNT
from bodyreg.body.nearest import Surface
from bodyreg.body.smpl import SmplVertices, built_in_table
from bodyreg.body.wrapping import Pins, bend, settle
from bodyreg.errors import UserError

APART = 2
"""Joints between the segments of points that may meet: rigs draw the borders at other places."""

LIKE = 0.03
"""Metres. A body is no person, or is in another rest pose, if a tenth of the built-in body's
vertices, in its pose and size, are farther from its surface. On MHR's body they are within 9 mm."""


@dataclass(frozen=True)
class Mapping:
    """Where SMPL's vertices lie on a body.

    Attributes:
        body: The body, with `smpl`.
        away: (6890,) metres: how far each vertex of the laid-over body was from the surface.
    """

    body: Body
    away: np.ndarray


def map_smpl(body: Body) -> Mapping:
    """Find where SMPL's vertices lie on a body.

    The built-in body is posed, resized and bent until it lies on the body's surface; joints and
    landmarks that both have show the way, and points meet points of their own or a near segment.
    Then each of SMPL's vertices has its place, and the nearest point of the surface is meant.

    Args:
        body: In SMPL's rest pose, a T: arms along x, palms down, facing +z.

    Raises:
        UserError: the body has SMPL's vertices already, or is too unlike a person in a T-pose.
    """
    built_in = Body.default()
    if np.array_equal(body.faces, built_in.faces):
        return Mapping(replace(body, smpl=built_in_table()), np.zeros(len(built_in_table())))
    if len(body.vertices) == SMPL_VERTEX_COUNT:
        raise UserError(f"body '{body.name}' has SMPL's vertices; --uv alone gives it its charts")
    target = Surface(body.vertices, body.faces, body.segment)
    if np.linalg.det(target.corners).sum() < 0:  # six times the volume
        raise UserError(f"body '{body.name}': its faces look inward; reverse their corners")
    names = [
        name
        for name, landmark in built_in.landmarks.items()
        if name in body.landmarks and not landmark.places and not body.landmarks[name].places
    ]
    theirs = [body.landmarks[name] for name in names]
    places = [p.weights @ body.vertices[p.vertices] for p in theirs]
    pins = Pins([built_in.landmarks[name] for name in names], np.array(places).reshape(-1, 3))
    settled = settle(built_in, target, pins, joints=body.joints)
    _require_like(body, target, Surface(settled, built_in.faces))
    meets = _near_segments()
    bent = bend(
        settled, built_in.faces, target, Pins([], np.zeros((0, 3))), allowed=meets[built_in.segment]
    )
    table = built_in_table()
    own = Surface(bent, built_in.faces)
    share = table.barycentric.astype(np.float64)
    points = (bent[table.vertex] * share[..., None]).sum(1)
    normals = (own.normals[table.vertex] * share[..., None]).sum(1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    segment = built_in.segment[np.take_along_axis(table.vertex, share.argmax(1)[:, None], 1)[:, 0]]
    near = target.nearest(points, normals, allowed=meets[segment])
    away = np.linalg.norm(near.place - points, axis=1)
    smpl = SmplVertices(target.faces[near.face], near.barycentric.astype(np.float32))
    return Mapping(replace(body, smpl=smpl), away)


def _require_like(body: Body, target: Surface, settled: Surface) -> None:
    """Refuse a body that the settled built-in body is unlike."""
    near = target.nearest(settled.vertices, settled.normals)
    far = np.percentile(np.linalg.norm(near.place - settled.vertices, axis=1), 90)
    if far > LIKE:
        raise UserError(
            f"body '{body.name}': a tenth of the built-in body's surface stays {100 * far:.0f} cm "
            "away from it, or more; it must be a person in a T-pose, palms down, facing +z"
        )


def _near_segments() -> np.ndarray:
    """(24, 24) bool: segments with at most `APART` joints between them."""
    step = np.eye(len(PARENTS), dtype=bool)
    for joint, parent in enumerate(PARENTS[1:], 1):
        step[joint, parent] = step[parent, joint] = True
    near = step
    for _ in range(APART - 1):
        near = near @ step
    return near
