"""Faults of detectors, which made people's annotations can have besides independent noise.

A network that finds body points errs by whole segments: what it takes for a forearm lies beside the
forearm, with all its points. It confuses left and right limbs, misses limbs, and finds some points
where others are. These are the kinds of errors that Ronchi & Perona ("Benchmarking and Error
Diagnosis in Multi-Instance Pose Estimation", 2017) name for keypoints: jitter, inversion, miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bodyreg.body import JOINT_NAMES, Body

KINDS = {
    "arm": ("shoulder", "elbow", "wrist", "hand"),
    "leg": ("hip", "knee", "ankle", "foot", "heel", "toe"),
}
"""Kinds of limbs -> the joints and landmarks of one."""

ENDS = {"arm": ("elbow", "wrist", "hand"), "leg": ("knee", "ankle", "foot", "heel", "toe")}
"""Those that are missing with a limb: shoulders and hips are found with the trunk."""

SIDES = ("left", "right")


@dataclass(frozen=True)
class Faults:
    """How often and how much a detector errs.

    After fits to a DensePose network's points on two real people, the points of a segment were 0.9
    and 1.1 pixels off in the mean (for x or y, root mean square of segments); after fits to made
    people with `segment` 1, 1.5 and 2 it was 0.9, 1.2 and 1.4. COCO's annotators differ by 4 to 7
    pixels at the joints of limbs (its constants of keypoint similarity, for a person who fills the
    frame); networks do better on clear pictures. The other numbers are estimates.

    Attributes:
        segment: Standard deviation of the offset that all dense points of a segment share, in
            pixels of a 256-pixel frame, for x and for y.
        keypoint: Standard deviation of the offset of each keypoint, likewise.
        exchanged: Probability that both arms exchange their sides, and the same for legs.
        missing: Probability that a limb is not found.
        misplaced: Share of dense points that are found at the place of another of the points.
    """

    segment: float = 1.5
    keypoint: float = 3.5
    exchanged: float = 0.01
    missing: float = 0.02
    misplaced: float = 0.03


def exchanged_keypoints(
    names: Sequence[str], faults: Faults, random: np.random.Generator
) -> np.ndarray:
    """(K,) for each of the named keypoints, the one that is found in its place."""
    order = np.arange(len(names))
    for joints in KINDS.values():
        if random.random() < faults.exchanged:
            for joint in joints:
                pair = [f"{side}_{joint}" for side in SIDES]
                if set(pair) <= set(names):
                    left, right = map(list(names).index, pair)
                    order[[left, right]] = right, left
    return order


def missing_keypoints(
    names: Sequence[str], faults: Faults, random: np.random.Generator
) -> np.ndarray:
    """(K,) bool: those of the named keypoints that belong to a limb that is not found."""
    missing = np.zeros(len(names), bool)
    for side, kind in _limbs():
        if random.random() < faults.missing:
            lost = {f"{side}_{joint}" for joint in ENDS[kind]}
            missing |= [name in lost for name in names]
    return missing


@dataclass(frozen=True, eq=False)
class Found:
    """Dense points as a detector finds them.

    Attributes:
        offset: (n, 2) pixels of a 256-pixel frame, to be added to their places.
        face: (n,) the face of the body that each is taken for.
        barycentric: (n, 3) its place in that face.
        kept: (n,) bool, whether it is found.
    """

    offset: np.ndarray
    face: np.ndarray
    barycentric: np.ndarray
    kept: np.ndarray


def found_points(
    body: Body,
    face: np.ndarray,
    barycentric: np.ndarray,
    faults: Faults,
    random: np.random.Generator,
) -> Found:
    """Dense points with a detector's faults.

    Args:
        body: The body; it must have `mirror_vertices`.
        face: (n,) the true faces.
        barycentric: (n, 3) the true places in them.
        faults: How often and how much it errs.
        random: Source of random numbers.
    """
    count, segment = len(face), body.segment[body.faces[face, barycentric.argmax(1)]]
    offset = faults.segment * random.normal(size=(len(JOINT_NAMES), 2))[segment]
    kept = np.ones(count, bool)
    other_face, other_corner = _mirrored_faces(body)
    taken = face.copy()
    for joints in KINDS.values():
        if random.random() < faults.exchanged:
            moved = np.isin(segment, _segments(SIDES, joints))
            corner = other_corner[face[moved]]
            barycentric = barycentric.copy()
            barycentric[moved] = np.take_along_axis(barycentric[moved], corner, 1)
            taken[moved] = other_face[face[moved]]
    for side, kind in _limbs():
        if random.random() < faults.missing:
            kept &= ~np.isin(segment, _segments((side,), KINDS[kind]))
    source = np.where(
        random.random(count) < faults.misplaced, random.integers(0, max(count, 1), count),
        np.arange(count),
    )  # fmt: skip
    return Found(offset, taken[source], barycentric[source], kept)


def _limbs() -> list[tuple[str, str]]:
    return [(side, kind) for side in SIDES for kind in KINDS]


def _segments(sides: Sequence[str], joints: Sequence[str]) -> list[int]:
    names = [f"{side}_{joint}" for side in sides for joint in joints]
    return [JOINT_NAMES.index(name) for name in names if name in JOINT_NAMES]


@lru_cache(maxsize=2)
def _mirrored_faces(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """For each face, the one on the other side, and its corners as corners of the first: (F, 3).

    A point with barycentrics b of a face has b[corner] on the other one.
    """
    mirrored = body.mirror_vertices[body.faces]
    row = {tuple(face): number for number, face in enumerate(np.sort(body.faces, 1).tolist())}
    other = np.array([row[tuple(face)] for face in np.sort(mirrored, 1).tolist()])
    corner = (body.faces[other][:, :, None] == mirrored[:, None]).argmax(2)
    return other, corner
