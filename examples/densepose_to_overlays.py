"""A DensePose-COCO file to overlays: fit every person, and draw the fits over the pictures.

    bodyreg demo --out runs/demo                      # makes a small file and its pictures
    python examples/densepose_to_overlays.py --annotations runs/demo/densepose-coco/densepose.json \
        --images runs/demo/densepose-coco/images --out runs/overlays.jpg

For DensePose's own files give DensePose's charts as well: --uv.
"""

import argparse

import numpy as np

import bodyreg
from bodyreg.pictures import write_picture
from bodyreg.viz.grounds import picture_grounds
from bodyreg.viz.overlay import overlay


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw fits of a DensePose-COCO file.")
    parser.add_argument("--annotations", required=True, help="the JSON file")
    parser.add_argument("--images", required=True, help="the folder of its pictures")
    parser.add_argument("--body", help="SMPL's .pkl or .npz; the built-in body if left out")
    parser.add_argument("--uv", help="DensePose's UV_Processed.mat, for its own files")
    parser.add_argument("--people", type=int, default=16, help="how many to draw")
    parser.add_argument("--out", default="runs/overlays.jpg")
    options = parser.parse_args()

    body = bodyreg.Body.default()
    if options.body:
        body = bodyreg.Body.load(options.body)
    if options.uv:
        body = body.with_uv(options.uv)
    people, skipped = bodyreg.read_densepose_coco(options.annotations, body)
    print(f"{len(people)} people; left out: {dict(skipped) or 'none'}")

    fits = bodyreg.register(body, people, progress=True)

    first = slice(0, options.people)
    people, fits = people.select(first), fits.select(first)
    crops = picture_grounds(options.images, people, side=240)  # the pictures, cut to the frames
    tiles = [
        np.vstack([crop, overlay(crop, vertices, body.faces)])
        for crop, vertices in zip(crops, fits.seen(fits.vertices(body)), strict=True)
    ]
    tiles = [np.pad(tile, ((0, 12), (0, 12), (0, 0)), constant_values=255) for tile in tiles]
    tiles += -len(tiles) % 4 * [np.full_like(tiles[0], 255)]  # whole rows of four
    rows = [np.hstack(tiles[start : start + 4]) for start in range(0, len(tiles), 4)]
    write_picture(options.out, np.vstack(rows))
    print(f"wrote {options.out}")


if __name__ == "__main__":
    try:
        main()
    except bodyreg.UserError as error:  # a file or folder is missing or damaged
        raise SystemExit(f"error: {error}") from None
