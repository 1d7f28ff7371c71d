"""Horizontal flips of annotations in the form of COCO's and DensePose-COCO's files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bodyreg.body.joints import mirror_name
from bodyreg.data.densepose_coco import (
    BOX_UNITS,
    COARSE_PARTS,
    MASK_SIDE,
    MIRROR_COARSE_PART,
    dense_points,
    mask_codes,
)
from bodyreg.data.flip import flip_boxes, flip_chart_points, flip_keypoints
from bodyreg.data.json_files import keypoint_rows, numbers
from bodyreg.data.masks import check_polygons, decode_run_lengths, encode_run_lengths
from bodyreg.data.skeletons import COCO_17, Skeleton
from bodyreg.errors import UserError

if TYPE_CHECKING:
    from bodyreg.body import Body


def flip_annotation(
    annotation: dict[str, Any],
    body: Body,
    width: int,
    height: int,
    *,
    order: Skeleton = COCO_17,
    box_units: int = BOX_UNITS,
    charts: str | None = None,
    where: str = "annotation",
) -> dict[str, Any]:
    """One annotation in the mirrored picture; masks become compressed run lengths.

    Args:
        annotation: Of COCO, with or without dense points.
        body: The body whose charts the dense points lie in.
        width, height: Of the picture.
        order: In which its keypoints stand (`coco.KeypointOrders`).
        box_units: Width and height of the box in units of dp_x and dp_y.
        charts: The name of the charts that the dense points lie in, if the body has several.
        where: The place of the annotation, for messages.

    Returns:
        A new annotation. It shares the values that a mirror does not change.

    Raises:
        UserError: a value is damaged, or its points lie on another model (dp_vertex).
    """
    if annotation.get("dp_vertex") is not None:
        raise UserError(f"{where}: points on another model (dp_vertex) cannot be flipped")
    if not {mirror_name(name) for name in order.joints} <= set(order.joints):
        raise UserError(f"{where}: not every keypoint of its category has one of the other side")
    flipped = dict(annotation)
    if "bbox" in annotation:
        flipped["bbox"] = flip_boxes(numbers(annotation, "bbox", where, 4), width).tolist()
    if annotation.get("keypoints"):
        keypoints = keypoint_rows(annotation, "keypoints", where, len(order))
        # They are indices of pixels, from 0 to width - 1.
        flipped["keypoints"] = flip_keypoints(order, keypoints, width - 1).reshape(-1).tolist()
    if annotation.get("keypoint_depths") is not None:
        depths = annotation["keypoint_depths"]
        numbers(annotation, "keypoint_depths", where, len(order), absent=True)
        flipped["keypoint_depths"] = [depths[joint] for joint in order.flip]
    if annotation.get("segmentation"):
        flipped["segmentation"] = _flip_segmentation(
            annotation["segmentation"], width, height, f"{where}: segmentation"
        )
    if annotation.get("dp_masks"):
        flipped["dp_masks"] = _flip_part_masks(annotation, where)
    if annotation.get("dp_I") is not None:
        xy, part, uv = dense_points(annotation, where)
        part, uv = flip_chart_points(body, part, uv, charts=charts)
        flipped["dp_x"] = (box_units - xy[:, 0]).tolist()
        flipped["dp_I"] = part.astype(np.float64).tolist()
        flipped["dp_U"], flipped["dp_V"] = uv.T.tolist()
    return flipped


def _flip_segmentation(segmentation: Any, width: int, height: int, where: str) -> Any:
    if isinstance(segmentation, dict):
        return _flip_code(segmentation, height, width, where)
    polygons = [np.array(polygon).reshape(-1, 2) for polygon in check_polygons(segmentation, where)]
    return [(p * [-1, 1] + [width, 0]).reshape(-1).tolist() for p in polygons]


def _flip_part_masks(annotation: dict[str, Any], where: str) -> Any:
    codes = mask_codes(annotation, where)
    flipped: list[Any] = [
        _flip_code(code, MASK_SIDE, MASK_SIDE, f"{where}: dp_masks[{index}]") if code else code
        for index, code in enumerate(codes)
    ]
    if isinstance(annotation["dp_masks"], dict):  # the whole person's
        return flipped[0]
    flipped += [[]] * (COARSE_PARTS - len(flipped))
    return [flipped[part - 1] for part in MIRROR_COARSE_PART[1:].tolist()]


def _flip_code(code: dict[str, Any], height: int, width: int, where: str) -> dict[str, Any]:
    return encode_run_lengths(decode_run_lengths(code, height, width, where)[:, ::-1])
