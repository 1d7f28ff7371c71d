"""MPII in the JSON of HRNet and others: a list of people, coordinates counted from 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from bodyreg.data.frames import PIXELS_PER_SCALE
from bodyreg.data.skeletons import MPII_16
from bodyreg.synthetic.figure import extent
from bodyreg.synthetic.formats.densepose_coco import DensePoseCoco, compact, file_name
from bodyreg.synthetic.formats.format import Destination, Shot
from bodyreg.synthetic.observe import ABSENT, Sight, mark
from bodyreg.synthetic.pieces import Piece, Pieces

# MATLAB puts the centre of the first pixel at 1; picture pixels here put it at one half.
FROM_ONE = 0.5


class Mpii(DensePoseCoco):
    """annot.json, and the same pictures as DensePose-COCO in images/."""

    name = "mpii"

    def describe(self, shot: Shot) -> Piece:
        """The entries of a picture's people."""
        random = shot.random("joints of MPII")
        return {"mpii.people": [compact(_person(shot, s, random)).encode() for s in shot.sights]}

    def join(self, destination: Destination, pieces: Pieces) -> int:
        """Write annot.json, and the truth with the places in the list, from 0, as ids."""
        with destination.open("annot.json") as stream:
            pieces.write_list(stream, "mpii.people")
        people = pieces.rows("id").shape[0]
        return destination.save_truth(pieces, np.arange(people))


def _person(shot: Shot, sight: Sight, random: np.random.Generator) -> dict[str, Any]:
    marks, _ = mark(shot.layout, sight, MPII_16, shot.recipe.noise, random)
    labelled = marks[:, 2] != ABSENT
    xy = np.where(labelled[:, None], marks[:, :2] + FROM_ONE, -1)
    # Centre and scale are those of the whole person, also outside of the picture.
    low, high = extent(sight.figure.project(sight.figure.vertices)[:, :2])
    return {
        "image": file_name(shot.scene.number + 1),
        "joints": np.round(xy, 3).tolist(),
        "joints_vis": labelled.astype(int).tolist(),
        "center": np.round((low + high) / 2 + FROM_ONE, 3).tolist(),
        "scale": round(float((high - low)[1]) / PIXELS_PER_SCALE, 6),
    }
