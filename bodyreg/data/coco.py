"""COCO's annotation files: pictures, and people in them."""

from __future__ import annotations

import contextlib
import io
import os
import re
from typing import TYPE_CHECKING, Any

from bodyreg.data.json_files import integer, load_json
from bodyreg.data.skeletons import COCO_17, Skeleton
from bodyreg.errors import UserError

if TYPE_CHECKING:
    from pycocotools.coco import COCO


def load_coco(path: str | os.PathLike) -> COCO:
    """Read a COCO file and check what its index needs: unique integer ids, lists of objects.

    Raises:
        UserError: the file is missing, not JSON, or not COCO.
    """
    from pycocotools.coco import COCO

    content = load_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a COCO file: an object with 'annotations'")
    if not isinstance(content.get("info"), dict):  # some tools write null
        content["info"] = {}
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
                raise UserError(f"{where}: id {item['id']} occurs twice; ids must be unique")
            seen.add(item["id"])

    coco = COCO()
    # pycocotools indexes categories too, and stumbles over an annotation without one.
    coco.dataset = {name: value for name, value in content.items() if name != "categories"}
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress there
        coco.createIndex()
    coco.dataset = content
    return coco


class KeypointOrders:
    """The order of the keypoints of each annotation of a COCO file, by the names in its categories.

    Only the names of COCO's own 17 keypoints are known. Keypoints with other names are left out,
    because other data sets mean other places by the same name ("neck"). Capitals, spaces and
    hyphens do not matter. A category without names has COCO's order.

    Args:
        coco: The file.
        path: Its name, for messages.

    Raises:
        UserError: the categories are damaged, or one of them has a name twice.
    """

    def __init__(self, coco: COCO, path: str | os.PathLike) -> None:
        self._orders: dict[float, Skeleton] = {}
        categories = coco.dataset.get("categories") or []
        if not isinstance(categories, list):
            raise UserError(f"{path}: 'categories' is not a list")
        for position, category in enumerate(categories):
            where = f"{path}: categories[{position}]"
            if not isinstance(category, dict):
                raise UserError(f"{where} is not an object")
            number = integer(category.get("id"), "id", where)
            self._orders[number] = _order(category.get("keypoints"), where)

    def of(self, annotation: dict[str, Any]) -> Skeleton:
        """The order of an annotation's keypoints."""
        number = annotation.get("category_id")
        if number is None and len(self._orders) == 1:
            return next(iter(self._orders.values()))
        return self._orders.get(number, COCO_17) if isinstance(number, int | float) else COCO_17


def _order(names: Any, where: str) -> Skeleton:
    if names is None or names == []:
        return COCO_17
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{where}: keypoints is not a list of names")
    joints = tuple(re.sub(r"[\s-]+", "_", name.strip().lower()) for name in names)
    if joints == COCO_17.joints:
        return COCO_17
    if len(set(joints)) < len(joints):
        raise UserError(f"{where}: keypoints names a keypoint twice")
    return Skeleton("of the file", "", joints)
