"""bodyreg view: a run's bodies live in the browser, to turn, take apart and resize."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from bodyreg.cli.flags import Folder, OptionalFolder
from bodyreg.errors import UserError

if TYPE_CHECKING:
    import viser

    from bodyreg.runs.finished import FinishedRun
    from bodyreg.viz.viewer import Viewer

# People to choose from, at most.
OFFERED = 500
# Pixels of a picture's side.
SIDE = 512


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg view`.

    Attributes:
        run: The --out folder of a run (`bodyreg register`, `predict` ...).
        port: Port of the page, which only this machine can open. If it is taken, the next free
            port is used.
        person: Id of the person to show first.
        images: The folder of the pictures, if it is not the run's.
    """

    run: Annotated[Folder, tyro.conf.Positional]
    port: int = 8080
    person: Annotated[
        int | None, tyro.conf.arg(metavar="ID", help_behavior_hint="(default: the first)")
    ] = None
    images: OptionalFolder = None


def run(options: Options, command: str) -> None:
    """Serve until Ctrl+C is pressed."""
    del command
    if not 0 < options.port < 65536:
        raise UserError("--port must be from 1 to 65535")
    from bodyreg.runs.finished import FinishedRun

    with contextlib.suppress(KeyboardInterrupt):
        server, _ = serve(FinishedRun.open(options.run, options.images), options)
        print(f"http://localhost:{server.get_port()}   Ctrl+C ends", flush=True)
        server.sleep_forever()


def serve(finished: FinishedRun, options: Options) -> tuple[viser.ViserServer, Viewer]:
    """Start to serve a run; `server.stop()` ends it.

    Raises:
        UserError: viser is not installed, no person has the id, or something cannot be read.
    """
    try:
        import viser
    except ImportError:
        raise UserError('the viewer needs viser: pip install "bodyreg[view]"') from None
    import cv2
    import numpy as np

    from bodyreg.runs.job import evenly
    from bodyreg.viz.viewer import Shown, Viewer

    ids, first = finished.fits.ids(), 0
    rows = evenly(len(ids), min(OFFERED, len(ids)))
    if options.person is not None:
        found = np.flatnonzero(ids == options.person)
        if not len(found):
            raise UserError(f"--person {options.person}: no person in {options.run} has this id")
        rows = np.union1d(rows, found[:1])
        first = int(np.searchsorted(rows, found[0]))

    def load(place: int) -> Shown:
        fits, observations = finished.read(rows[[place]])
        grounds, _ = finished.grounds(observations, SIDE)
        return Shown(fits, cv2.cvtColor(grounds[0], cv2.COLOR_BGR2RGB))

    load(first)  # errors come before a page is served
    with contextlib.redirect_stdout(io.StringIO()):  # it would print the address in a box
        server = viser.ViserServer(
            host="127.0.0.1", port=options.port, label="bodyreg", verbose=False
        )
    names = [str(number) for number in ids[rows].tolist()]
    return server, Viewer(server, finished.body, names, load, first)
