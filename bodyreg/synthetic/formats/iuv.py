"""IUV maps, as DensePose writes them: NAME_IUV.png, and NAME_INDS.png that numbers the people."""

from __future__ import annotations

import numpy as np

from bodyreg.data.iuv import CHARTS, MAP, PEOPLE
from bodyreg.pictures import encode_picture, with_png_text, without_suffix
from bodyreg.synthetic.formats.densepose_coco import DensePoseCoco, file_name
from bodyreg.synthetic.formats.format import Destination, Shot, ids_of_shown
from bodyreg.synthetic.maps import dense_map, quantised
from bodyreg.synthetic.pieces import Piece, Pieces


class Iuv(DensePoseCoco):
    """maps/ with the maps of the pictures in images/, which are those of DensePose-COCO."""

    name = "iuv"

    def files(self, shot: Shot) -> dict[str, bytes]:
        """The two maps of a picture."""
        iuv, numbers = _maps(shot)
        stem = without_suffix(file_name(shot.scene.number + 1))
        charts = shot.body.charts.name
        return {
            f"maps/{stem}{MAP}.png": with_png_text(encode_picture(iuv, ".png"), CHARTS, charts),
            f"maps/{stem}{PEOPLE}.png": encode_picture(numbers, ".png"),
        }

    def describe(self, shot: Shot) -> Piece:
        """Which of a picture's people its map shows."""
        _, numbers = _maps(shot)
        shown = [(numbers == place + 1).any() for place in range(len(shot.sights))]
        return {"iuv.shown": np.array(shown, bool)}

    def join(self, destination: Destination, pieces: Pieces) -> int:
        """Write the truth, with the numbers that `read_iuv` gives the people."""
        shown = np.concatenate(list(pieces.arrays("iuv.shown")))
        return destination.save_truth(pieces, ids_of_shown(shown))


def _maps(shot: Shot) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) uint8 I, U, V, and (H, W) uint8 numbers of the people, from 1; 0 background."""
    shape = shot.layout.owner.shape
    iuv, numbers = np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8)
    random = shot.random("dense maps")
    for number, sight in enumerate(shot.sights, 1):
        found = dense_map(shot.body, shot.layout, sight, shot.recipe.noise, random)
        x, y, width, height = found.box
        window = np.s_[y : y + height, x : x + width]
        there = found.part > 0
        iuv[window][there] = quantised(found)[there]
        numbers[window][there] = number
    return iuv, numbers
