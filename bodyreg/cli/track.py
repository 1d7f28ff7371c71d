"""bodyreg track: people followed over the pictures of a video, and moving smoothly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from bodyreg.cli.flags import Folder, OptionalFolder, Switch, require


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg track`.

    Attributes:
        run: The --out folder of a run (`bodyreg register`, `refine`) on the pictures of a video.
            Their names end with numbers, which are their order.
        out: Output folder: a run with the same people, whose fits tell who is who.
        rate: Pictures a second.
        smoothness: Factor of the weight of accelerations: less for faster motion, more for a
            calmer one.
        images: The folder of the pictures, if it is not the run's.
        quiet: Print nothing but errors.
    """

    run: Annotated[Folder, tyro.conf.Positional]
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    rate: float = 30.0
    smoothness: float = 1.0
    images: OptionalFolder = None
    quiet: Switch = False


def run(options: Options, command: str) -> None:
    """Follow, smooth, and print what was done."""
    require("--rate", options.rate, 1e-3, 1e3)
    require("--smoothness", options.smoothness, 0, 1e6)

    from bodyreg.runs.progress import counted
    from bodyreg.runs.tracking import Tracking, track_people

    request = Tracking(
        run=options.run,
        out=options.out,
        rate=options.rate,
        smoothness=options.smoothness,
        images=options.images,
    )
    done = track_people(request, command, quiet=options.quiet)
    if options.quiet:
        return
    print(
        f"{done.people:,} fits of {counted(done.tracks, 'people')}, the longest track in "
        f"{counted(done.longest, 'pictures')}"
    )
    if done.before == done.before:
        print(f"mean acceleration of joints: {done.after:.3g} m/s², before {done.before:.3g}")
    print(f"results: {options.out}")
