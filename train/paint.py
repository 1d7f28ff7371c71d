r"""Paint the pairs of a data set by a painter that `train.transfer` has taught.

    python -m train.paint --pairs made/deepfashion --painter runs/painter/painter.safetensors \
        --out painted
    bodyreg evaluate-images --generated painted --truth made/deepfashion/Img/img \
        --protocol intrinsic-flow --out numbers

Each pair makes SOURCE_TARGET.png, as large as the data set's pictures; a painter of smaller
pictures is enlarged. People are registered to their joints first, or --fits has their fits.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from bodyreg import Body
from bodyreg.cli import process
from bodyreg.cli.parsing import parse
from bodyreg.data.deepfashion import read_pose_pairs
from bodyreg.files import identities, path_inside, require_other
from bodyreg.painting import Painter
from bodyreg.pictures import read_picture, write_picture
from bodyreg.runs.device import choose_device
from bodyreg.runs.lock import working_in
from bodyreg.runs.progress import progress_bar
from train.pairs import fits_of, pairs_of
from train.transfer import lessons_of, painted

AT_ONCE = 64
"""Pairs that are painted in one step."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `python -m train.paint`.

    Attributes:
        pairs: DeepFashion's or Market-1501's folder.
        painter: The painter's file.
        out: Folder for the pictures.
        split: The pairs to paint.
        fits: People's fits (.npz), by the order of the pictures in the folder's labels; if left
            out, people are registered.
        device: Where to register and to paint: cpu, cuda, or auto.
    """

    pairs: Path
    painter: Path
    out: Path
    split: str = "test"
    fits: Path | None = None
    device: str = "cpu"


def main(arguments: Sequence[str] | None = None) -> int:
    """Paint; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)

    def recipe() -> int:
        paint(parse(Options, "python -m train.paint", __doc__, given))
        return 0

    return process.run("train.paint", recipe)


def paint(options: Options) -> None:
    """Paint all pairs of the split whose people have bodies."""
    device, _ = choose_device(options.device)
    painter = Painter.load(options.painter)
    painter.network.to(device)
    body, people = Body.default(), read_pose_pairs(options.pairs)
    fits = fits_of(people, options.fits, body, device)
    pairs = pairs_of(people, options.split, fits.id)
    lessons = lessons_of(people, fits, options.split, body, painter.architecture)
    height, width = read_picture(people.picture(pairs[0, 0])).shape[:2]
    files = [
        path_inside(options.out, f"{people.ids[source]}_{people.ids[target]}.png", "a pair's name")
        for source, target in pairs.tolist()
    ]
    read = identities(map(people.picture, np.unique(pairs).tolist()))
    for path in files:
        require_other(path, read)
    with working_in(options.out), progress_bar(len(files), False, "pictures") as bar:
        for rows in np.split(np.arange(len(files)), range(AT_ONCE, len(files), AT_ONCE)):
            few = lessons.select(rows)
            if painter.architecture.kind == "refiner":
                few = painted(few)
            for row, picture in zip(rows.tolist(), painter.paint(few), strict=True):
                colours = picture.permute(1, 2, 0).numpy()[..., ::-1]
                large = cv2.resize(colours, (width, height), interpolation=cv2.INTER_CUBIC)
                write_picture(files[row], large)
                bar.update()
    print(f"{len(files):,} pairs: {options.out}")


if __name__ == "__main__":
    sys.exit(main())
