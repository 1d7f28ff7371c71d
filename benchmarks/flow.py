"""Errors of flow between pictures of made people, for several ways to get it.

    python -m benchmarks.flow --people 60 --seed 5150

Each person is seen in five views of a catalogue, 256 x 256, and each ordered pair of views counts.
End-point errors (EPE) are mean distances in pixels over the pixels that show the target's body;
where a fitted body does not reach, its flow is that of the nearest pixel that it covers. Visibility
is right where visible, hidden and background are those of the true bodies, on the same pixels.

Joints are COCO's 18 without those outside of the picture, with annotators' errors of 2 pixels or
without errors. Baselines are fitted to people of another seed, or to the same noisy joints.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bodyreg import Body, Observations, RegistrationConfig, ops, register
from bodyreg.data import Fits, Truth
from bodyreg.data.skeletons import COCO_18
from bodyreg.flow import between, extended
from bodyreg.flow.bodies import Test
from bodyreg.reference.flow import BACKGROUND, HIDDEN, VISIBLE
from bodyreg.synthetic.dataset import stack, truth_of
from bodyreg.synthetic.layout import lay_out
from bodyreg.synthetic.observe import ABSENT, Noise, annotate, joints_of, mark, see
from bodyreg.synthetic.scenes.catalogue import FASHION_VIEWS, POSING, Catalogue
from bodyreg.synthetic.scenes.scene import seeded

SIDE = 256
VIEWS = len(FASHION_VIEWS)
LIMBS = [
    ("neck", "nose"), ("neck", "left_hip"), ("neck", "right_hip"),
    *((f"{side}_{a}", f"{side}_{b}") for side in ("left", "right")
      for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))),
    ("neck", "left_shoulder"), ("neck", "right_shoulder"),
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class People:
    """What N pictures show, five of each person.

    Attributes:
        truth: The true bodies.
        joints: (N, 18, 2) pixels without errors; NaN = not in the picture.
        noisy: The same with errors.
        points: Dense points and noisy joints for registration.
    """

    truth: Truth
    joints: np.ndarray
    noisy: np.ndarray
    points: Observations

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Source and target of all pairs of pictures of a person."""
        yield from map(tuple, pairs_of(len(self.joints)).tolist())


Flow = tuple[np.ndarray, np.ndarray]
"""(H, W, 2) pixels, and what each pixel shows."""


def catalogue(count: int, seed: int) -> Catalogue:
    """People in five views each; another seed has other people in other clothes."""
    return Catalogue("flow", VIEWS * count, seed, SIDE, SIDE, FASHION_VIEWS, POSING, True)


def pairs_of(pictures: int) -> np.ndarray:
    """(P, 2) int64 source and target of all pairs of pictures of a person, person by person."""
    some = np.array(list(itertools.permutations(range(VIEWS), 2)))
    return (some + np.arange(0, pictures, VIEWS)[:, None, None]).reshape(-1, 2)


def make(scenes: Catalogue, numbers: Sequence[int]) -> People:
    """Make the people of some pictures, and what annotators would say of them."""
    body, noise = Body.default(), Noise()
    rows, joints, noisy, points = [], [], [], []
    for number in numbers:
        scene = scenes.scene(body, number)
        layout = lay_out(scene)
        (sight,) = see(scene, layout)
        rows.append(truth_of(scene, sight))
        marks, _ = mark(layout, sight, COCO_18, noise, seeded(scenes, "joints", number))
        absent = (marks[:, 2] == ABSENT)[:, None]
        true = sight.figure.project(joints_of(sight.figure, COCO_18))[:, :2]
        joints.append(np.where(absent, np.nan, true))
        noisy.append(np.where(absent, np.nan, marks[:, :2]))
        found = annotate(body, layout, sight, noise, seeded(scenes, "points", number))
        points.append((sight.frame, found.point_xy, found.point_vertex, found.point_barycentric))
    frames, xy, vertex, share = zip(*points, strict=True)
    start = np.cumsum([0, *map(len, xy)])
    columns = list(COCO_18.evidence)
    marks = np.array(noisy)[:, columns]
    observations = Observations(
        id=np.asarray(numbers),
        frame=np.array(frames),
        point_start=start,
        point_xy=np.concatenate(xy),
        point_vertex=np.concatenate(vertex),
        point_barycentric=np.concatenate(share),
        point_weight=np.ones(start[-1]),
        keypoint_name=COCO_18.evidence_keypoints,
        keypoint_xy=np.nan_to_num(marks),
        keypoint_weight=~np.isnan(marks[..., 0]),
    )
    truth = Truth(**stack(rows), body=body.fingerprint)
    return People(truth, np.array(joints), np.array(noisy), observations)


def true_flow(people: People, source: int, target: int, visible: Test = "point") -> Flow:
    """The flow of the true bodies; 0 on the background."""
    pair = people.truth.select([source]), people.truth.select([target])
    found = between(Body.default(), *pair, (SIDE, SIDE), visible=visible)
    return found.flow[0].numpy(), found.visibility[0].numpy()


def of_fits(fits: Fits, source: int, target: int) -> Flow:
    """The flow of fitted bodies."""
    pair = fits.select([source]), fits.select([target])
    found = extended(between(Body.default(), *pair, (SIDE, SIDE)))
    return found.flow[0].numpy(), found.visibility[0].numpy()


def joints_alone(joints: np.ndarray) -> Observations:
    """Joints (N, 18, 2) for registration, as the reader of DeepFashion gives them."""
    marks = joints[:, list(COCO_18.evidence)]
    present = ~np.isnan(marks[..., 0])
    return Observations.of_keypoints(COCO_18.evidence_keypoints, np.nan_to_num(marks), present)


