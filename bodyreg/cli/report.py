"""bodyreg report: the results of a run in one HTML file."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Annotated

import tyro

from bodyreg.cli.flags import Folder, OptionalFile, OptionalFolder, require_output
from bodyreg.errors import UserError
from bodyreg.files import is_folder
from bodyreg.runs.lock import working_in


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg report`.

    Attributes:
        run: The --out folder of a run (`bodyreg register`, `predict` ...).
        people: Number of people to show: the worst third, the best third, the rest between them.
        out: The HTML file. The default is report.html in the run's folder.
        images: The folder of the pictures, if it is not the run's.
        truth: A truth file (.npz) to compare with. The default is the truth of a demo's people.
        pose: Also paint the people shown in this pose, without training: a picture of the run,
            joints of OpenPose (.json), fits (.npz), or a clip of motion (.bvh), the first one.
    """

    run: Annotated[Folder, tyro.conf.Positional]
    people: int = 24
    out: OptionalFile = None
    images: OptionalFolder = None
    truth: OptionalFile = None
    pose: OptionalFile = None


def run(options: Options, command: str) -> None:
    """Write the report, and print where it is."""
    del command
    if options.people < 1:
        raise UserError("--people must be at least 1")
    if options.out is not None:
        require_output(options.out, "report.html", [options.truth, options.pose])

    from bodyreg.runs.finished import FinishedRun
    from bodyreg.runs.progress import counted
    from bodyreg.runs.report import write_report

    path = options.out or options.run / "report.html"
    # A file elsewhere is written whole or not at all and needs no lock. The run's folder may then
    # be one that cannot be written.
    inside = options.out is None and is_folder(options.run)
    with working_in(options.run) if inside else contextlib.nullcontext():
        finished = FinishedRun.open(options.run, options.images)
        shown = write_report(finished, path, options.people, options.truth, options.pose)
    truth = options.truth or finished.record.truth
    compared = "without truth" if truth is None else f"compared with {truth}"
    people = counted(len(finished), "people")
    print(f"report of {people}, {shown} shown, {compared}: {path}")
