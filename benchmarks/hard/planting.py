"""Gross errors of detectors, planted into the observations of made people.

Each error is a function of observations and random numbers. It returns observations of some of the
same people: those to whom the error can happen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bodyreg import Body, Observations
from bodyreg.body import JOINT_NAMES
from bodyreg.body.joints import mirror_name
from bodyreg.data.frames import boxes_of_points, frames_of_boxes
from bodyreg.data.observations import OF_KEYPOINTS

STRIP = 10
"""Pixels of a 256-pixel frame: the width of a strip."""
OTHERS = (0.3, 0.5)
"""Share of the points of two merged people that are the other one's."""
APART = (0.35, 0.8)
"""How far apart two merged people stand, half sides of the frame."""
CUT = (0.35, 0.75)
"""Where the picture ends, from the top of the person's frame to its bottom."""
GUESSED = 30
"""Pixels of a 256-pixel frame: deviation of keypoints that a detector guesses outside."""
INVENTED = 4
"""Pixels of a 256-pixel frame: deviation of keypoints that a detector invents."""
STANDING = {"knee": 0.85, "ankle": 1.7}
"""How far below the hips joints of standing people are, over the length of the trunk."""
LEGS = ("hip", "knee", "ankle", "foot")
"""Joints of the segments of a leg."""
ENDS = ("wrist", "hand", "ankle", "foot")
"""Joints of the segments that are hands and feet."""
LIMBS = {
    "arm": ("elbow", "wrist", "hand"),
    "leg": ("knee", "ankle", "foot"),
}
LEAST = 3
"""Points and keypoints that a person keeps at least; others are left out."""


def strip(people: Observations, random: np.random.Generator) -> Observations:
    """Only a strip of each person is found, at the side of the picture, say."""
    half = people.frame[:, 2]
    width = STRIP * half / 128
    left = np.empty(len(people))
    for person in range(len(people)):
        x = people.point_xy[people.points_of(person), 0]
        left[person] = random.choice(x) if len(x) else 0.0
    left -= width / 2
    point = _between(people.point_xy[:, 0], left[people.point_person], width[people.point_person])
    keypoint = _between(people.keypoint_xy[..., 0], left[:, None], width[:, None])
    return _reframed(kept(people, point, keypoint))


def merged(people: Observations, random: np.random.Generator) -> Observations:
    """Some dense points, and the keypoints of a limb, are those of another person beside."""
    order = random.permutation(len(people))
    other = people.select(np.roll(order, 1)[np.argsort(order)])
    side = random.choice([-1, 1], len(people))
    shift = side * random.uniform(*APART, len(people)) * people.frame[:, 2]
    ratio = people.frame[:, 2] / other.frame[:, 2]

    def moved(xy: np.ndarray, of: np.ndarray) -> np.ndarray:
        placed = (xy - other.frame[of, :2]) * ratio[of, None] + people.frame[of, :2]
        return placed + np.stack([shift[of], np.zeros(len(of))], 1)

    share = random.uniform(*OTHERS, len(people))
    own_point, other_point = people.point_person, other.point_person
    kept = random.random(len(own_point)) >= share[own_point]
    taken = random.random(len(other_point)) < share[other_point]
    person = np.concatenate([own_point[kept], other_point[taken]])
    sorted_ = np.argsort(person, kind="stable")

    def joined(name: str) -> np.ndarray:
        theirs = getattr(other, name)[taken]
        if name == "point_xy":
            theirs = moved(theirs, other_point[taken])
        return np.concatenate([getattr(people, name)[kept], theirs])[sorted_]

    count = np.bincount(person, minlength=len(people))
    xy, weight = people.keypoint_xy.copy(), people.keypoint_weight.copy()
    for row in range(len(people)):
        limb, of = random.choice(list(LIMBS)), random.choice(["left", "right"])
        columns = _columns(people.keypoint_name, [f"{of}_{joint}" for joint in LIMBS[limb]])
        weight[row, columns] = other.keypoint_weight[row, columns]
        xy[row, columns] = moved(other.keypoint_xy[row, columns], np.full(len(columns), row))
    names = ("point_xy", "point_vertex", "point_barycentric", "point_weight")
    return _reframed(
        replace(
            people,
            **{name: joined(name) for name in names},
            point_start=np.concatenate([[0], np.cumsum(count)]),
            keypoint_xy=xy,
            keypoint_weight=weight,
        )
    )


