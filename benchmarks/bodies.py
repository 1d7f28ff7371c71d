"""Errors of people whose bodies differ from the template, without and with fitted shapes.

    python -m benchmarks.bodies --people 160 --seeds 9401 9402 --motions BVH

The script makes people of held-out seeds, children and adults, with the usual errors of a detector
and near cameras, in made poses and in those of BVH files. It registers everybody twice, and writes
docs/bodies.md.
"""

from __future__ import annotations

import argparse
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.hard.study import DISTANCE, Study
from bodyreg import Body, Fits, Observations, RegistrationConfig, register
from bodyreg.data import Truth
from bodyreg.files import atomic_path
from bodyreg.metrics.pose import mpjpe
from bodyreg.metrics.surface import pixel_error, vertex_error
from bodyreg.metrics.table import CUT, OCCLUDED
from bodyreg.synthetic.motions.captured import find_motions
from bodyreg.synthetic.motions.performance import MadeMotions, Motions

HEAVY = 0.35
"""Coefficient of the direction "weight" above which adults are heavy; slim are below minus this."""
CHILDLIKE = 0.3
"""Coefficient of the direction "child" that an adult should not have."""
CONFIG = RegistrationConfig.preset("accurate")
EVIDENCE = {
    "with depths of keypoints": lambda people: people,
    "without depths": lambda people: people.with_depths(None),
}
"""Names of evidence, and what leaves it of people."""
ERRORS = (
    "picture, px",
    "surface, mm",
    "surface, mm per metre",
    "from the pelvis, mm",
    "joints, mm",
)


@dataclass(frozen=True)
class Measured:
    """Of N people who are neither cut nor covered.

    Attributes:
        before, after: (5, N) `ERRORS` without and with fitted shapes.
        shape: (N, S) fitted coefficients.
        true: (N, S) the people's own.
        child: (N,) bool.
    """

    before: np.ndarray
    after: np.ndarray
    shape: np.ndarray
    true: np.ndarray
    child: np.ndarray

    @classmethod
    def of(cls, study: Study, people: Observations) -> Measured:
        """Register the people of a study twice."""
        truth = study.true(people.id)
        plain = np.flatnonzero((truth.cut <= CUT) & (truth.occluded <= OCCLUDED))
        people, truth = people.select(plain), truth.select(plain)
        before = register(study.body, people, CONFIG)
        after = register(study.body, people, replace(CONFIG, fit_shape=True), progress=True)
        return cls(
            _errors(study.body, before, truth),
            _errors(study.body, after, truth),
            after.shape,
            truth.shape,
            truth.child,
        )

    @classmethod
    def together(cls, parts: list[Measured]) -> Measured:
        """The people of several studies."""
        columns = [vars(part).values() for part in parts]
        before, after, *others = zip(*columns, strict=True)
        return cls(
            np.concatenate(before, axis=1),
            np.concatenate(after, axis=1),
            *map(np.concatenate, others),
        )


def _errors(body: Body, fits: Fits, truth: Truth) -> np.ndarray:
    fits = fits.in_frames(truth.frame)
    vertices, joints = fits.vertices(body), fits.joints(body)
    picture = pixel_error(
        fits.seen(vertices)[..., :2], truth.in_frame(truth.vertices), truth.visible, 256
    )
    surface = 1000 * vertex_error(vertices, truth.vertices)
    metres = np.array([body.with_shape(shape).stature for shape in truth.shape])
    ours = (vertices - joints[:, :1]) / truth.scale[:, None, None]
    away = ours - (truth.vertices - truth.joints[:, :1])
    pelvis = 1000 * np.linalg.norm(away, axis=2).mean(1)
    bones = 1000 * mpjpe(joints / truth.scale[:, None, None], truth.joints)
    return np.stack([picture, surface, surface / metres, pelvis, bones])


def table(body: Body, found: Measured) -> str:
    """Errors before and after, by groups of people."""
    weight = found.true[:, body.shape_names.index("weight")]
    adult = ~found.child
    groups = {
        "children": found.child,
        "adults": adult,
        "heavy adults": adult & (weight > HEAVY),
        "slim adults": adult & (weight < -HEAVY),
        "women": adult & (found.true[:, body.shape_names.index("sex")] < 0),
        "men": adult & (found.true[:, body.shape_names.index("sex")] > 0),
        "old people": adult & (found.true[:, body.shape_names.index("old")] > 0),
    }
    rows = [
        f"| people | number | {' | '.join(ERRORS)} | nearer |",
        "|---" * (3 + len(ERRORS)) + "|",
    ]
    for name, people in groups.items():
        if not people.any():
            continue
        digits = (2, 1, 1, 1, 1)
        cells = [
            f"{a[people].mean():.{n}f} → {b[people].mean():.{n}f}"
            for a, b, n in zip(found.before, found.after, digits, strict=True)
        ]
        nearer = 100 * (found.after[1] < found.before[1])[people].mean()
        rows.append(f"| {name} | {people.sum()} | {' | '.join(cells)} | {nearer:.0f} % |")
    ratios = [
        f"{errors[0][found.child].mean() / errors[0][adult].mean():.2f} / "
        f"{errors[2][found.child].mean() / errors[2][adult].mean():.2f}"
        for errors in (found.before, found.after)
    ]
    rows += ["", f"Children over adults, px / mm per metre: {ratios[0]} → {ratios[1]}."]
    return "\n".join(rows)


