"""Errors on people as detectors see them in near pictures: for choosing terms, weights and priors.

    python -m benchmarks.people FOLDER --motions BVH --set camera=weak --save weak
    python -m benchmarks.people FOLDER --against weak

The first command makes people and keeps them in FOLDER; later ones register the same people, so
that comparisons are paired. The people are in captured poses (--motions) or made ones, some lie or
stand on their heads, their cameras are near, and their points have a detector's faults. Numbers are
mean distances of all vertices after Procrustes, in millimetres. With --against, the mean change of
each number and its standard error follow.

Two tables have the share of joints that are within one deviation of the truth, across and along the
view: 68 % is right. For people who stand, a last table has the bend of the knees and the tilt of
the shins against the trunk, away from the viewer, in degrees: of the fits, and of the truth in
brackets.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.ablation import Evidence
from bodyreg import Body, Observations, register
from bodyreg.body.joints import JOINT_NAMES
from bodyreg.cli.config import make_config
from bodyreg.data import Fits, Truth, read_densepose_coco
from bodyreg.errors import UserError
from bodyreg.metrics.pose import within_deviation
from bodyreg.metrics.surface import vertex_error
from bodyreg.metrics.table import CUT, OCCLUDED
from bodyreg.npz import load_npz, save_npz
from bodyreg.registration import learn_proportions
from bodyreg.synthetic import people as made_people
from bodyreg.synthetic.dataset import make_dataset
from bodyreg.synthetic.faults import Faults
from bodyreg.synthetic.formats.densepose_coco import write_densepose_coco
from bodyreg.synthetic.motions.captured import find_motions
from bodyreg.synthetic.motions.performance import MadeMotions, Motions, Performance
from bodyreg.synthetic.observe import Noise
from bodyreg.synthetic.people import Person

TURNED = 1 / 8
"""Share of people who are turned so that they lie or stand on their heads."""
LYING = 0.5
"""Cosine between a trunk and the picture's vertical, under which a person does not stand or sit."""
STANDING = 0.8
"""Least such cosine of the trunk, thighs and shanks of people who stand."""
LEAST_KEYPOINTS = 3
"""People with fewer keypoints are left out: their keypoints alone do not tell a pose."""
EVIDENCE = {
    "with depths": Evidence(),
    "without depths": Evidence(depth=False),
    "keypoints alone": Evidence(depth=False, dense=False),
}


@dataclass
class Turned:
    """Motions whose people are turned in some cases."""

    motions: Motions

    def perform(
        self, person: Person, actions: Sequence[str], random: np.random.Generator, frames: int
    ) -> Performance:
        """As of `Motions`."""
        shown = self.motions.perform(person, actions, random, frames)
        if random.random() < TURNED:
            turn = Rotation.random(random_state=random).as_matrix()
            while turn[1, 1] > LYING:
                turn = Rotation.random(random_state=random).as_matrix()
            shown = replace(shown, turn=(turn @ shown.turn).astype(np.float32))
        return shown


def make(folder: Path, options: argparse.Namespace) -> None:
    """Make people and keep their annotations and truth."""
    motions = MadeMotions() if options.motions is None else find_motions(options.motions)
    plant(options.planted)
    pictures, truth = make_dataset(
        Body.default(),
        options.count,
        options.seed,
        Noise(faults=Faults() if options.noise == "detector" else None),
        motions=Turned(motions),
        distance=None if np.isinf(options.distance).any() else tuple(options.distance),
        progress=True,
    )
    truth.save(folder / "truth.npz")
    write_densepose_coco(folder / "people.json", pictures, Body.default().charts.name)


def plant(planted: Sequence[str]) -> None:
    """Give the people who are made from now on other usual segment scales."""
    names = [name.removeprefix("left_").removeprefix("right_") for name in JOINT_NAMES]
    usual, sample = np.ones(len(names)), made_people.sample_segment_scale
    for name, value in (one.split("=") for one in planted):
        if name not in names:
            raise UserError(f"--planted {name}: choose among {', '.join(dict.fromkeys(names))}")
        usual[np.equal(names, name)] = float(value)
    made_people.sample_segment_scale = lambda *of: usual * sample(*of)


