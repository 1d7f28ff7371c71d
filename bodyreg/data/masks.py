"""COCO's masks of pixels: polygons and run lengths, through pycocotools."""

from __future__ import annotations

from typing import Any

import numpy as np

from bodyreg.errors import UserError


def check_run_lengths(code: Any, height: int, width: int, where: str) -> None:
    """Refuse a value that is not a run-length code of this size, before decoding takes memory.

    Args:
        code: `counts` (a text, or uncompressed a list of numbers) and `size`.
        height, width: What the size should be.
        where: What to call it in messages.

    Raises:
        UserError: it is something else, or of another size.
    """
    if not isinstance(code, dict) or not isinstance(code.get("counts"), str | list):
        raise UserError(f"{where} is not a run-length code")
    if code.get("size") != [height, width]:
        raise UserError(f"{where} has size {code.get('size')}, expected [{height}, {width}]")


def decode_run_lengths(code: dict[str, Any], height: int, width: int, where: str) -> np.ndarray:
    """The mask (height, width) bool of a run-length code, compressed or not.

    Raises:
        UserError: it is not the code of a mask of this size, or it is damaged.
    """
    from pycocotools import mask

    check_run_lengths(code, height, width, where)
    try:
        if isinstance(code["counts"], list):
            runs = np.array(code["counts"])
            if runs.dtype.kind not in "iu" or runs.min() < 0 or runs.sum() != height * width:
                raise ValueError(f"its runs do not fill {height} x {width} pixels")
            code = mask.frPyObjects(code, height, width)
        return mask.decode(code).astype(bool)
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{where} is damaged ({error})") from error


def encode_run_lengths(picture: np.ndarray) -> dict[str, Any]:
    """The run-length code of a mask (height, width), ready for JSON."""
    from pycocotools import mask

    code = mask.encode(np.asfortranarray(picture, np.uint8))
    return {"size": [int(side) for side in code["size"]], "counts": code["counts"].decode("ascii")}


def decode_segmentation(segmentation: Any, height: int, width: int, where: str) -> np.ndarray:
    """The pixels (height, width) bool of an annotation's `segmentation`.

    Args:
        segmentation: A list of polygons [x, y, x, y ...] in picture pixels, or a run-length code.
        height, width: Of the picture.
        where: What to call it in messages.

    Raises:
        UserError: it is neither.
    """
    from pycocotools import mask

    if isinstance(segmentation, dict):
        return decode_run_lengths(segmentation, height, width, where)
    polygons = check_polygons(segmentation, where)
    if not polygons:
        return np.zeros((height, width), bool)
    return mask.decode(mask.merge(mask.frPyObjects(polygons, height, width))).astype(bool)


def check_polygons(segmentation: Any, where: str) -> list[list[float]]:
    """A list of polygons [x, y, x, y ...]; those of fewer than three corners are left out.

    Raises:
        UserError: it is something else.
    """
    try:
        polygons = [np.array(polygon, np.float64) for polygon in segmentation]
        if any(p.ndim != 1 or len(p) % 2 or not np.isfinite(p).all() for p in polygons):
            raise ValueError
    except (TypeError, ValueError) as error:
        raise UserError(f"{where} is neither a list of polygons nor a run-length code") from error
    return [polygon.tolist() for polygon in polygons if len(polygon) >= 6]
