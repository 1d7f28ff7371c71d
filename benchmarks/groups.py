"""Errors by group, measured on people with known truth.

    python -m benchmarks.groups --people 2000

The script makes people of a held-out seed: adults, children, people cut by the picture, and people
behind other people and objects. It registers them under both presets and writes docs/groups.md. It
takes a minute or two on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import torch

from bodyreg import Body, RegistrationConfig, __version__, register
from bodyreg.data import Fits, Truth, read_densepose_coco
from bodyreg.data.densepose_coco import load_coco
from bodyreg.files import atomic_path
from bodyreg.metrics import METRICS, Evaluator, Table
from bodyreg.metrics.table import CUT, OCCLUDED

COLUMNS = (
    "pixel", "vertex", "mpjpe", "bone_mpjpe", "pa_mpjpe", "pckh", "iou", "gps", "reflected",
    "turned_away",
)  # fmt: skip
MUCH = 0.3
"""People with a larger share of the silhouette outside of the picture, or covered, are cut much."""
OVERLAP = 0.25
"""People with a larger share of the box inside another person's box are overlapped."""
CHUNK = 256
"""Number of people compared at a time, as in `bodyreg evaluate`."""


class People:
    """Made people as read from files, their truth, and their groups."""

    def __init__(self, count: int, seed: int):
        from bodyreg.synthetic.dataset import make_dataset
        from bodyreg.synthetic.formats.densepose_coco import write_densepose_coco

        self.body = Body.default()
        pictures, truth = make_dataset(self.body, count, seed, progress=True)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "people.json"
            write_densepose_coco(path, pictures, self.body.charts.name)
            self.observations, self.skipped = read_densepose_coco(path, self.body)
            annotations = load_coco(path).anns
        row = {person: place for place, person in enumerate(truth.id.tolist())}
        ids = self.observations.id.tolist()
        self.pictures = len(pictures)
        self.truth = truth.select(np.array([row[person] for person in ids]))
        found = [annotations[person] for person in ids]
        self.groups = _groups(
            self.truth,
            np.array([annotation["image_id"] for annotation in found]),
            np.array([annotation["bbox"] for annotation in found], float),
        )
        self.evaluator = Evaluator(self.body)

    def compare(self, fits: Fits) -> Table:
        """Errors of all fits."""
        chunks = []
        for start in range(0, len(fits), CHUNK):
            some = np.arange(start, min(start + CHUNK, len(fits)))
            truth = self.truth.select(some)
            errors = self.evaluator(fits.select(some), truth)
            chunks.append(Table.of(truth, errors, METRICS))
        return Table.concatenate(chunks)


def _groups(truth: Truth, picture: np.ndarray, box: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> (N,) bool. All but the first two may overlap."""
    cut, occluded = truth.cut, truth.occluded
    trouble = [truth.child, cut > CUT, occluded > OCCLUDED]
    return {
        "all people": np.ones(len(truth), bool),
        "plain adults: none of what follows": ~np.any(trouble, axis=0),
        "children": truth.child,
        f"cut by the picture: {CUT:.0%} to {MUCH:.0%} outside": (cut > CUT) & (cut <= MUCH),
        f"cut by the picture: over {MUCH:.0%} outside": cut > MUCH,
        f"occluded: {OCCLUDED:.0%} to {MUCH:.0%} covered": (occluded > OCCLUDED)
        & (occluded <= MUCH),
        f"occluded: over {MUCH:.0%} covered": occluded > MUCH,
        f"overlapped: over {OVERLAP:.0%} of the box in another's": overlapped(picture, box),
        "two or three of children, cut, occluded": np.sum(trouble, axis=0) > 1,
    }


def overlapped(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(N,) bool: people with a box (x, y, width, height) that overlaps one of the same picture."""
    low, high = box[:, :2], box[:, :2] + box[:, 2:]
    share = np.zeros(len(box))
    for number in np.unique(picture):
        rows = np.flatnonzero(picture == number)
        sides = np.minimum(high[rows, None], high[rows]) - np.maximum(low[rows, None], low[rows])
        common = np.prod(np.maximum(sides, 0), axis=2)
        np.fill_diagonal(common, 0)
        share[rows] = common.max(axis=1) / np.maximum(box[rows, 2:].prod(axis=1), 1)
    return share > OVERLAP


def _rows(people: People, table: Table) -> str:
    heads = [f"{METRICS[name].title}, {METRICS[name].unit}".rstrip(", ") for name in COLUMNS]
    lines = ["| | people | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    for label, rows in people.groups.items():
        if rows.any():
            cells = [_cell(table, name, rows) for name in COLUMNS]
            lines.append(f"| {label} | {rows.sum():,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(table: Table, name: str, rows: np.ndarray) -> str:
    found = table.statistics(name, rows)
    if not METRICS[name].unit:
        return f"{round(found.mean * found.people):,}"
    if name == "vertex":
        return f"{found.mean:.1f}, {found.median:.1f} ({found.ninetieth:.1f})"
    return f"{found.mean:.{2 if METRICS[name].unit == 'px' else 1}f}"


def page(people: People, command: str, tables: dict[str, Table]) -> str:
    """The whole page in Markdown."""
    points = people.observations.point_count
    skipped = ", ".join(f"{n} for {reason}" for reason, n in people.skipped.items())
    made = f"""on {len(people.truth):,} people in {people.pictures:,} pictures of 256 x 256 pixels,
    made from the built-in body with a held-out seed and read back from a DensePose-COCO file. They
    have {np.median(points):.0f} dense points each in the median, {np.percentile(points, 5):.0f} at
    the fifth percentile, and COCO's keypoints inside the picture, visible or hidden, all with 2 px
    of noise in a 256-pixel frame; depths of keypoints have a standard deviation of 0.08 frame
    units, like those of a lifting network. The reader skipped {skipped or "no person"}. The fitted
    template does not know the people's shapes and segment scales. Version {__version__}, torch
    {torch.__version__}, float32, CPU."""
    explained = "\n".join(f"- *{METRICS[name].title}*: {METRICS[name].what}." for name in COLUMNS)
    text = f"""# Errors by group

Errors of the registration by group of people. Every number below was measured by one run of

    {command}

{textwrap.fill(" ".join(made.split()), 100)}

Numbers are means over a group's people. For vertices after Procrustes, the median and, in brackets,
the 90th percentile follow; for mirrored and turned people, the number is their count. A person may
be in several groups. Errors in millimetres are of the whole body, including the parts outside of
the picture and covered parts, for which only the prior gives information.

{explained}
"""
    for title, table in tables.items():
        text += f"\n## {title[0].upper() + title[1:]}\n\n{_rows(people, table)}\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=2741, help="of the people; held out")
    parser.add_argument("--out", type=Path, default=Path("docs/groups.md"))
    options = parser.parse_args()
    people = People(options.people, options.seed)
    accurate, paper = map(RegistrationConfig.preset, ("accurate", "paper"))
    seen, flat = people.observations, people.observations.with_depths(None)
    tables = {}
    for title, observations, config in (
        ("`accurate`", seen, accurate),
        ("`accurate`, without depths", flat, accurate),
        ("`paper`", seen, paper),
    ):
        tables[title] = people.compare(register(people.body, observations, config))
        print(f"\n{title}\n\n{_rows(people, tables[title])}", flush=True)
    command = f"python -m benchmarks.groups --people {options.people} --seed {options.seed}"
    with atomic_path(options.out) as temporary:
        temporary.write_text(page(people, command, tables), encoding="utf-8")


if __name__ == "__main__":
    main()
