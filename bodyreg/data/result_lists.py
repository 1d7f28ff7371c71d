"""Entries of lists of results, of files of torch or JSON: what all kinds of them have in common."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from bodyreg.data.coco import box_of
from bodyreg.data.detections import Pictures
from bodyreg.data.json_files import integer, load_json
from bodyreg.errors import UserError
from bodyreg.files import first_bytes
from bodyreg.npz import ZIP
from bodyreg.torch_files import load_torch

KIND = "detector's results"

# Detectron's boxes count their last pixel, so their maps are up to this much smaller.
OFF = 2


def read_list(path: Path) -> list[Any]:
    """The list in a file of torch (.pkl, .pth), or in JSON; the first bytes tell which.

    Raises:
        UserError: the file is damaged or holds something else.
    """
    saved = first_bytes(path, KIND).startswith((ZIP, b"\x80"))
    content = load_torch(path, kind=KIND) if saved else load_json(path)
    if not isinstance(content, list):
        raise UserError(f"{path}: expected a list of pictures or people")
    return content


def picture_of(item: dict[str, Any], pictures: Pictures, where: str) -> str:
    """The name in the folder of pictures of an entry's picture.

    Args:
        item: The entry; `file_name` may be a path of another machine, of which the last part
            counts. Without it the picture has the number `image_id`.
        pictures: The folder of the pictures.
        where: The place of the entry, for messages.

    Returns:
        The name; "" if the picture has a number and there is no folder.

    Raises:
        UserError: the name is none, or no picture has the number.
    """
    if item.get("file_name") is not None:
        name = PureWindowsPath(str(item["file_name"])).name  # which knows both kinds of slashes
        if not name or name == "..":
            raise UserError(f"{where}: file_name '{item['file_name']}' names no file")
        return name
    if pictures.folder is None:
        return ""
    return pictures.of_number(integer(item.get("image_id"), "image_id", where), where)


def box_of_entry(item: dict[str, Any], where: str) -> np.ndarray:
    """The box of an entry: (4,) x, y, width, height in picture pixels.

    Raises:
        UserError: it is missing, or has no area.
    """
    box = item.get("bbox")
    return box_of({"bbox": box.tolist() if isinstance(box, np.ndarray) else box}, where)


def check_size(found: tuple[int, ...], box: np.ndarray, where: str) -> None:
    """Refuse a map (height, width) that does not fill its box (4,).

    Raises:
        UserError: it does not.
    """
    (height, width), box_width, box_height = found, max(int(box[2]), 1), max(int(box[3]), 1)
    if abs(height - box_height) > OFF or abs(width - box_width) > OFF or not height * width:
        raise UserError(
            f"{where}: its map is {width} x {height}, its box {box_width} x {box_height}; a map "
            "fills its box"
        )


def array_of(value: Any, where: str) -> np.ndarray:
    """An array, or nested lists as one.

    Raises:
        UserError: lists have different lengths.
    """
    try:
        return np.asarray(value)
    except ValueError as error:
        raise UserError(f"{where}: its map is not an array") from error


def floats(
    value: Any, shape: tuple[int, ...], name: str, where: str, inside: np.ndarray | None = None
) -> np.ndarray:
    """An array of numbers of this shape as float64, finite where `inside` is, or everywhere.

    Raises:
        UserError: it is missing or something else.
    """
    array = array_of(value, where)
    if array.shape != shape or array.dtype.kind not in "uif":
        what = f"an array of shape {shape}" if shape else "a number"
        raise UserError(f"{where}: {name} is missing or not {what}")
    with np.errstate(invalid="ignore"):  # of signalling NaNs, which are refused below
        array = array.astype(np.float64)
    if not np.isfinite(array if inside is None else array[..., inside]).all():
        raise UserError(f"{where}: {name} is not finite")
    return array
