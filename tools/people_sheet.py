"""Draw docs/people.jpg: the first 32 pictures of a crowd, without selection.

python tools/people_sheet.py --out docs/people.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from bodyreg.body import Body
from bodyreg.pictures import write_picture
from bodyreg.synthetic.render import render
from bodyreg.synthetic.scenes.crowd import Crowd

COLUMNS, ROWS, SIDE = 8, 4, 256
QUALITY = 85


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    crowd = Crowd(4 * COLUMNS * ROWS, options.seed, SIDE)
    pictures = [render(crowd.scene(Body.default(), i)) for i in range(COLUMNS * ROWS)]
    sheet = np.stack(pictures).reshape(ROWS, COLUMNS, SIDE, SIDE, 3).swapaxes(1, 2)
    sheet = sheet.reshape(ROWS * SIDE, COLUMNS * SIDE, 3)
    write_picture(options.out, sheet, quality=QUALITY)


if __name__ == "__main__":
    main()
