"""Ablation: the value of each component of the registration, on people with known truth.

    python -m benchmarks.ablation --out docs/ablation.md

The script makes people of a held-out seed, registers them with every variant below, and writes the
tables. It runs in one process and takes two minutes for 512 people on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from bodyreg import Body, Observations, RegistrationConfig, __version__, register
from bodyreg.data import read_densepose_coco
from bodyreg.files import atomic_path
from bodyreg.metrics.evaluate import Evaluator
from bodyreg.synthetic.dataset import make_dataset
from bodyreg.synthetic.formats.densepose_coco import write_densepose_coco

COLUMNS = ("pixel", "vertex", "pa_mpjpe")
OUTLIERS = 0.1
"""Share of dense points that become outliers: they get the position of another point."""


@dataclass(frozen=True)
class Evidence:
    """Changes to the observations: kinds of evidence that are removed, and outliers."""

    depth: bool = True
    dense: bool = True
    keypoints: bool = True
    outliers: bool = False

    def of(self, observations: Observations) -> Observations:
        """Apply the changes to observations."""
        people = len(observations)
        if not self.depth:
            observations = observations.with_depths(None)
        if not self.dense:
            observations = replace(
                observations, point_start=np.zeros(people + 1, np.int64),
                point_xy=np.zeros((0, 2)), point_vertex=np.zeros((0, 3), np.int32),
                point_barycentric=np.zeros((0, 3)), point_weight=np.zeros(0),
            )  # fmt: skip
        if not self.keypoints:
            observations = replace(
                observations, keypoint_name=(), keypoint_xy=np.zeros((people, 0, 2)),
                keypoint_weight=np.zeros((people, 0)), keypoint_depth=None,
            )  # fmt: skip
        return _with_outliers(observations) if self.outliers else observations


def _with_outliers(observations: Observations) -> Observations:
    """Give a tenth of each person's points the picture position of another of the points."""
    random = np.random.default_rng(0)
    xy = observations.point_xy.copy()
    for person in range(len(observations)):
        own = observations.points_of(person)
        moved = own.start + np.flatnonzero(random.random(own.stop - own.start) < OUTLIERS)
        xy[moved] = observations.point_xy[random.integers(own.start, own.stop, len(moved))]
    return replace(observations, point_xy=xy)


FULL, NO_DEPTH = Evidence(), Evidence(depth=False)


class Study:
    """People with known truth, and the errors of configurations on them."""

    def __init__(self, people: int, seed: int):
        self.body, self.people, self.seed = Body.default(), people, seed
        self.evaluate = Evaluator(self.body)
        pictures, self.truth = make_dataset(self.body, people, seed)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "people.json"
            write_densepose_coco(path, pictures, self.body.charts.name)
            self.observations, _ = read_densepose_coco(path, self.body)

    def row(self, label: str, config: RegistrationConfig, evidence: Evidence = FULL) -> str:
        """Register all people; returns one row of a table."""
        observations = evidence.of(self.observations)
        begin = time.perf_counter()
        fits = register(self.body, observations, config)
        speed = len(observations) / (time.perf_counter() - begin)
        errors = self.evaluate(fits, self.truth)
        numbers = " | ".join(f"{errors[name].mean():.2f}" for name in COLUMNS)
        line = (
            f"| {label} | {numbers} | {np.median(errors['vertex']):.1f} "
            f"| {errors['reflected'].sum()} | {errors['turned_away'].sum()} | {speed:.0f} |"
        )
        print(line, flush=True)
        return line


HEAD = (
    "| | visible vertices, px | vertices, mm | PA-MPJPE, mm | median vertices, mm | mirrored "
    "| turned away | people/s |\n|---|---|---|---|---|---|---|---|"
)


def accurate(**changes) -> RegistrationConfig:
    return RegistrationConfig.preset("accurate", **changes)


def paper(**changes) -> RegistrationConfig:
    return RegistrationConfig.preset("paper", **changes)


