"""bodyreg synthesize: data sets of made people with known truth, in the formats of real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from bodyreg.cli.flags import (
    MOST_PEOPLE,
    MOST_POINTS,
    Folder,
    OptionalFile,
    OptionalFolder,
    Switch,
    require,
)
from bodyreg.errors import UserError
from bodyreg.files import is_there
from bodyreg.runs.lock import working_in
from bodyreg.runs.workers import foresee

if TYPE_CHECKING:
    from bodyreg.runs.data_sets import Made
    from bodyreg.synthetic.motions.performance import Motions

Name = Literal[
    "densepose-coco", "mpii", "human36m", "deepfashion", "market1501", "iuv", "densepose-results",
    "point-list", "keypoints",
]  # fmt: skip
CROWDS = ("densepose-coco", "mpii", "iuv", "densepose-results", "point-list", "keypoints")
"""Formats of pictures of crowds."""

# Sides of pictures, pixels.
SMALLEST, LARGEST = 32, 4096
# With more noise, many points lie so far from the person that readers refuse them.
LARGEST_NOISE_PIXELS, LARGEST_NOISE_DEPTH = 64, 4
# Distances of cameras, metres. Nearer ones would have limbs behind them.
NEAREST, FARTHEST = 1.5, 1e6
UP_AXES = ("+x", "-x", "+y", "-y", "+z", "-z")


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg synthesize`.

    Attributes:
        out: Output folder; each format gets a folder in it. If a command was killed, the same
            command finishes its work.
        formats: Data sets whose file formats are written. densepose-coco, mpii, iuv,
            densepose-results, point-list and keypoints share their pictures.
        people: Number of people in each format. A picture of a crowd shows one to three people;
            human36m shows each person with four cameras, so its number is rounded up.
        seed: Seed of all random numbers. The same seed makes the same files, with any number of
            workers.
        size: Side of the pictures of crowds (the formats that share them), pixels. Other formats
            have the sizes of the real data sets.
        pictures: Render pictures. Without pictures, only annotations and truth are written.
        backgrounds: A folder of pictures that are used as backgrounds, instead of made ones.
        points: Dense points per person.
        noise_pixels: Standard deviation of points and keypoints from the truth, in pixels of a crop
            that is 256 pixels wide. What the formats store as truth is exact.
        noise_depth: Standard deviation of the keypoints' depths from the truth, in half sides of
            the crop.
        noise: annotators err by these numbers alone. A detector also shifts whole segments,
            exchanges left and right limbs, misses limbs and misplaces points.
        motions: A folder of BVH files, searched with its folders: people are made in these poses
            instead of made ones.
        motion_names: A JSON file for BVH files whose joints are not recognised: an object, joint of
            the body -> its name in the files.
        motion_up: The up axis of the BVH files, if it is not recognised: +x, -x, +y, -y, +z or -z.
        distance: Least and largest distance from the camera to the nearest person of a crowd's
            picture, metres. Without it, crowds are seen without perspective.
        workers: Number of processes that share the work.
        quiet: Print nothing but errors.
    """

    out: Folder
    formats: tuple[Name, ...] = ("densepose-coco",)
    people: int = 1000
    seed: int = 0
    size: int = 256
    pictures: bool = True
    backgrounds: OptionalFolder = None
    points: int = 120
    noise_pixels: float = 2.0
    noise_depth: float = 0.08
    noise: Literal["annotators", "detector"] = "annotators"
    motions: OptionalFolder = None
    motion_names: OptionalFile = None
    motion_up: Annotated[
        str | None, tyro.conf.arg(metavar="AXIS", help_behavior_hint="(default: recognised)")
    ] = None
    distance: Annotated[
        tuple[float, float] | None, tyro.conf.arg(metavar="NEAR FAR", help_behavior_hint="")
    ] = None
    workers: Annotated[
        int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: one per core)")
    ] = None
    quiet: Switch = False


def run(options: Options, command: str) -> None:
    """Make the data sets, and print what is there."""
    del command  # it would name this folder; the files' own record holds for any folder
    _check(options)
    with working_in(options.out):
        if not all(is_there(options.out / name / "run.json") for name in options.formats):
            foresee("bodyreg.synthetic.generate")
        made = _make(options)
    if not options.quiet:
        print(made.report(options.out))


def _check(options: Options) -> None:
    if not options.formats or len(set(options.formats)) < len(options.formats):
        raise UserError("--formats: name each format once")
    require("--people", options.people, 1, MOST_PEOPLE)
    if options.seed < 0:
        raise UserError("--seed must be at least 0")
    require("--size", options.size, SMALLEST, LARGEST)
    require("--points", options.points, 0, MOST_POINTS)
    require("--noise-pixels", options.noise_pixels, 0, LARGEST_NOISE_PIXELS)
    require("--noise-depth", options.noise_depth, 0, LARGEST_NOISE_DEPTH)
    if options.distance is not None:
        near, far = options.distance
        require("--distance", near, NEAREST, FARTHEST)
        require("--distance", far, NEAREST, FARTHEST)
        if far < near:
            raise UserError(f"--distance {near:g} {far:g}: the nearer distance comes first")
        if not set(CROWDS) & set(options.formats):
            raise UserError(f"--distance is of crowds: it needs --formats {' or '.join(CROWDS)}")
    if options.motions is None and (options.motion_names or options.motion_up):
        raise UserError("--motion-names and --motion-up need --motions")
    if options.motion_up not in (None, *UP_AXES):
        raise UserError(f"--motion-up {options.motion_up}: must be one of {', '.join(UP_AXES)}")
    if options.workers is not None and options.workers < 1:
        raise UserError("--workers must be at least 1")


def _make(options: Options) -> Made:
    from bodyreg.runs.data_sets import DataSets, make_data_sets
    from bodyreg.synthetic.faults import Faults
    from bodyreg.synthetic.formats import Recipe
    from bodyreg.synthetic.motions.performance import MadeMotions
    from bodyreg.synthetic.observe import Noise

    faults = Faults() if options.noise == "detector" else None
    noise = Noise(options.points, options.noise_pixels, options.noise_depth, faults)
    motions: Motions = MadeMotions()
    if options.motions is not None:
        from bodyreg.synthetic.motions.captured import find_motions

        motions = find_motions(options.motions, options.motion_names, options.motion_up)
    wanted = DataSets(
        out=options.out,
        formats=options.formats,
        recipe=Recipe(options.people, options.seed, options.size, noise, motions, options.distance),
        pictures=options.pictures,
        backgrounds=options.backgrounds,
        workers=options.workers,
    )
    return make_data_sets(wanted, quiet=options.quiet)
