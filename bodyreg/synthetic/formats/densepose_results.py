"""Results of a network like DensePose, as its challenge wants them: a list in results.json."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from bodyreg.pictures import encode_picture
from bodyreg.synthetic.formats.densepose_coco import DensePoseCoco, compact
from bodyreg.synthetic.formats.format import Destination, Shot
from bodyreg.synthetic.maps import DenseMap, dense_map, quantised
from bodyreg.synthetic.pieces import Piece, Pieces


class DensePoseResults(DensePoseCoco):
    """results.json, and the same pictures as DensePose-COCO in images/."""

    name = "densepose-results"

    def describe(self, shot: Shot) -> Piece:
        """The entries of a picture's people."""
        random, noise = shot.random("dense results"), shot.recipe.noise
        maps = [dense_map(shot.body, shot.layout, s, noise, random) for s in shot.sights]
        return {"dense.results": [compact(_entry(shot, found)).encode() for found in maps]}

    def join(self, destination: Destination, pieces: Pieces) -> int:
        """Write results.json, and the truth with the places in the list, from 0, as ids."""
        with destination.open("results.json") as stream:
            pieces.write_list(stream, "dense.results")
        people = pieces.rows("id").shape[0]
        return destination.save_truth(pieces, np.arange(people))


def _entry(shot: Shot, found: DenseMap) -> dict[str, Any]:
    iuv = quantised(found)
    return {
        "image_id": shot.scene.number + 1,
        "category_id": 1,
        "bbox": found.box.tolist(),
        "score": 1.0,
        "charts": shot.body.charts.name,
        "uv_shape": [3, *iuv.shape[:2]],
        "uv_data": base64.encodebytes(encode_picture(iuv[..., ::-1], ".png")).decode(),
    }
