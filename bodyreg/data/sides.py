"""Left and right of a person's evidence, exchanged: detectors sometimes take one for the other.

Evidence has groups, each with a bit. A person's set of bits says which groups are of the other side
than the files say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bodyreg.body.joints import JOINT_NAMES, mirror_name
from bodyreg.data.observations import OF_KEYPOINTS, Observations

if TYPE_CHECKING:
    from bodyreg.body import Body

POINTS = {
    "hands": ("wrist", "hand"),
    "feet": ("ankle", "foot"),
    "arms": ("collar", "shoulder", "elbow"),
    "legs": ("hip", "knee"),
    "trunk": ("pelvis", "spine1", "spine2", "spine3", "neck", "head"),
}
"""Groups of dense points -> the segments they are on. A group's bit is its place: 0 to 4."""

KEYPOINTS = {
    "arms": ("collar", "shoulder", "elbow", "wrist", "hand", "thumb", "index", "pinky", "finger"),
    "legs": ("hip", "knee", "ankle", "foot", "heel", "toe"),
    "head": (),
}
"""Groups of keypoints -> words in their names; the last one has the others. Bits 5 to 7."""


def bits(points: Iterable[str] = (), keypoints: Iterable[str] = ()) -> int:
    """The set of these groups of dense points and of keypoints."""
    return sum(1 << list(POINTS).index(group) for group in points) + sum(
        1 << (len(POINTS) + list(KEYPOINTS).index(group)) for group in keypoints
    )


def with_exchanged(
    observations: Observations, exchanged: np.ndarray | None, body: Body
) -> Observations:
    """The same people with left and right exchanged in some groups of their evidence.

    A person without the opposite vertex or keypoint keeps what has none.

    Args:
        observations: N people.
        exchanged: (N,) sets of groups, or None for none.
        body: The body that the dense points lie on.
    """
    if exchanged is None or not exchanged.any():
        return observations
    values: dict[str, Any] = {}
    if body.mirror_vertices is not None and len(observations.point_xy):
        corner = observations.point_barycentric.argmax(1)[:, None]
        nearest = np.take_along_axis(observations.point_vertex, corner, 1)[:, 0]
        group = _SEGMENT_GROUP[body.segment[nearest]]
        moved = (exchanged[observations.point_person] >> group) & 1 > 0
        vertex = observations.point_vertex.copy()
        vertex[moved] = body.mirror_vertices[vertex[moved]]
        values["point_vertex"] = vertex
    own, other, group = _columns(observations.keypoint_name)
    if len(own):
        moved = (exchanged[:, None] >> group) & 1 > 0
        order = np.where(moved, other, own)
        for name in OF_KEYPOINTS:
            array = getattr(observations, name)
            if array is not None:
                places = order[..., None] if array.ndim == 3 else order
                values[name] = np.take_along_axis(array, places, 1)
    return replace(observations, **values)


def _columns(names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(K,) each keypoint's column, that of the opposite one (or its own), and its bit."""
    own, place = np.arange(len(names)), {name: i for i, name in enumerate(names)}
    other = np.array([place.get(mirror_name(name), i) for i, name in enumerate(names)], int)
    return own, other, np.array([_keypoint_group(name) for name in names], int)


def _keypoint_group(name: str) -> int:
    part, groups = name.rpartition("/")[2], list(KEYPOINTS.values())
    found = [n for n, words in enumerate(groups) if any(word in part for word in words)]
    # The last one: left_foot_index is of the legs.
    return len(POINTS) + (found[-1] if found else len(groups) - 1)


def _segment_groups() -> np.ndarray:
    """(24,) the bit of the dense points on each segment."""
    of = {joint: place for place, joints in enumerate(POINTS.values()) for joint in joints}
    return np.array([of[name.removeprefix("left_").removeprefix("right_")] for name in JOINT_NAMES])


_SEGMENT_GROUP = _segment_groups()
