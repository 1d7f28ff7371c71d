"""bodyreg-landmarks-1: landmarks of a user's own, as JSON.

    {"format": "bodyreg-landmarks-1",
     "landmarks": {
       "coco/left_shoulder": [
         {"point": "left_shoulder", "offset": [-0.01, 0.04, 0], "moves_with": "left_collar"}],
       "chin": [{"vertex": 210, "share": 0.5}, {"vertex": 214, "share": 0.5}]}}

A landmark is a list of terms whose shares sum to 1 (a share that is left out is 1). Its terms are
vertices of the body's mesh, or places as `bodyreg.body.Place` describes them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from bodyreg.body import Body, Landmark, Place
from bodyreg.data.json_files import integer, load_json, numbers
from bodyreg.errors import UserError
from bodyreg.files import atomic_path

FORMAT = "bodyreg-landmarks-1"

# Shares that sum to 1 to within this are kept as they are.
ROUNDING = 1e-3
# Metres on a body 1.7 m tall. A point of the body is never so far from another one.
FARTHEST = 2.0
# Shares of points between its terms are from 0 to 1; a landmark beyond them has larger ones.
LARGEST_SHARE = 10
KEYS = {"point", "offset", "moves_with", "vertex", "share"}


def read_landmarks(path: str | os.PathLike, body: Body) -> dict[str, Landmark]:
    """Read landmarks for a body; `body.with_landmarks` applies them.

    Raises:
        UserError: the file is missing or damaged, or a landmark is not one of this body; the
            message names it.
    """
    content = load_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path}: expected an object with 'format': '{FORMAT}' and 'landmarks'")
    landmarks = content.get("landmarks")
    if not isinstance(landmarks, dict) or not landmarks:
        raise UserError(f"{path}: 'landmarks' is not an object with a landmark or more")
    found = {
        name: _landmark(terms, f"{path}: landmark '{name}'", body)
        for name, terms in landmarks.items()
    }
    try:
        body.with_landmarks(found)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return found


def write_landmarks(
    path: str | os.PathLike, landmarks: Mapping[str, Landmark], **facts: Any
) -> None:
    """Write landmarks, and what made them."""
    rows = {name: _terms(landmark) for name, landmark in landmarks.items()}
    # A landmark has a line of its own.
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    head = json.dumps({"format": FORMAT, **facts})[1:-1]
    with atomic_path(path) as temporary:
        temporary.write_text(f'{{{head},\n "landmarks": {{\n{lines}}}}}\n', encoding="utf-8")


def _terms(landmark: Landmark) -> list[dict[str, Any]]:
    terms: list[dict[str, Any]] = [
        {"vertex": vertex, "share": weight}
        for vertex, weight in zip(
            landmark.vertices.tolist(), landmark.weights.tolist(), strict=True
        )
    ]
    for place in landmark.places:
        term: dict[str, Any] = {"point": place.point, "offset": [round(d, 6) for d in place.offset]}
        if place.moves_with:
            term["moves_with"] = place.moves_with
        terms.append(term | {"share": place.share})
    return terms


def _landmark(terms: Any, where: str, body: Body) -> Landmark:
    if not isinstance(terms, list) or not terms or not all(isinstance(t, dict) for t in terms):
        raise UserError(f"{where}: is not a list of objects, its terms")
    for term in terms:
        strange = sorted(term.keys() - KEYS)
        if strange:
            raise UserError(f"{where}: has '{strange[0]}'; a term has {', '.join(sorted(KEYS))}")
    on_mesh = ["vertex" in term for term in terms]
    if any(on_mesh) and any(term.keys() - {"vertex", "share"} for term in terms):
        raise UserError(f"{where}: mixes vertices with places; use vertices alone, or places alone")
    shares = [
        float(numbers({"share": [term.get("share", 1)]}, "share", where, 1)[0]) for term in terms
    ]
    if max(map(abs, shares)) > LARGEST_SHARE:
        raise UserError(f"{where}: a share is not from -{LARGEST_SHARE} to {LARGEST_SHARE}")
    if not abs(sum(shares) - 1) <= ROUNDING:
        raise UserError(f"{where}: its shares sum to {sum(shares):.4g} instead of 1")
    if all(on_mesh):
        vertices = np.array([integer(term["vertex"], "vertex", where) for term in terms])
        if not ((vertices >= 0) & (vertices < len(body.vertices))).all():
            raise UserError(
                f"{where}: a vertex is out of range; body '{body.name}' has {len(body.vertices)}"
            )
        return Landmark(vertices, np.array(shares, np.float32))
    places = [_place(term, share, where) for term, share in zip(terms, shares, strict=True)]
    return Landmark(places=tuple(places))


def _place(term: dict[str, Any], share: float, where: str) -> Place:
    offset = numbers({"offset": term.get("offset", [0, 0, 0])}, "offset", where, 3)
    if (np.abs(offset) > FARTHEST).any():
        raise UserError(f"{where}: offset is more than {FARTHEST:g} metres; check the units")
    point, moves_with = term.get("point"), term.get("moves_with", "")
    if not isinstance(point, str) or not isinstance(moves_with, str):
        raise UserError(f"{where}: point and moves_with are names of joints, as texts")
    x, y, z = offset.tolist()
    return Place(point, (x, y, z), moves_with, share)
