"""bodyreg convert: fits for other tools."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from bodyreg.cli.flags import OptionalFile, OptionalFolder, Switch, require
from bodyreg.errors import UserError
from bodyreg.files import provenance

KINDS = ("glb", "bvh", "smpl", "mhr", "coco")
SUFFIXES = {"smpl": ".npz", "mhr": ".npz", "coco": ".json"}
"""Of what is one file."""

MOST_FRAMES_A_SECOND = 1000


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg convert`.

    Attributes:
        fits: The --out folder of a run (`bodyreg register`, `predict` ...), or a file of fits.
        to: glb: mesh, skeleton and skin, for Blender, Unreal or three.js. bvh: a skeleton in
            motion. smpl: SMPL's parameters (.npz). mhr: where MHR's 18,439 vertices are (.npz).
            coco: COCO's results of keypoints (.json).
        out: For glb and bvh a folder, with a file for each person; for the others a file.
        people: The people to write, by the names of their files: ids, or after `bodyreg track` the
            numbers of tracks. All if left out.
        rate: Pictures a second, of a video.
        vertices: With smpl: also write where SMPL's 6,890 vertices are, on any body.
        body: The fitted body, for fits without a run: SMPL's .npz or .pkl, or the project's .npz.
            The default is the built-in body.
        images: With coco: the folder of the pictures, if it is not the run's.
        annotations: With coco: a COCO file that has the numbers of the pictures. By default a
            picture has the number with which its name ends.
    """

    fits: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER|FILE")]
    to: Annotated[str, tyro.conf.arg(metavar="|".join(KINDS))]
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER|FILE")]
    people: Annotated[tuple[int, ...], tyro.conf.arg(metavar="ID ...", help_behavior_hint="")] = ()
    rate: Annotated[
        float | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: the run's, or 30)")
    ] = None
    vertices: Switch = False
    body: OptionalFile = None
    images: OptionalFolder = None
    annotations: OptionalFile = None


def run(options: Options, command: str) -> None:
    """Write, and print what was written."""
    if options.to not in KINDS:
        raise UserError(f"--to {options.to}: choose one of {', '.join(KINDS)}")
    suffix = SUFFIXES.get(options.to)
    if suffix is not None and options.out.suffix.lower() != suffix:
        raise UserError(f"--out {options.out}: with --to {options.to} the file is a {suffix}")
    for name in ("images", "annotations"):
        if options.to != "coco" and getattr(options, name) is not None:
            raise UserError(f"--{name} belongs to --to coco")
    if options.vertices and options.to != "smpl":
        raise UserError("--vertices belongs to --to smpl")
    if options.rate is not None:
        require("--rate", options.rate, 1e-3, MOST_FRAMES_A_SECOND)

    from bodyreg.runs.conversion import Conversion, convert
    from bodyreg.runs.job import reasons
    from bodyreg.runs.progress import counted
    from bodyreg.runs.record import BodyFiles

    request = Conversion(
        fits=options.fits,
        to=options.to,
        out=options.out,
        people=options.people,
        rate=options.rate,
        vertices=options.vertices,
        body=BodyFiles(options.body),
        images=options.images,
        annotations=options.annotations,
    )
    made = convert(request, provenance(command))
    if made.skipped:
        print(f"skipped {made.skipped.total():,}{reasons(made.skipped)}")
    print(f"{counted(made.people, 'people')}: {options.out}")
