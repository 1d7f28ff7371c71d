"""People of a run, painted in a pose that they do not have, for its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bodyreg.runs.finished import FinishedRun
from bodyreg.runs.fitted_pictures import FittedPictures
from bodyreg.runs.poses import targets_of

if TYPE_CHECKING:
    import numpy as np

    from bodyreg.data import Fits


def painted(
    finished: FinishedRun, fits: Fits, tiles: Sequence[np.ndarray], pose: Path
) -> list[np.ndarray]:
    """People as `bodyreg transfer` paints them, each from one picture alone.

    Args:
        finished: The run.
        fits: N fits of it.
        tiles: N pictures (side, side, 3) of the people, cropped to the frames of the fits.
        pose: As of `bodyreg transfer`; of a clip or several fits, the first one.

    Returns:
        N pictures like the tiles, before a plain ground.

    Raises:
        UserError: as `targets_of`.
    """
    from bodyreg.data.bodies import pixels_per_metre
    from bodyreg.transfer import Appearance, Source
    from bodyreg.transfer.compositing import before
    from bodyreg.transfer.foreground import foreground_of
    from bodyreg.viz.grounds import plain_ground

    fitted, pictures = FittedPictures.of_run(finished), []
    for row, tile in enumerate(tiles):
        side = len(tile)
        fit = _in_tile(fits.select([row]), side)
        silhouette = _parts(finished, fit, side) > 0
        fineness = pixels_per_metre(fit)[0]
        source = Source(tile, foreground_of(tile, silhouette, fineness), fit)
        target = targets_of([pose], fitted, fit, (side, side), 1)[0].fit
        look = Appearance(finished.body, [source])
        painting = look.paint(_in_tile(target, side), side, side)
        pictures.append(before(plain_ground(side), painting))
    return pictures


def _parts(finished: FinishedRun, fit: Fits, side: int) -> np.ndarray:
    """(side, side) uint8, the parts of one body that its tile shows."""
    from bodyreg.flow.bodies import parts

    return parts(finished.body, fit, (side, side))[0].numpy()


def _in_tile(fit: Fits, side: int) -> Fits:
    """The same body in the picture of its frame alone, so many pixels wide and high."""
    import numpy as np

    from bodyreg.data.bodies import shifted, zoomed

    corner = fit.frame[:, :2] - fit.frame[:, 2:]
    return zoomed(shifted(fit, -corner), side / np.float32(2 * fit.frame[0, 2]))