def merged_keypoints(people: Observations, random: np.random.Generator) -> Observations:
    """The keypoints of a limb are those of another person beside; there are no dense points."""
    return merged(people, random).keypoints_alone()


def keypoints_alone(people: Observations, random: np.random.Generator) -> Observations:
    """The people without dense points."""
    return people.keypoints_alone()


def exchanged_ends(people: Observations, random: np.random.Generator) -> Observations:
    """The dense points of both hands and both feet are on the wrong side."""
    return _mirrored_points(people, np.isin(segments(people), _joints(ENDS)))


def other_side_points(people: Observations, random: np.random.Generator) -> Observations:
    """All dense points are on the wrong side; keypoints are not."""
    return _mirrored_points(people, np.ones(len(people.point_xy), bool))


def other_side_keypoints(people: Observations, random: np.random.Generator) -> Observations:
    """All keypoints are on the wrong side; dense points are not."""
    columns = [people.keypoint_name.index(mirror_name(name)) for name in people.keypoint_name]
    arrays = {name: getattr(people, name) for name in OF_KEYPOINTS}
    return replace(people, **{n: None if a is None else a[:, columns] for n, a in arrays.items()})


def other_side(people: Observations, random: np.random.Generator) -> Observations:
    """Everything is on the wrong side."""
    return other_side_keypoints(other_side_points(people, random), random)


def cut_off(people: Observations, random: np.random.Generator) -> Observations:
    """The picture ends within each person, and nothing below its end is found."""
    end = _ends(people, random)
    point = people.point_xy[:, 1] < end[people.point_person]
    return kept(people, point, people.keypoint_xy[..., 1] < end[:, None])


def guessed_outside(people: Observations, random: np.random.Generator) -> Observations:
    """The picture ends within each person; keypoints below its end are guessed."""
    end = _ends(people, random)
    point = people.point_xy[:, 1] < end[people.point_person]
    below = (people.keypoint_xy[..., 1] >= end[:, None]) & (people.keypoint_weight > 0)
    error = GUESSED * people.frame[:, 2] / 128
    xy = people.keypoint_xy + below[..., None] * error[:, None, None] * random.normal(
        size=people.keypoint_xy.shape
    )
    xy[..., 1] = np.where(below, np.maximum(xy[..., 1], end[:, None] + 1), xy[..., 1])
    size = people.picture_size.copy()
    size[:, 1] = end
    return kept(replace(people, keypoint_xy=xy, picture_size=size), point, np.ones_like(below))


def hidden_legs(people: Observations, random: np.random.Generator) -> Observations:
    """Nothing is found of the legs: people sit behind a desk."""
    point = ~np.isin(segments(people), _joints(LEGS))
    keypoint = np.ones(people.keypoint_weight.shape, bool)
    for side in ("left", "right"):
        columns = _columns(people.keypoint_name, [f"{side}_{joint}" for joint in LIMBS["leg"]])
        keypoint[:, columns] = False
    return kept(people, point, keypoint)