def mean_flow(people: People) -> np.ndarray:
    """(H, W, 2) the mean flow of each pixel, over the pairs whose target shows a body there."""
    total, count = np.zeros((SIDE, SIDE, 2)), np.zeros((SIDE, SIDE))
    for pair in people.pairs():
        flow, kind = true_flow(people, *pair)
        total += flow
        count += kind < BACKGROUND
    mean = torch.from_numpy(total / np.maximum(count, 1)[..., None])[None]
    kind = torch.from_numpy(np.where(count > 0, VISIBLE, BACKGROUND))[None]
    return extended(ops.Flow(mean, kind)).flow[0].numpy()


def limb_flow(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(H, W, 2): each pixel moves as the nearest limb of the target's joints (18, 2) does.

    A limb's movement is the similarity of the plane that maps its two joints.
    """
    row, column = np.indices((SIDE, SIDE))
    place = (column + 0.5) + 1j * (row + 0.5)
    best, flow = np.full((SIDE, SIDE), np.inf), np.zeros((SIDE, SIDE), complex)
    for limb in LIMBS:
        ends = [COCO_18.joints.index(name) for name in limb]
        (a, b), (c, d) = (joints[ends] @ [1, 1j] for joints in (target, source))
        if not np.isfinite([a, b, c, d]).all() or a == b:
            continue
        along = (place - a) / (b - a)
        distance = np.abs(place - a - along.real.clip(0, 1) * (b - a))
        nearer = distance < best
        best[nearer], flow[nearer] = distance[nearer], (c + along * (d - c) - place)[nearer]
    return np.stack([flow.real, flow.imag], -1)


@dataclass
class Errors:
    """Sums over pairs.

    Attributes:
        pairs: How many.
        epe: Of mean distances, pixels.
        right, right_if_covered: Of the shares of the body's pixels whose visibility is right.
    """

    pairs: int = 0
    epe: float = 0.0
    right: float = 0.0
    right_if_covered: float = 0.0

    def add(self, found: Flow, truth: Flow) -> None:
        body = truth[1] < BACKGROUND
        covered = body & (found[1] < BACKGROUND)
        right = found[1] == truth[1]
        self.pairs += 1
        self.epe += np.linalg.norm(found[0] - truth[0], axis=-1)[body].mean()
        self.right += right[body].mean()
        self.right_if_covered += right[covered].mean() if covered.any() else 0.0

    @property
    def means(self) -> dict[str, float]:
        """Means over pairs."""
        sums = {name: value for name, value in vars(self).items() if name != "pairs"}
        return {name: float(value / self.pairs) for name, value in sums.items()}


Way = Callable[[int, int], Flow]
"""From source and target, positions of pictures, to the flow between them."""

BODIES = "bodies registered to "
"""Begins the names of ways that need no training and tell visibility."""


def ways(people: People, others: People) -> dict[str, Way]:
    """Ways to get a flow that need no network.

    Args:
        people: Whose flow is wanted.
        others: Whose mean flow one of the ways knows.
    """
    body, config = Body.default(), RegistrationConfig.preset("accurate")
    mean, visible = mean_flow(others), np.full((SIDE, SIDE), VISIBLE, np.uint8)
    evidence = {
        "noisy joints": joints_alone(people.noisy),
        "exact joints": joints_alone(people.joints),
        "120 dense points and noisy joints": people.points,
    }
    found: dict[str, Way] = {
        "zero": lambda s, t: (np.zeros((SIDE, SIDE, 2)), visible),
        "mean of each pixel": lambda s, t: (mean, visible),
        "nearest limb's 2-D similarity": lambda s, t: (
            limb_flow(people.noisy[s], people.noisy[t]), visible
        ),
    }  # fmt: skip
    for name, seen in evidence.items():
        fits = register(body, seen, config)
        found[BODIES + name] = lambda s, t, fits=fits: of_fits(fits, s, t)
    return found


def measured(people: People, by: dict[str, Way]) -> dict[str, dict[str, float]]:
    """Name of a way -> its mean errors over all pairs, as of `Errors`."""
    errors = {name: Errors() for name in by}
    for pair in people.pairs():
        truth = true_flow(people, *pair)
        for name, way in by.items():
            errors[name].add(way(*pair), truth)
    return {name: found.means for name, found in errors.items()}


def hidden_shares(people: People) -> tuple[float, float]:
    """The share of a body's pixels that the source hides, and that by faces; means over pairs."""
    found = []
    for pair in people.pairs():
        kinds = [true_flow(people, *pair, test)[1] for test in ("point", "face")]
        found.append([(kind == HIDDEN).sum() / (kind < BACKGROUND).sum() for kind in kinds])
    point, face = np.mean(found, 0).tolist()
    return point, face


def main(words: Sequence[str]) -> None:
    """Make people, measure, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--seed", type=int, default=5150)
    options = parser.parse_args(words)
    several = [catalogue(options.people, options.seed + place) for place in range(2)]
    people, others = (make(scenes, range(len(scenes))) for scenes in several)
    hidden, by_faces = hidden_shares(people)
    print(
        f"{len(list(people.pairs())):,} pairs of {options.people} people. Hidden in the source: "
        f"{hidden:.0%} of a body's pixels; by faces {by_faces:.0%}.\n"
    )
    print(
        "| flow | EPE, px | visibility right | where the fit covers the body |\n|---|---|---|---|"
    )
    for name, errors in measured(people, ways(people, others)).items():
        shares = [f"{errors[share]:.0%}" for share in ("right", "right_if_covered")]
        right = " | ".join(shares if name.startswith(BODIES) else ["", ""])
        print(f"| {name} | {errors['epe']:.1f} | {right} |")


if __name__ == "__main__":
    main(sys.argv[1:])
