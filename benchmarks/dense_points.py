"""How many points of a dense map are worth their time, on made people.

    python -m benchmarks.dense_points

The script makes IUV maps of people of a held-out seed, reads them with different numbers of points,
registers the people without keypoints, and prints the rows of the table in docs/formats.md. It
takes half a minute of one core.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from bodyreg import Body, RegistrationConfig, register
from bodyreg.data import Truth, read_iuv
from bodyreg.metrics.evaluate import Evaluator
from bodyreg.runs.data_sets import DataSets, make_data_sets
from bodyreg.synthetic.formats import Recipe
from bodyreg.synthetic.observe import Noise

COUNTS = (30, 60, 120, 250, 500, 1000)
PIXELS = 2.0
SIDE = 384


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=128)
    parser.add_argument("--seed", type=int, default=9001, help="of the people; held out")
    options = parser.parse_args()
    body, config = Body.default(), RegistrationConfig.preset("accurate")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = Recipe(options.people, options.seed, SIDE, Noise(pixels=PIXELS))
        made = DataSets(out=folder, formats=("iuv",), recipe=recipe, pictures=False)
        make_data_sets(made, quiet=True)
        truth, evaluate = Truth.load(folder / "iuv" / "truth.npz"), Evaluator(body)
        print("| points | visible vertices, px | vertices, mm | median vertices, mm | people/s |")
        print("|---|---|---|---|---|")
        for count in COUNTS:
            people, _ = read_iuv(folder / "iuv" / "maps", body, points=count)
            begin = time.perf_counter()
            fits = register(body, people, config)
            speed = len(people) / (time.perf_counter() - begin)
            errors = evaluate(fits, truth)
            pixels, vertices = errors["pixel"], errors["vertex"]
            print(
                f"| {count} | {pixels.mean():.2f} | {vertices.mean():.1f} "
                f"| {np.median(vertices):.1f} | {speed:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