def coefficients(body: Body, found: Measured) -> str:
    """What the fitted coefficients tell of the true ones."""
    rows = ["| direction | correlation | fitted, deviation | true, deviation |", "|---" * 4 + "|"]
    for name, ours, true in zip(body.shape_names, found.shape.T, found.true.T, strict=True):
        with np.errstate(invalid="ignore"):
            likeness = np.corrcoef(ours, true)[0, 1]
        rows.append(f"| {name} | {likeness:.2f} | {ours.std():.2f} | {true.std():.2f} |")
    child = found.shape[:, body.shape_names.index("child")]
    sex = found.shape[:, body.shape_names.index("sex")]
    true_sex = found.true[:, body.shape_names.index("sex")]
    over = 100 * (child > CHILDLIKE)
    rows += [
        "",
        f'Coefficients of "child" above {CHILDLIKE}: {over[found.child].mean():.0f} % of children, '
        f'{over[~found.child].mean():.0f} % of adults. "sex" has the right sign for '
        f"{100 * (sex * true_sex > 0)[~found.child].mean():.0f} % of adults.",
    ]
    return "\n".join(rows)


def page(studies: dict[str, list[Study]], command: str) -> str:
    """The whole page in Markdown."""
    body, parts = Body.default(), []
    known: dict[str, Measured] = {}
    for poses, several in studies.items():
        for name, evidence in EVIDENCE.items():
            found = Measured.together([Measured.of(one, evidence(one.people)) for one in several])
            known.setdefault(name, found)
            parts.append(f"### {poses}, {name}\n\n{table(body, found)}")
            print(parts[-1], flush=True)
    made = f"""The people are of held-out seeds, {DISTANCE[0]:g} to {DISTANCE[1]:g} m from the
    camera, with the usual errors of a detector, which whole segments share, and neither cut nor
    covered. The shapes of these people are mixes of the same directions, with about the spread that
    the prior knows: real people differ in more ways, and may gain less. The weight of the prior was
    chosen on people of another seed. In float32, on a CPU."""
    tables = "\n\n".join(parts)
    first = next(iter(known.values()))
    return f"""# Other bodies

A registration fits one template to all people, and makes their limbs longer or shorter. A child is
no small adult, and a man has broader shoulders than the template, which is between woman and man.

    bodyreg register --densepose-coco densepose.json --fit-shape --out runs/a

also fits the coefficients of the body's shape directions, for people with at least 20 dense points:
`bodyreg info` lists the directions of the built-in body, and `Body.with_shape` says what they mean.
`Fits.shape` has the coefficients, and everything that is made of fits has these shapes: meshes,
GLB, BVH, SMPL's vertices, overlays, errors. The report names the largest coefficients of each
person, and `bodyreg track` gives all pictures of a person one shape.

It begins at the fit with the template. From there the coefficients are fitted together with all
other parameters, by Levenberg-Marquardt, and with a prior about the template (`shape_weight`). Then
the person is fitted again, with the body in this shape. The new fit stays if its loss is lower,
prior included. A person takes about 30 times as long as without shapes. Keypoints alone tell no
shapes, so people without dense points keep their fits.

A picture alone does not tell how tall a person is: shapes are about proportions.

## Measured

Every number was measured by one run of

    {command}

{textwrap.fill(" ".join(made.split()), 100)}

*Picture*: visible vertices, pixels of a 256-pixel frame. *Surface*: all vertices after Procrustes,
also per metre of the person's stature. *From the pelvis*: all vertices without Procrustes, in true
scale, from the pelvis. *Joints*: all 24 joints, likewise. *Nearer*: people whose surface error is
lower. Heavy and slim adults are those whose coefficient of "weight" is beyond {HEAVY}.

{tables}

### What coefficients tell

In made poses, with depths. A coefficient is no age and no sex, and the prior makes it smaller: it
says in which direction the body differs from the template, as far as the points show it.

{coefficients(body, first)}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=160, help="of each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[9401, 9402], help="held out")
    parser.add_argument("--motions", type=Path, help="a folder of BVH files")
    parser.add_argument("--out", type=Path, default=Path("docs/bodies.md"))
    options = parser.parse_args()
    kinds: dict[str, Motions] = {"Made poses": MadeMotions()}
    if options.motions is not None:
        kinds["Captured poses"] = find_motions(options.motions)
    studies = {
        poses: [Study.make(options.people, seed, motions) for seed in options.seeds]
        for poses, motions in kinds.items()
    }
    seeds = " ".join(map(str, options.seeds))
    command = f"python -m benchmarks.bodies --people {options.people} --seeds {seeds}"
    command += " --motions BVH" * (options.motions is not None)
    text = page(studies, command)
    with atomic_path(options.out) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