def groups(truth: Truth) -> dict[str, np.ndarray]:
    """Name -> (N,) bool."""
    upright = uprightness(truth.joints)
    lying = upright["trunk"] < LYING
    cut = truth.cut > CUT
    return {
        "all": np.ones(len(truth), bool),
        "plain": ~lying & ~cut & (truth.occluded <= OCCLUDED),
        "cut": cut,
        "upside-down or lying": lying,
        "standing": np.min(list(upright.values()), axis=0) > STANDING,
    }


BONES = {
    "trunk": ("pelvis", "neck"),
    **{f"{s} {n}": (f"{s}_{a}", f"{s}_{b}") for s in ("left", "right")
       for n, a, b in (("thigh", "knee", "hip"), ("shank", "ankle", "knee"))},
}  # fmt: skip


def bones(joints: np.ndarray) -> dict[str, np.ndarray]:
    """Unit vectors (N, 3) of `BONES`, which point upward in people who stand."""
    place = Body.default().joint_names.index
    ways = {
        name: joints[:, place(two)] - joints[:, place(one)] for name, (one, two) in BONES.items()
    }
    return {name: way / np.linalg.norm(way, axis=1, keepdims=True) for name, way in ways.items()}


def uprightness(joints: np.ndarray) -> dict[str, np.ndarray]:
    """Cosines (N,) between bones and the picture's vertical."""
    return {name: way[:, 1] for name, way in bones(joints).items()}


def bends(joints: np.ndarray) -> dict[str, np.ndarray]:
    """Degrees (N,): bend of the knees, and tilt of the shins against the trunk.

    The tilt is positive if the feet are farther from the viewer than the trunk's direction tells.
    """
    way = bones(joints)
    back = {name: np.degrees(np.arctan2(v[:, 2], v[:, 1])) for name, v in way.items()}
    tilts = [back[f"{side} shank"] - back["trunk"] for side in ("left", "right")]
    knees = [
        np.degrees(np.arccos((way[f"{side} thigh"] * way[f"{side} shank"]).sum(1).clip(-1, 1)))
        for side in ("left", "right")
    ]
    return {
        "knees": np.mean(knees, 0),
        "shins": np.mean([(tilt + 180) % 360 - 180 for tilt in tilts], 0),
    }


def errors_of(body: Body, fits: Fits, truth: Truth) -> dict[str, np.ndarray]:
    """Name -> (N,)."""
    joints, truth = fits.joints(body), truth.in_frames(fits.frame)
    vertices = 1000 * vertex_error(fits.vertices(body), truth.vertices)
    size = 1000 / fits.scale[:, None, None]
    within = within_deviation(
        size * joints, size * truth.placed(truth.joints), fits.joint_deviation
    )
    across, along = 100 * within.T
    return {"vertex": vertices, **bends(joints), "across": across, "along": along}


def load(folder: Path, known: str) -> tuple[Observations, Truth]:
    """The people that are kept in a folder, without what is not known of their cameras."""
    truth = Truth.load(folder / "truth.npz")
    observations, _ = read_densepose_coco(folder / "people.json", Body.default())
    enough = (observations.keypoint_weight > 0).sum(1) >= LEAST_KEYPOINTS
    observations = observations.select(np.flatnonzero(enough))
    row = {person: place for place, person in enumerate(truth.id.tolist())}
    truth = truth.select(np.array([row[person] for person in observations.id.tolist()]))
    if known != "focal":
        observations = replace(observations, focal=None, principal_point=None)
    if known == "nothing":
        observations = replace(observations, picture_size=None)
    return observations, truth


