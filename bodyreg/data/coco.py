"""COCO's annotation files: pictures, and people in them."""

from __future__ import annotations

import contextlib
import io
import os
from typing import TYPE_CHECKING

from bodyreg.data.json_files import integer, load_json
from bodyreg.errors import UserError

if TYPE_CHECKING:
    from pycocotools.coco import COCO


def load_coco(path: str | os.PathLike) -> COCO:
    """Read a COCO file, checked so far that its index stands: unique integer ids, lists of objects.

    Raises:
        UserError: the file is missing, not JSON, or not COCO.
    """
    from pycocotools.coco import COCO

    content = load_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a COCO file: an object with 'annotations'")
    if not isinstance(content.get("info", {}), dict):
        raise UserError(f"{path}: 'info' is not an object")
    for key, ids in {"annotations": ("id", "image_id"), "images": ("id",)}.items():
        if not isinstance(content.get(key), list):
            raise UserError(f"{path}: expected a COCO file with a list of '{key}'")
        seen = set()
        for position, item in enumerate(content[key]):
            where = f"{path}: {key}[{position}]"
            if not isinstance(item, dict):
                raise UserError(f"{where} is not an object")
            item.update({name: integer(item.get(name), name, where) for name in ids})
            if item["id"] in seen:
                raise UserError(f"{where}: id {item['id']} is there twice; ids must be unique")
            seen.add(item["id"])

    coco = COCO()
    # Categories play no part here, and pycocotools stumbles over an annotation without one.
    coco.dataset = {name: value for name, value in content.items() if name != "categories"}
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress there
        coco.createIndex()
    return coco
