"""Dense points as a table, points.csv: a line for each point."""

from __future__ import annotations

import numpy as np

from bodyreg.synthetic.formats.densepose_coco import DensePoseCoco, file_name
from bodyreg.synthetic.formats.format import Destination, Shot, ids_of_shown
from bodyreg.synthetic.observe import annotate
from bodyreg.synthetic.pieces import Piece, Pieces

HEAD = "picture,person,x,y,I,U,V"


class PointList(DensePoseCoco):
    """points.csv, and the same pictures as DensePose-COCO in images/."""

    name = "point-list"

    def describe(self, shot: Shot) -> Piece:
        """The lines of a picture's people."""
        random, noise = shot.random("dense annotations"), shot.recipe.noise
        people = [annotate(shot.body, shot.layout, s, noise, random) for s in shot.sights]
        picture, lines = file_name(shot.scene.number + 1), []
        for person in people:
            columns = (person.point_xy, person.point_part, person.point_uv)
            for (x, y), part, (u, v) in zip(*columns, strict=True):
                line = f"{picture},{person.id},{x:.3f},{y:.3f},{part},{u:.7f},{v:.7f}\n"
                lines.append(line.encode())
        shown = [len(np.unique(person.point_xy, axis=0)) > 1 for person in people]
        return {"points.lines": lines, "points.shown": np.array(shown, bool)}

    def join(self, destination: Destination, pieces: Pieces) -> int:
        """Write points.csv, and the truth, with the numbers that `read_points` gives the people."""
        with destination.open("points.csv") as stream:
            stream.write(f"# charts: {destination.body.charts.name}\n{HEAD}\n".encode())
            for line in pieces.texts("points.lines"):
                stream.write(line)
        shown = np.concatenate(list(pieces.arrays("points.shown")))
        return destination.save_truth(pieces, ids_of_shown(shown))
