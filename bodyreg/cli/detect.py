"""bodyreg detect: keypoints of people in pictures, by a detector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from bodyreg.cli.flags import OptionalFile, Switch, require_output
from bodyreg.cli.sources import Pictures, folder_of
from bodyreg.errors import UserError
from bodyreg.files import provenance


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `bodyreg detect`.

    Attributes:
        pictures: The folder of the pictures; or some picture files of one folder.
        out: The file to write (.npz): keypoints of the people, with depths. `bodyreg register
            --observations` reads it.
        boxes: Boxes of people (.json): COCO's annotations, or a detector's results. One person is
            looked for in each box; without boxes, one in each picture.
        quiet: Print nothing but errors.
    """

    pictures: Pictures = ()
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(required)")] = (
        None
    )
    boxes: OptionalFile = None
    quiet: Switch = False


def run(options: Options, command: str) -> None:
    """Detect, write, and print how many people were found."""
    required = {"PICTURES": options.pictures, "--out FILE": options.out}
    if missing := "; ".join(name for name, value in required.items() if not value):
        raise UserError(f"Missing from bodyreg detect: {missing}; see bodyreg detect --help")
    assert options.out is not None
    require_output(options.out, "people.npz", [options.boxes])
    folder, names = folder_of(options.pictures)
    if names and options.boxes is not None:
        raise UserError(f"{options.pictures[0]}: a file of boxes needs the pictures' folder")

    from bodyreg.runs.detection import detect_people, summary

    people, skipped = detect_people(folder, names, options.boxes, quiet=options.quiet)
    facts = {name: str(value) for name, value in provenance(command).items()}
    people.save(options.out, **facts)
    if not options.quiet:
        print(summary(people, skipped))
        print(f"observations: {options.out}")
