"""Lifters on people with known truth: errors, what their depths are worth to a fit, an ablation.

    python -m benchmarks.people PEOPLE                                     # makes people
    python -m train.lift --mpii poses.npy --out runs/distilled
    L=runs/distilled/lifter.safetensors
    python -m benchmarks.lifting --people made=PEOPLE --lifters distilled=$L
    python -m benchmarks.lifting --people made=PEOPLE --mpii poses.npy --ablation runs/ablation

Joints are those of COCO but the face, and the middles of hips and shoulders; people who lack one of
them do not count in errors of joints. Errors of joints are MPJPE, scaled by bones, and PA-MPJPE, in
millimetres; those of vertices are after Procrustes, as in benchmarks.people.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.people import load
from bodyreg import Body, Observations, RegistrationConfig, register
from bodyreg.data import Fits, Truth, read_mpii
from bodyreg.errors import UserError
from bodyreg.files import atomic_path
from bodyreg.lifting import AdversarialConfig, Lifter, train_adversarial
from bodyreg.lifting.joints import BONES, JOINTS, poses_of
from bodyreg.metrics.pose import mpjpe, pa_mpjpe
from bodyreg.metrics.surface import vertex_error
from tests.true_keypoints import true_keypoints

BEGIN, END = "<!-- tables:begin -->", "<!-- tables:end -->"

MEASURED = tuple(name for name in JOINTS if name not in ("head", "nose"))
"""Joints that errors are measured on."""

ONE_START = {"starts": 1, "depth_spread": 0.12, "depth_weight": 0.003, "prior_weight_start": 3e-3}
"""Changes of `accurate` for one start with lifted depths: they begin heavy and end light."""

FITS = {
    "`paper`": ("paper", {}, False),
    "`paper`, lifted": ("paper", {}, True),
    "`accurate`, 1 start": ("accurate", {"starts": 1}, False),
    "`accurate`, 4 starts": ("accurate", {}, False),
    "`accurate`, 8 starts": ("accurate", {"starts": 8}, False),
    "`accurate`, 1 start, lifted": ("accurate", {"starts": 1}, True),
    "`accurate`, 1 start, lifted, weights for one start": ("accurate", ONE_START, True),
    "`accurate`, 2 starts, lifted": ("accurate", {"starts": 2}, True),
    "`accurate`, 4 starts, lifted": ("accurate", {}, True),
}
"""Row -> preset, changes of it, and whether depths are lifted."""

VARIANTS: dict[str, dict[str, object]] = {
    "`robust`": {},
    "no adversarial loss": {"adversarial_weight": 0.0},
    "no bone ratios": {"ratio_weight": 0.0},
    "no bone symmetry": {"symmetry_weight": 0.0},
    "no facing": {"facing_weight": 0.0},
    "no upright": {"upright_weight": 0.0},
    "no lifting again": {"again_weight": 0.0},
    "no noise for the judge": {"judge_noise": 0.0},
    "one view, 90 degrees": {"views": "one"},
    "seven fixed views": {"views": "fixed"},
    "random views": {"views": "random"},
    "`paper` at the width, batch and rate of `robust`": {
        name: getattr(AdversarialConfig.preset("paper"), name)
        for name in (
            "adversarial_weight", "ratio_weight", "symmetry_weight", "facing_weight",
            "upright_weight", "again_weight", "missing", "judge_noise", "average",
        )
    } | {"views": "fixed"},
}  # fmt: skip
"""Ablation: row -> changes of the preset `robust`."""


class Study:
    """People with truth."""

    def __init__(self, name: str, seen: Observations, truth: Truth):
        self.name, self.seen, self.truth = name, seen.with_depths(None), truth
        self.places = true_keypoints(self.truth, seen.keypoint_name)
        self.true = measured(seen.keypoint_name, 1000 * self.places)
        weight = measured(seen.keypoint_name, seen.keypoint_weight[..., None] > 0)
        self.whole = weight.min(axis=(1, 2)) > 0.99

    def errors(self, places: np.ndarray) -> tuple[float, float]:
        """MPJPE, scaled by bones, and PA-MPJPE, of keypoints (N, K, 3) in any unit."""
        found = measured(self.seen.keypoint_name, places)[self.whole]
        true = self.true[self.whole]
        found = found * (bones(true) / bones(found))[:, None, None]
        root = MEASURED.index("pelvis")
        return float(mpjpe(found, true, root).mean()), float(pa_mpjpe(found, true).mean())

    def of_lifter(self, lifter: Lifter | None) -> tuple[float, float]:
        """Errors of keypoints with the depths of a lifter, or with none."""
        xy = self.seen.keypoints_in_frame()
        depth = 0 * xy[..., 0] if lifter is None else lifter.lift(self.seen).keypoint_depth
        return self.errors(np.concatenate([xy, np.nan_to_num(depth)[..., None]], axis=2))

    def of_fits(self, fits: Fits) -> tuple[float, float]:
        """Errors of fits' keypoints."""
        return self.errors(fits.keypoints(Body.default(), self.seen.keypoint_name))

    def spread(self, lifter: Lifter) -> str:
        """Shares of depths that are wrong by less than one and two spreads."""
        lifted = lifter.lift(self.seen)
        true = self.truth.scale[:, None] * self.places[..., 2]
        error = np.abs(lifted.keypoint_depth - true) / lifted.keypoint_depth_spread
        error = error[~np.isnan(error)]
        median = np.nanmedian(lifted.keypoint_depth_spread)
        return f"{median:.3f} | {(error < 1).mean():.0%} | {(error < 2).mean():.0%}"