def invented_legs(people: Observations, random: np.random.Generator) -> Observations:
    """Legs are hidden, and their keypoints are where those of a standing person would be."""
    hidden = hidden_legs(people, random)
    people = people.select(np.isin(people.id, hidden.id))
    place = {name.rpartition("/")[2]: i for i, name in enumerate(people.keypoint_name)}
    xy, weight = people.keypoint_xy.copy(), hidden.keypoint_weight.copy()
    half = people.frame[:, 2]
    for side in ("left", "right"):
        hip, shoulder = (place[f"{side}_{joint}"] for joint in ("hip", "shoulder"))
        trunk = np.linalg.norm(xy[:, hip] - xy[:, shoulder], axis=1)
        known = (people.keypoint_weight[:, [hip, shoulder]] > 0).all(1)
        for joint, below in STANDING.items():
            column = place[f"{side}_{joint}"]
            error = random.normal(0, INVENTED / 128, (len(people), 2)) * half[:, None]
            xy[:, column] = xy[:, hip] + error
            xy[:, column, 1] += below * trunk
            weight[:, column] = known
    return replace(hidden, keypoint_xy=xy, keypoint_weight=weight)


def _ends(people: Observations, random: np.random.Generator) -> np.ndarray:
    low = people.frame[:, 1] - people.frame[:, 2]
    return low + random.uniform(*CUT, len(people)) * 2 * people.frame[:, 2]


ERRORS: dict[str, Callable[[Observations, np.random.Generator], Observations]] = {
    "a strip": strip,
    "two people merged": merged,
    "two people merged, keypoints alone": merged_keypoints,
    "hands and feet exchanged": exchanged_ends,
    "points of the other side": other_side_points,
    "keypoints of the other side": other_side_keypoints,
    "all of the other side": other_side,
    "keypoints guessed outside": guessed_outside,
    "legs hidden": hidden_legs,
    "legs hidden, their keypoints invented": invented_legs,
}
"""Name -> the error."""

WITHOUT = {
    "two people merged, keypoints alone": keypoints_alone,
    "keypoints guessed outside": cut_off,
}
"""Errors -> what the same people are without them, with the same random numbers; else nothing has
happened to them."""


def _between(x: np.ndarray, low: np.ndarray, width: np.ndarray) -> np.ndarray:
    return (x >= low) & (x < low + width)


def kept(people: Observations, point: np.ndarray, keypoint: np.ndarray) -> Observations:
    """The people with these dense points and keypoints, as far as enough are left."""
    count = np.bincount(people.point_person[point], minlength=len(people))
    names = ("point_xy", "point_vertex", "point_barycentric", "point_weight")
    weight = np.where(keypoint, people.keypoint_weight, 0)
    some = replace(
        people,
        **{name: getattr(people, name)[point] for name in names},
        point_start=np.concatenate([[0], np.cumsum(count)]),
        keypoint_weight=weight,
    )
    return some.select(np.flatnonzero(count + (weight > 0).sum(1) >= LEAST))


def _reframed(people: Observations) -> Observations:
    """The people in crops round their evidence, as a detector's boxes would be."""
    boxes = []
    for person in range(len(people)):
        present = people.keypoint_weight[person] > 0
        places = [people.point_xy[people.points_of(person)], people.keypoint_xy[person][present]]
        xy = np.concatenate(places)[None]
        boxes.append(boxes_of_points(xy, np.ones(xy.shape[:2], bool))[0])
    return replace(people, frame=frames_of_boxes(np.stack(boxes)))


def _columns(names: Sequence[str], joints: Sequence[str]) -> list[int]:
    return [i for i, name in enumerate(names) if name.rpartition("/")[2] in joints]


def _joints(ends: Sequence[str]) -> list[int]:
    return [i for i, name in enumerate(JOINT_NAMES) if name.partition("_")[2] in ends]


def segments(people: Observations) -> np.ndarray:
    """(P,) the segment that each dense point is on."""
    corner = people.point_barycentric.argmax(1)[:, None]
    return Body.default().segment[np.take_along_axis(people.point_vertex, corner, 1)[:, 0]]


def _mirrored_points(people: Observations, point: np.ndarray) -> Observations:
    vertex = people.point_vertex.copy()
    vertex[point] = Body.default().mirror_vertices[vertex[point]]
    return replace(people, point_vertex=vertex)