def presets(study: Study) -> list[str]:
    """Both presets on every kind of evidence."""
    kinds = {
        "all evidence": FULL,
        "no depths": NO_DEPTH,
        "no dense points": Evidence(dense=False),
        "keypoints alone": Evidence(dense=False, depth=False),
        "dense points alone": Evidence(keypoints=False, depth=False),
        "all evidence, one point in ten misplaced": Evidence(outliers=True),
        "no depths, one point in ten misplaced": Evidence(depth=False, outliers=True),
    }
    rows = []
    for label, evidence in kinds.items():
        rows.append(study.row(f"`accurate`: {label}", accurate(), evidence))
        rows.append(study.row(f"`paper`: {label}", paper(), evidence))
    return rows


def starts(study: Study) -> list[str]:
    """Different numbers of starts around the vertical axis, with and without depths."""
    rows = []
    for label, evidence in (("", FULL), (", no depths", NO_DEPTH)):
        for count in (1, 2, 4, 8, 16):
            config = accurate(starts=count)
            rows.append(study.row(f"{count} start{'s' * (count > 1)}{label}", config, evidence))
    rows.append(study.row("4 starts, half the iterations", accurate(iterations=200)))
    rows.append(
        study.row("4 starts, half the iterations, no depths", accurate(iterations=200), NO_DEPTH)
    )
    return rows


def solvers(study: Study) -> list[str]:
    """The same objectives with other solvers: Levenberg-Marquardt, or a refresh at every step."""
    rows = []
    for label, evidence in (("", FULL), (", no depths", NO_DEPTH)):
        rows.append(study.row(f"`accurate`{label}", accurate(), evidence))
        exact = accurate(refresh=1)
        rows.append(study.row(f"`accurate`{label}, refreshed at every step", exact, evidence))
        rows.append(study.row(f"`accurate`{label}, lm", accurate(solver="lm"), evidence))
    rows.append(study.row("`paper`", paper()))
    rows.append(study.row("`paper`, lm", paper(solver="lm")))
    return rows


ACCURATE_WITHOUT = {
    "nothing (the preset)": {},
    "anatomical prior": {"prior_weight": 0.0, "prior_weight_start": 0.0},
    "anatomical prior, squared angles in its place": {
        "prior_weight": 0.0, "prior_weight_start": 0.0, "joint_weight": 3e-4,
    },
    "annealing of the prior": {"prior_weight_start": accurate().prior_weight},
    "joint limits": {"limit_weight": 0.0},
    "prior and limits": {"prior_weight": 0.0, "prior_weight_start": 0.0, "limit_weight": 0.0},
    "facing": {"facing_weight": 0.0},
    "visibility": {"visibility_weight": 0.0},
    "facing and visibility": {"facing_weight": 0.0, "visibility_weight": 0.0},
    "Geman-McClure (plain squares)": {"dense_width": np.inf, "dense_width_start": np.inf},
    "dense term": {"dense_weight": 0.0},
    "keypoint term": {"keypoint_weight": 0.0},
    "depth term": {"depth_weight": 0.0, "depth_weight_start": 0.0},
    "annealing of the depth weight": {"depth_weight_start": accurate().depth_weight},
    "scale smoothness": {"scale_smoothness_weight": 0.0},
    "scale level": {"scale_level_weight": 0.0},
    "scale level, deviation from the mean in its place": {
        "scale_level_weight": 0.0, "scale_deviation_weight": accurate().scale_level_weight,
    },
    "scale symmetry": {"scale_symmetry_weight": 0.0},
    "all scale terms": {
        "scale_smoothness_weight": 0.0, "scale_level_weight": 0.0, "scale_symmetry_weight": 0.0,
    },
    "upright": {"upright_weight": 0.0},
    "six numbers, nine and the determinant in their place": {"six_numbers": False},
    "falling learning rate": {"learning_rate_end": 1.0},
    "sums, means per person in their place": {"evidence": "mean"},
}  # fmt: skip

