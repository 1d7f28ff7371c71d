"""Landmarks: named points of the body that data sets annotate.

A landmark is a mix of vertices, or of places beside other points. It becomes a rig point: at rest
it lies where the mix lies, and it moves with the segments of its vertices or places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from bodyreg.body.joints import JOINT_NAMES, mirror_name
from bodyreg.body.rig import RigPoints
from bodyreg.errors import UserError

LANDMARK_NAMES: tuple[str, ...] = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_top",
    "left_heel", "right_heel", "left_toe", "right_toe",
)  # fmt: skip

SMPL_VERTEX_COUNT = 6890
# Vertex numbers of SMPL's mesh, as smplx's vertex_ids.py lists them (its toes are the big toes).
SMPL_LANDMARK_VERTICES = {
    "nose": 332, "left_eye": 2800, "right_eye": 6260, "left_ear": 583, "right_ear": 4071,
    "left_heel": 3387, "right_heel": 6787, "left_toe": 3216, "right_toe": 6617,
}  # fmt: skip

STATURE = 1.7
"""Metres: the stature of the body on which offsets are given."""


class Place(NamedTuple):
    """A place beside a point of the body.

    Attributes:
        point: A joint, or a landmark that is a mix of vertices.
        offset: From that point, metres in the axes of the rest pose, on a body 1.7 m tall. On
            another body it grows with the stature.
        moves_with: The joint whose segment the place belongs to; "" = it moves as the point does.
        share: The place's share of the landmark.
    """

    point: str
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    moves_with: str = ""
    share: float = 1.0


@dataclass(frozen=True, eq=False)
class Landmark:
    """A point of the body: a mix of vertices, or else of places.

    Attributes:
        vertices: (n,) int64.
        weights: (n,) float32, summing to 1.
        places: Places beside other points, whose shares sum to 1.
    """

    vertices: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    weights: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    places: tuple[Place, ...] = ()


def vertex_landmark(vertex: int) -> Landmark:
    """The landmark that is one vertex."""
    return Landmark(np.array([vertex], np.int64), np.ones(1, np.float32))


def mean(*landmarks: Landmark) -> Landmark:
    """The mean of landmarks that are made of places."""
    places = [place for landmark in landmarks for place in landmark.places]
    count = len(landmarks)
    return Landmark(places=tuple(p._replace(share=p.share / count) for p in places))


def mirrored(landmark: Landmark) -> Landmark:
    """A landmark that is made of places, on the other side of the body."""
    places = []
    for point, (x, y, z), moves_with, share in landmark.places:
        places.append(Place(mirror_name(point), (-x, y, z), mirror_name(moves_with), share))
    return Landmark(places=tuple(places))


def moved(landmark: Landmark, offset: np.ndarray | Sequence[float]) -> Landmark:
    """A landmark that is made of places, farther by this offset (3,), on a body 1.7 m tall."""
    dx, dy, dz = map(float, offset)
    return Landmark(
        places=tuple(
            p._replace(offset=(p.offset[0] + dx, p.offset[1] + dy, p.offset[2] + dz))
            for p in landmark.places
        )
    )


def smpl_landmarks(vertices: np.ndarray) -> dict[str, Landmark]:
    """Landmarks of a mesh: those of SMPL if it has SMPL's vertices, else only the head's top.

    Args:
        vertices: (V, 3) T-pose vertices, y up.
    """
    landmarks = {"head_top": vertex_landmark(int(vertices[:, 1].argmax()))}
    if len(vertices) == SMPL_VERTEX_COUNT:
        landmarks |= {n: vertex_landmark(v) for n, v in SMPL_LANDMARK_VERTICES.items()}
    return {name: landmarks[name] for name in LANDMARK_NAMES if name in landmarks}


def check_landmarks(
    landmarks: Mapping[str, Landmark], joints: Sequence[str], beside: Sequence[str], body: str
) -> None:
    """Refuse landmarks that a body cannot have.

    Args:
        landmarks: By name.
        joints: Names of the rig's joints.
        beside: Names of the points beside which landmarks may be.
        body: The name of the body.

    Raises:
        UserError: one has the name of a joint, or is beside a point that the body lacks.
    """
    for name, landmark in landmarks.items():
        if name in joints:
            raise UserError(
                f"landmark '{name}': joints of the rig cannot be moved; give it the name of a "
                f"convention's joint (coco/{name}) or another one"
            )
        for place in landmark.places:
            if place.moves_with and place.moves_with not in joints:
                raise UserError(
                    f"landmark '{name}': moves_with '{place.moves_with}' is no joint of the rig"
                )
        missing = bases(landmark).difference(beside)
        if missing:
            raise UserError(
                f"landmark '{name}': body '{body}' has no '{min(missing)}' that a landmark can be "
                f"beside; it has {', '.join(beside)}"
            )


def landmark_arrays(landmarks: Mapping[str, Landmark]) -> dict[str, np.ndarray]:
    """Name -> array of a body file."""
    if not landmarks:
        return {}
    items = list(landmarks.values())
    arrays = {
        "landmark_names": np.array(list(landmarks)),
        "landmark_count": np.array([len(item.vertices) for item in items]),
        "landmark_vertices": np.concatenate([item.vertices for item in items]),
        "landmark_weights": np.concatenate([item.weights for item in items]),
    }
    places = [(name, *place) for name, item in landmarks.items() for place in item.places]
    if places:
        names = ("landmark", *Place._fields)
        for name, column in zip(names, zip(*places, strict=True), strict=True):
            arrays[f"place_{name}"] = np.array(column)
    return arrays


def bases(landmark: Landmark) -> set[str]:
    """The points beside which a landmark's places are."""
    return {place.point for place in landmark.places}