def _cell(now: np.ndarray, before: np.ndarray | None) -> str:
    if not len(now):
        return "–"
    text = f"{now.mean():.1f}"
    if before is not None:
        change = now - before
        text += f" {change.mean():+.1f}"
        if len(change) > 1:
            text += f"±{change.std(ddof=1) / np.sqrt(len(change)):.1f}"
    return text


def report(truth: Truth, errors: dict[str, np.ndarray], before: dict[str, np.ndarray]) -> str:
    """Both tables, from errors by evidence and name, and from those they are compared with."""

    def cell(evidence: str, name: str, people: np.ndarray) -> str:
        key = f"{evidence} {name}"
        return _cell(errors[key][people], before[key][people] if before else None)

    kinds = [name for name in EVIDENCE if f"{name} vertex" in errors]
    rows, true = groups(truth), bends(truth.joints)
    heads = [f"{name} ({people.sum()})" for name, people in rows.items()]
    lines = ["| vertices, mm | " + " | ".join(heads) + " |", "|---" * (len(rows) + 1) + "|"]
    for kind in kinds:
        cells = [cell(kind, "vertex", people) for people in rows.values()]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    for axis in ("across", "along"):
        lines += [
            "",
            f"| ± {axis}, % | " + " | ".join(heads) + " |",
            "|---" * (len(rows) + 1) + "|",
        ]
        for kind in kinds:
            cells = [_cell(errors[f"{kind} {axis}"][people], None) for people in rows.values()]
            lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    lines += ["", "| standing, degrees | knees | shins |", "|---|---|---|"]
    for kind in kinds:
        cells = [
            f"{cell(kind, name, rows['standing'])} ({_cell(values[rows['standing']], None)})"
            for name, values in true.items()
        ]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of the people; made if it is not there")
    made = parser.add_argument_group("people, when they are made")
    made.add_argument("--count", type=int, default=150)
    made.add_argument("--seed", type=int, default=101)
    made.add_argument("--motions", type=Path, help="a folder of BVH files; else made motions")
    made.add_argument(
        "--planted", nargs="+", default=[], metavar="SEGMENT=SCALE",
        help="usual scales of segments on both sides, such as knee=0.93",
    )  # fmt: skip
    made.add_argument("--distance", type=float, nargs=2, default=(2.0, 5.0), help="inf inf: far")
    made.add_argument("--noise", choices=("detector", "annotators"), default="detector")
    parser.add_argument(
        "--known",
        choices=("focal", "size", "nothing"),
        default="focal",
        help="of the cameras: focal lengths and sizes of pictures, or these alone, or nothing",
    )
    parser.add_argument("--preset", default="accurate")
    parser.add_argument("--set", nargs="+", metavar="NAME=VALUE", help="changes of the preset")
    parser.add_argument("--learn-proportions", action="store_true", help="from each evidence")
    parser.add_argument("--engine", default="fit", help="of `register`")
    parser.add_argument("--evidence", nargs="+", choices=list(EVIDENCE), default=list(EVIDENCE))
    parser.add_argument("--save", metavar="NAME", help="keep these errors under a name")
    parser.add_argument("--against", metavar="NAME", help="show changes from errors of that name")
    options = parser.parse_args()
    config = make_config(options.preset, "adam", None, None, options.set)
    if not (options.folder / "people.json").exists():
        make(options.folder, options)
    observations, truth = load(options.folder, options.known)
    before, errors = {}, {}
    if options.against:
        before = load_npz(options.folder / f"{options.against}.npz", kind="errors")
    for kind in options.evidence:
        seen, body = EVIDENCE[kind].of(observations), Body.default()
        fitted = body
        if options.learn_proportions:
            fitted = body.with_proportions(learn_proportions(body, seen, config).segment_scale)
        fits = register(fitted, seen, config, engine=options.engine)
        errors |= {f"{kind} {name}": v for name, v in errors_of(body, fits, truth).items()}
    if options.save:
        save_npz(options.folder / f"{options.save}.npz", **errors)
    print(report(truth, errors, before))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"benchmarks.people: {error}")