PAPER_WITHOUT = {
    "nothing (the preset)": {},
    "dense term": {"dense_weight": 0.0},
    "keypoint term": {"keypoint_weight": 0.0},
    "depth term": {"depth_weight": 0.0, "depth_weight_start": 0.0},
    "scale smoothness": {"scale_smoothness_weight": 0.0, "stiff_scale_weight": 0.0},
    "scale level": {"scale_level_weight": 0.0},
    "joint smoothness": {"joint_weight": 0.0},
    "joint limits (exponential)": {"exponential_weight": 0.0},
    "joint smoothness and limits": {"joint_weight": 0.0, "exponential_weight": 0.0},
    "determinant": {"det_weight": 0.0},
    "determinant, six numbers in its place": {"six_numbers": True},
    "stiff start": {"stiff": "none"},
    "stiff start, stiff throughout": {"stiff": "constant"},
}


def without(study: Study) -> dict[str, list[str]]:
    """Each preset without one component."""
    tables = {}
    for label, evidence in (("", FULL), (", no depths", NO_DEPTH)):
        tables[f"`accurate` without one thing{label}"] = [
            study.row(what, accurate(**changes), evidence)
            for what, changes in ACCURATE_WITHOUT.items()
            if not (what.endswith("depth term") or "depth weight" in what) or evidence.depth
        ]
    tables["`accurate` without one thing, one point in ten misplaced"] = [
        study.row(what, accurate(**ACCURATE_WITHOUT[what]), Evidence(outliers=True))
        for what in ("nothing (the preset)", "Geman-McClure (plain squares)")
    ]
    tables["`paper` without one thing"] = [
        study.row(what, paper(**changes)) for what, changes in PAPER_WITHOUT.items()
    ]
    return tables


def page(study: Study, command: str, tables: dict[str, list[str]]) -> str:
    """The whole page in Markdown."""
    points = study.observations.point_count.mean()
    keypoints, threads = len(study.observations.keypoint_name), torch.get_num_threads()
    text = f"""# Ablation

The value of each component of the registration. Every number below was measured by one run of

    {command}

on {len(study.truth)} people made from the built-in body with seed {study.seed}, adults and
children. All choices (weights, schedules, the prior) were made on people of other seeds. The people
stand alone or in groups in pictures of 256 x 256 pixels. Some are cut by the picture, some are
covered by other people or objects ([groups.md](groups.md) reports these groups). Each person has
{points:.0f} dense points on the visible surface and those of COCO's {keypoints} keypoints that lie
in the picture, with 2 px of noise in a 256-pixel frame, and depths with a standard deviation of
0.08 frame units. The fitted template does not know the people's shapes and segment scales. Half of
the people are seen from any side, half within 60 degrees of the front. Version {__version__}, torch
{torch.__version__}, float32, CPU, threads: {threads}.

The poses of these people and the anatomical prior use the same published ranges of motion: on real
people the prior may help less than here.

Columns: mean distance of visible vertices on the picture, in pixels of a 256-pixel frame; mean
distance of all vertices after Procrustes; of the 24 joints after Procrustes; median over people of
the vertex distance; fits whose rotation is a reflection; fits that face more than 90 degrees away
from the truth; people registered per second (other work on the machine disturbs this column).
"""
    for title, rows in tables.items():
        text += f"\n## {title[0].upper() + title[1:]}\n\n{HEAD}\n" + "\n".join(rows) + "\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=512)
    parser.add_argument("--seed", type=int, default=4711, help="of the people; held out")
    parser.add_argument("--out", type=Path, default=Path("docs/ablation.md"))
    options = parser.parse_args()
    study = Study(options.people, options.seed)
    tables = {
        "presets and evidence": presets(study),
        "starts of `accurate`": starts(study),
        "solvers": solvers(study),
        **without(study),
    }
    command = f"python -m benchmarks.ablation --people {options.people} --seed {options.seed}"
    with atomic_path(options.out) as temporary:
        temporary.write_text(page(study, command, tables), encoding="utf-8")


if __name__ == "__main__":
    main()