def named_points(
    joints: np.ndarray,
    names: Sequence[str],
    landmarks: Mapping[str, Landmark],
    vertices: RigPoints,
    stature: float,
) -> tuple[dict[str, int], RigPoints]:
    """Name -> number of its rig point, and all rig points. Of equal names, the joint counts.

    Args:
        joints: (24, 3) float32 the body's joints at rest.
        names: Of the joints, then of the landmarks that are mixes of vertices.
        landmarks: Name -> landmark: these and those that are beside points of `names`.
        vertices: The rig points of the body's vertices.
        stature: The body's stature, metres.
    """
    homogeneous = torch.from_numpy(np.pad(joints, ((0, 0), (0, 1)), constant_values=1))
    ids = torch.arange(len(joints), dtype=torch.int32, device="cpu")
    surface = [landmarks[name] for name in names[len(joints) :]]
    points = RigPoints.stack(
        [RigPoints(ids[:, None], homogeneous[:, None]), mixed(surface, vertices)]
    )
    base = {name: i for i, name in reversed(list(enumerate(names)))}
    beside = {name: item for name, item in landmarks.items() if item.places}
    found = {name: points.select([row]) for name, row in base.items()}
    others = placed(list(beside.values()), joints, found, stature)
    numbers = {name: len(names) + i for i, name in enumerate(beside)} | base
    return numbers, RigPoints.stack([points, others])


def mixed(landmarks: Sequence[Landmark], vertices: RigPoints) -> RigPoints:
    """Landmarks that are mixes of vertices, as rig points, by the rig points of the vertices."""
    # All in one array: the shorter mixes are padded with shares of 0.
    longest = max((len(landmark.vertices) for landmark in landmarks), default=0)
    index = np.zeros((len(landmarks), longest), np.int64)
    shares = np.zeros((len(landmarks), longest), np.float32)
    for row, landmark in enumerate(landmarks):
        index[row, : len(landmark.vertices)] = landmark.vertices
        shares[row, : len(landmark.vertices)] = landmark.weights
    return vertices.mix(index, shares)


def placed(
    landmarks: Sequence[Landmark],
    joints: np.ndarray,
    points: Mapping[str, RigPoints],
    stature: float,
) -> RigPoints:
    """Landmarks that are made of places alone, as rig points.

    Args:
        landmarks: P landmarks.
        joints: (24, 3) float32 the body's joints at rest.
        points: Name -> one rig point, for the points beside which the places are.
        stature: The body's stature, metres.

    Returns:
        P points, joints in rising order.
    """
    size = stature / STATURE
    dense = np.zeros((len(landmarks), len(joints), 4))
    for row, landmark in zip(dense, landmarks, strict=True):
        for place in landmark.places:
            _add(row, place, points[place.point], size)
    return RigPoints.of_dense(dense, joints.dtype)


def _add(row: np.ndarray, place: Place, point: RigPoints, size: float) -> None:
    """Add a place to the anchors (24, 4) of a landmark."""
    ids = point.joint_ids.numpy()[0].tolist()
    anchors = point.anchors.numpy()[0].astype(np.float64)
    offset = size * np.array(place.offset)
    if place.moves_with:
        ids = [JOINT_NAMES.index(place.moves_with)]
        anchors = np.array([[*anchors[:, :3].sum(0), 1.0]])
    anchors[:, :3] += anchors[:, 3:] * offset
    np.add.at(row, ids, place.share * anchors)