def measured(names: tuple[str, ...], places: np.ndarray) -> np.ndarray:
    """(N, J, ...) the `MEASURED` joints of keypoints (N, K, ...)."""
    at = {name.rpartition("/")[2]: places[:, k] for k, name in enumerate(names)}
    for middle, end in (("pelvis", "hip"), ("thorax", "shoulder")):
        at[middle] = (at[f"left_{end}"] * 1.0 + at[f"right_{end}"]) / 2
    return np.stack([at[name] for name in MEASURED], axis=1)


def bones(joints: np.ndarray) -> np.ndarray:
    """(N,) total length of the bones between measured joints."""
    ends = [[MEASURED.index(name) for name in bone] for bone in BONES if set(bone) <= set(MEASURED)]
    return np.linalg.norm(np.diff(joints[:, ends], axis=2), axis=(2, 3)).sum(axis=1)


def head(first: str, studies: list[Study]) -> list[str]:
    """The first two lines of a table with a column for each set of people; they are printed too."""
    names = [f"{study.name} ({study.whole.sum()})" for study in studies]
    lines = [f"| {first} | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    print("", *lines, sep="\n", flush=True)
    return lines


def row(name: str, cells: list[str]) -> str:
    """A line of a table, which is printed too."""
    line = f"| {name} | " + " | ".join(cells) + " |"
    print(line, flush=True)
    return line


def joints_table(studies: list[Study], lifters: dict[str, Lifter]) -> Iterator[str]:
    """Errors of joints: of lifters, and of fits to the same keypoints alone."""
    yield from head("joints, mm: MPJPE / PA", studies)
    for name, lifter in ({"depth zero": None} | lifters).items():
        cells = ["{:.0f} / {:.0f}".format(*study.of_lifter(lifter)) for study in studies]
        yield row(name, cells)
    for starts in (1, 8):
        cells = []
        for study in studies:
            config = RegistrationConfig.preset("accurate", starts=starts)
            fits = register(Body.default(), study.seen.keypoints_alone(), config)
            cells.append("{:.0f} / {:.0f}".format(*study.of_fits(fits)))
        yield row(f"`register`, `accurate`, starts: {starts}", cells)


def fits_table(studies: list[Study], lifter: Lifter, *, dense: bool) -> Iterator[str]:
    """Errors of vertices of fits, with and without lifted depths."""
    evidence = "dense points and keypoints" if dense else "keypoints alone"
    yield from head(f"vertices, mm, from {evidence}", studies)
    for name, (preset, changes, lifted) in FITS.items():
        config, cells = RegistrationConfig.preset(preset, **changes), []
        for study in studies:
            seen: Observations = study.seen if dense else study.seen.keypoints_alone()
            fits = register(Body.default(), lifter.lift(seen) if lifted else seen, config)
            vertices = fits.vertices(Body.default())
            cells.append(f"{1000 * vertex_error(vertices, study.truth.vertices).mean():.1f}")
        yield row(name, cells)


def spread_table(studies: list[Study], lifters: dict[str, Lifter]) -> Iterator[str]:
    """How well lifters know their errors."""
    yield row("errors of depths, in spreads", ["median spread, frame units", "below 1", "below 2"])
    yield "|---" * 4 + "|"
    for name, lifter in lifters.items():
        for study in studies:
            yield row(f"{name}, {study.name}", [study.spread(lifter)])


def ablation(studies: list[Study], mpii: Path, folder: Path, seeds: int) -> Iterator[str]:
    """Errors of lifters that were trained without one of the losses, or with other views.

    Each result is kept in the folder, so that a command that was killed goes on.
    """
    people, _ = read_mpii(mpii)
    poses = poses_of(people)
    yield from head(f"{seeds} seeds, mm: mean MPJPE / PA (range of MPJPE)", studies)
    for name, changes in VARIANTS.items():
        results = []
        for seed in range(seeds):
            key = "_".join([*(f"{k}={v}" for k, v in changes.items()), str(seed)])
            path = folder / f"{key}.json"
            if not path.exists():
                begin = time.process_time()
                config = replace(AdversarialConfig(), **changes)
                lifter = train_adversarial(poses, config, seed=seed)
                found = {study.name: study.of_lifter(lifter) for study in studies}
                found |= {"seconds": time.process_time() - begin, "sign": lifter.sign}
                with atomic_path(path) as temporary:
                    temporary.write_text(json.dumps(found))
            results.append(json.loads(path.read_text()))
        cells = [
            _of_seeds(np.array([result[study.name] for result in results])) for study in studies
        ]
        yield row(name, cells)


def _of_seeds(errors: np.ndarray) -> str:
    """Means of MPJPE and PA-MPJPE (seeds, 2), and the range of the first."""
    first, second = errors.mean(axis=0)
    return f"{first:.0f} / {second:.0f} ({errors[:, 0].min():.0f}–{errors[:, 0].max():.0f})"


def write(page: Path, tables: str) -> None:
    """Put the tables between the marks of a page."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    with atomic_path(page) as temporary:
        after = rest.split(END)[1]
        temporary.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--lifters", nargs="+", default=[], metavar="NAME=FILE")
    parser.add_argument("--ablation", type=Path, metavar="FOLDER", help="of its results")
    parser.add_argument("--mpii", type=Path, help="2-D poses that the ablation learns from")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="a page with marks, between which the tables go")
    options = parser.parse_args()
    people, files = (
        {name: Path(path) for name, _, path in (word.partition("=") for word in words)}
        for words in (options.people, options.lifters)
    )
    studies = [Study(name, *load(path, "focal")) for name, path in people.items()]
    lifters = {name: Lifter.load(path) for name, path in files.items()}
    tables = []
    if lifters:
        best = list(lifters.values())[-1]
        tables += [
            joints_table(studies, lifters),
            spread_table(studies, lifters),
            fits_table(studies, best, dense=True),
            fits_table(studies, best, dense=False),
        ]
    if options.ablation:
        tables.append(ablation(studies, options.mpii, options.ablation, options.seeds))
    text = "\n\n".join("\n".join(table) for table in tables)
    if options.out:
        write(options.out, text)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"benchmarks.lifting: {error}")
