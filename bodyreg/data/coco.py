"""COCO's annotation files: pictures, and people in them."""

from __future__ import annotations

import contextlib
import io
import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from bodyreg.data.cameras import Camera
from bodyreg.data.json_files import integer, keypoint_rows, load_json, numbers
from bodyreg.data.observation_checks import LARGEST_SIDE
from bodyreg.data.skeletons import COCO_17, Skeleton
from bodyreg.errors import UserError

if TYPE_CHECKING:
    from pycocotools.coco import COCO

CROWD = "a crowd (iscrowd)"
"""Why an annotation is left out that is not of one person."""

PERSON = 1
"""COCO's category of people, of files that do not name their categories."""

NO_PERSON = "another category than person"

# COCO's keypoints are indices of pixels; the centre of pixel 0 is at 0.5. Boxes, polygons and dense
# points are continuous (detectron2, "Standard dataset dicts"; facebookresearch/detectron2#175).
FROM_INDEX = 0.5


def load_coco(path: str | os.PathLike) -> COCO:
    """Read a COCO file and check what its index needs: unique integer ids, lists of objects.

    Raises:
        UserError: the file is missing, not JSON, or not COCO.
    """
    return index_coco(load_json(path), path)


def index_coco(content: Any, path: str | os.PathLike) -> COCO:
    """Check and index what a COCO file holds, as `load_coco`.

    Raises:
        UserError: it is not COCO.
    """
    from pycocotools.coco import COCO

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


def people_categories(coco: COCO, path: str | os.PathLike) -> set[int]:
    """The categories that are named "person"; COCO's if the file has no categories.

    Raises:
        UserError: the categories are damaged.
    """
    categories = coco.dataset.get("categories")
    if categories is None or categories == []:
        return {PERSON}
    if not isinstance(categories, list) or not all(isinstance(c, dict) for c in categories):
        raise UserError(f"{path}: 'categories' is not a list of objects")
    named = {integer(c.get("id"), "id", f"{path}: categories"): c.get("name") for c in categories}
    return {n for n, name in named.items() if name is None or str(name).lower() == "person"}


def is_person(item: dict[str, Any], people: set[int], where: str) -> bool:
    """Whether an item is of one of the categories of people, or of none at all."""
    category = item.get("category_id")
    return category is None or integer(category, "category_id", where) in people


def box_of(item: dict[str, Any], where: str) -> np.ndarray:
    """The box of an annotation or of a result: (4,) x, y, width, height in picture pixels.

    Raises:
        UserError: it is missing, or has no area.
    """
    box = numbers(item, "bbox", where, 4)
    if not (box[2] > 0 and box[3] > 0):
        raise UserError(
            f"{where}: bbox has no area ({box[2]:g} x {box[3]:g}); remove or correct it"
        )
    return box


def camera_of(image: dict[str, Any], where: str) -> Camera:
    """What a file says of the camera of a picture.

    Args:
        image: The picture's object in a COCO file.
        where: The place of the object, for messages.

    Raises:
        UserError: it is damaged.
    """
    width, height = image.get("width"), image.get("height")
    size = 0, 0  # some tools write null, or texts, and others 640.0
    if isinstance(width, int | float) and isinstance(height, int | float):
        if all(0 < side <= LARGEST_SIDE and side % 1 == 0 for side in (width, height)):
            size = int(width), int(height)
    camera = image.get("camera")
    if camera is None:
        return Camera(picture_size=size)
    where = f"{where}: camera"
    if not isinstance(camera, dict):
        raise UserError(f"{where} is not an object")
    focal, point = np.nan, (np.nan, np.nan)
    if camera.get("focal_length") == "inf":
        focal = np.inf
    elif camera.get("focal_length") is not None:
        length = {"focal_length": [camera["focal_length"]]}
        focal = float(numbers(length, "focal_length", where, 1)[0])
        if not focal > 0:
            raise UserError(f"{where}: focal_length is not positive")
    if camera.get("principal_point") is not None:
        x, y = numbers(camera, "principal_point", where, 2).tolist()
        point = x, y
    return Camera(focal, point, size)


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

    def rows(self, annotation: dict[str, Any], where: str) -> np.ndarray:
        """(17, 3) x, y in indices of pixels and v of an annotation's keypoints, in COCO's order.

        Raises:
            UserError: they are damaged, or none of their names is one of COCO's.
        """
        order = self.of(annotation)
        if not annotation.get("keypoints"):
            return np.zeros((len(COCO_17), 3))
        rows = keypoint_rows(annotation, "keypoints", where, len(order))
        first, second, *_ = COCO_17.joints
        if not set(order.joints) & set(COCO_17.joints):
            raise UserError(
                f"{where}: its category names keypoints '{order.joints[0]}' ..., none of which is "
                f"one of COCO's ('{first}', '{second}' ...)"
            )
        return in_cocos_order(rows, order, 0)


def in_cocos_order(rows: np.ndarray, order: Skeleton, absent: float) -> np.ndarray:
    """Rows (J, ...) of a file's keypoints -> (17, ...); what the file lacks is absent."""
    ours = np.full((len(COCO_17), *rows.shape[1:]), absent, np.float64)
    for row, name in enumerate(COCO_17.joints):
        if name in order.joints:
            ours[row] = rows[order.joints.index(name)]
    return ours


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
