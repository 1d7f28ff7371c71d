"""DensePose-COCO annotation files: COCO's JSON with dense points (dp_x, dp_y, dp_I, dp_U, dp_V).

One annotation is one person; several people may be in one image. Chart coordinates have a meaning
only for their own charts, so the file and the body must have the same charts. Files of this project
name them in `info.charts`; a file without this name has DensePose's charts.

Three keys are the project's own, and other readers ignore them: `info.charts`; `keypoint_depths`
of an annotation: one depth for each keypoint, in frame units relative to the pelvis, null = absent;
and `camera` of an image: an object with `focal_length`, in pixels or "inf" (no perspective), and
`principal_point` [x, y]. Either may be missing.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bodyreg.body.charts import DENSEPOSE_CHARTS
from bodyreg.body.landmarks import SMPL_VERTEX_COUNT
from bodyreg.body.smpl import CSE_VERTEX_COUNT
from bodyreg.data.cameras import Camera, arrays_of
from bodyreg.data.coco import (
    CROWD,
    FROM_INDEX,
    KeypointOrders,
    box_of,
    camera_of,
    in_cocos_order,
    load_coco,
)
from bodyreg.data.dense_maps import charts_of, whole
from bodyreg.data.frames import frames_of_boxes
from bodyreg.data.json_files import flag, numbers
from bodyreg.data.masks import check_run_lengths, decode_run_lengths
from bodyreg.data.observation_checks import FEWEST
from bodyreg.data.observations import Observations
from bodyreg.data.skeletons import COCO_17
from bodyreg.errors import UserError

if TYPE_CHECKING:
    from pycocotools.coco import COCO

    from bodyreg.body import Body, CarriedCharts, Charts

PARTS = 24

# dp_x and dp_y count from the box's top left corner, as if the box were 256 x 256 (detectron2).
# DensePose's notebooks and its evaluator divide by 255: a difference of 0.4 % of the box.
BOX_UNITS: Literal[256] = 256
UNITS = f"they must count {BOX_UNITS}ths of its sides"
# dp_masks are pictures of the box stretched to this square.
MASK_SIDE = 256

# COCO's keypoints under the names that the body has for them.
KEYPOINTS = COCO_17.joints

# Fine part (dp_I, 0 = background) -> coarse part: the order of dp_masks, from 1.
COARSE_PART = np.array(
    [0, 1, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 8, 9, 10, 11, 10, 11, 12, 13, 12, 13, 14, 14], np.uint8
)
COARSE_PARTS = 14

# Fine and coarse part -> the part of the other side. The torso, front and back, has none.
MIRROR_PART = np.array(
    [0, 1, 2, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15, 18, 17, 20, 19, 22, 21, 24, 23]
)
MIRROR_COARSE_PART = np.array([0, 1, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 14])

# The whole-body selection: how many keypoints must be labelled, which ones must be among them, and
# the least distance from the box to the picture's border, in pixels.
WHOLE_BODY_KEYPOINTS = 14
WHOLE_BODY_REQUIRED = [
    KEYPOINTS.index(f"{side}_{joint}")
    for side in ("left", "right")
    for joint in ("shoulder", "hip", "ankle")
]
WHOLE_BODY_MARGIN = 2

CSE_MESH = f"smpl_{CSE_VERTEX_COUNT}"
"""DensePose CSE's mesh of a person, as `ref_model` names it."""

NO_DENSE_POINTS = "no dense points (dp_*)"
OTHER_MODEL = f"points on another model than {CSE_MESH} (ref_model)"
NOT_WHOLE = "not the whole body"
NO_EVIDENCE = "no point and no keypoint, or all in one place"


def read_densepose_coco(
    path: str | os.PathLike,
    body: Body,
    *,
    whole_body: bool = False,
    box_units: Literal[256, 255] = BOX_UNITS,
) -> tuple[Observations, Counter[str]]:
    """Read the people of a DensePose-COCO file as observations of a body.

    The body's charts turn dense points into body points. Points of DensePose CSE are vertices of
    its mesh (`dp_vertex`); those that are SMPL's own vertices are read, which need no charts. The
    frame is the square round the box. An observation's id is its annotation's.

    Args:
        path: The JSON file.
        body: The body; its charts must be the file's.
        whole_body: Keep only people who are wholly in the picture: 14 of 17 keypoints are labelled,
            shoulders, hips and ankles among them, and the box is clear of the picture's border.
        box_units: How many units of dp_x and dp_y the box is wide and high.

    Returns:
        The observations, and how many annotations were skipped by reason.

    Raises:
        UserError: the file cannot be read, has no dense points or other charts, or an annotation
            is wrong; the message names it.
    """
    coco = load_coco(path)
    annotations = list(coco.anns.values())
    dense = [_names(annotation) for annotation in annotations]
    if not any(dense):
        raise UserError(
            f"{path}: no annotation has dense points (dp_x, dp_y, dp_I, dp_U, dp_V); "
            "give a DensePose-COCO file, not plain COCO"
        )
    charts = None
    if "charts" in dense:
        info = coco.dataset.get("info", {})
        charts = charts_of(path, str(info.get("charts", DENSEPOSE_CHARTS)), body)

    people: list[_Person] = []
    skipped: Counter[str] = Counter()
    orders = KeypointOrders(coco, path)
    for annotation, names in zip(annotations, dense, strict=True):
        if names is None:
            skipped[OTHER_MODEL if "dp_vertex" in annotation else NO_DENSE_POINTS] += 1
            continue
        where = f"{path}: annotation {annotation['id']}"
        if flag(annotation.get("iscrowd"), "iscrowd", where):
            skipped[CROWD] += 1
            continue
        image = coco.imgs.get(annotation["image_id"], {})
        person = _person(
            annotation,
            where,
            str(image.get("file_name") or ""),
            camera_of(image, f"{path}: image {annotation['image_id']}"),
            orders,
            box_units,
        )
        if whole_body and not _is_whole(person, annotation, coco, path):
            skipped[NOT_WHOLE] += 1
            continue
        people.append(person)
    observations = _observations(people, body, charts, str(path))
    evidence = observations.has_evidence
    skipped[NO_EVIDENCE] += int((~evidence).sum())
    return observations.select(evidence), +skipped


def decode_part_masks(annotation: dict[str, Any], where: str = "annotation") -> np.ndarray:
    """The coarse parts that an annotator painted, in the box stretched to 256 x 256.

    Args:
        annotation: One annotation; `dp_masks` is a list of up to 14 run-length codes, empty or
            null where a part is absent, or one code of the whole person, or missing.
        where: What to call it in messages.

    Returns:
        (256, 256) uint8: 0 background, 1..14 the parts in the order of dp_masks.

    Raises:
        UserError: a mask is not 256 x 256 or is damaged.
    """
    parts = np.zeros((MASK_SIDE, MASK_SIDE), np.uint8)
    for index, code in enumerate(mask_codes(annotation, where)):
        if code:
            where_mask = f"{where}: dp_masks[{index}]"
            parts[decode_run_lengths(code, MASK_SIDE, MASK_SIDE, where_mask)] = index + 1
    return parts


@dataclass
class _Person:
    """One annotation in image pixels; n points, 17 keypoints."""

    id: int
    box: np.ndarray  # (4,)
    xy: np.ndarray  # (n, 2)
    part: np.ndarray  # (n,) 1..24
    uv: np.ndarray  # (n, 2)
    smpl: np.ndarray  # (n,) SMPL's vertex in place of part and uv; -1 if it is in charts
    keypoints: np.ndarray  # (17, 3) x, y, v
    depths: np.ndarray | None  # (17,)
    picture: str
    camera: Camera


def _names(annotation: dict[str, Any]) -> Literal["charts", "vertices"] | None:
    """How an annotation names points of the body; None if it has no points that can be read."""
    there = {
        key for key in ("dp_x", "dp_I", "dp_U", "dp_vertex") if annotation.get(key) is not None
    }
    if "dp_vertex" in there and not there & {"dp_I", "dp_U"}:
        known = "dp_x" in there and annotation.get("ref_model", CSE_MESH) == CSE_MESH
        return "vertices" if known else None
    return "charts" if there else None


def _person(
    annotation: dict[str, Any],
    where: str,
    picture: str,
    camera: Camera,
    orders: KeypointOrders,
    box_units: int,
) -> _Person:
    box = box_of(annotation, where)
    if _names(annotation) == "charts":
        xy, part, uv = dense_points(annotation, where)
        smpl = np.full(len(xy), -1)
    else:
        xy, smpl = _vertices(annotation, where)
        part, uv = np.zeros(len(xy), np.int64), np.zeros((len(xy), 2))
    mask_codes(annotation, where)

    rows = orders.rows(annotation, where)
    rows[rows[:, 2] > 0, :2] += FROM_INDEX
    depths = None
    if annotation.get("keypoint_depths") is not None:
        order = orders.of(annotation)
        depths = numbers(annotation, "keypoint_depths", where, len(order), absent=True)
        depths = in_cocos_order(depths, order, np.nan)
    return _Person(
        id=annotation["id"],
        box=box,
        xy=box[:2] + xy * box[2:] / box_units,
        part=part,
        uv=uv,
        smpl=smpl,
        keypoints=rows,
        depths=depths,
        picture=picture,
        camera=camera,
    )


def _is_whole(
    person: _Person, annotation: dict[str, Any], coco: COCO, path: str | os.PathLike
) -> bool:
    image = coco.imgs.get(annotation["image_id"], {})
    sides = {"width, height": [image.get("width"), image.get("height")]}
    size = numbers(sides, "width, height", f"{path}: image {annotation['image_id']}")
    labelled = person.keypoints[:, 2] > 0
    clear = (person.box[:2] >= WHOLE_BODY_MARGIN).all() and (
        person.box[:2] + person.box[2:] <= size - WHOLE_BODY_MARGIN
    ).all()
    return bool(
        clear and labelled.sum() >= WHOLE_BODY_KEYPOINTS and labelled[WHOLE_BODY_REQUIRED].all()
    )


def _observations(
    people: list[_Person], body: Body, charts: Charts | CarriedCharts | None, source: str
) -> Observations:
    def stack(name: str, *shape: int) -> np.ndarray:
        return np.array([getattr(person, name) for person in people]).reshape(len(people), *shape)

    def join(name: str, *shape: int) -> np.ndarray:
        return np.concatenate([np.zeros((0, *shape)), *(getattr(p, name) for p in people)])

    part, smpl = join("part").astype(np.int64), join("smpl").astype(np.int64)
    vertex, barycentric = np.zeros((len(part), 3), np.int32), np.zeros((len(part), 3), np.float32)
    if charts is not None:
        inside = smpl < 0
        vertex[inside], barycentric[inside] = charts.locate(part[inside], join("uv", 2)[inside])
    if (smpl >= 0).any():
        try:
            vertex[smpl >= 0], barycentric[smpl >= 0] = body.smpl_points(smpl[smpl >= 0])
        except UserError as error:
            raise UserError(f"{source}: {error}") from None
    keypoints = stack("keypoints", len(KEYPOINTS), 3)
    depths = None
    if any(person.depths is not None for person in people):
        absent = np.full(len(KEYPOINTS), np.nan)
        depths = np.array([absent if p.depths is None else p.depths for p in people])
    observations = Observations(
        id=stack("id").astype(np.int64),
        frame=frames_of_boxes(stack("box", 4)),
        point_start=np.cumsum([0, *(len(person.part) for person in people)]),
        point_xy=join("xy", 2),
        point_vertex=vertex,
        point_barycentric=barycentric,
        point_weight=np.ones(len(part)),
        keypoint_name=COCO_17.keypoints,
        keypoint_xy=keypoints[..., :2],
        keypoint_weight=keypoints[..., 2] > 0,
        keypoint_depth=depths,
        body=body.fingerprint,
        picture=stack("picture").astype(np.str_) if any(p.picture for p in people) else None,
        **arrays_of([person.camera for person in people]),
    )
    observations.check(body, source=source)
    return observations


def dense_points(
    annotation: dict[str, Any], where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The dense points of an annotation: xy (n, 2) in units of its box, part (n,), uv (n, 2).

    Raises:
        UserError: they are damaged or out of range.
    """
    xy = _places(annotation, where)
    part, u, v = (numbers(annotation, f"dp_{k}", where, len(xy)) for k in ("I", "U", "V"))
    if not ((part >= 1) & (part <= PARTS) & (part % 1 == 0)).all():
        raise UserError(f"{where}: dp_I is out of range; parts are 1 to {PARTS}")
    uv = np.stack([u, v], axis=1)
    if not ((uv >= -1e-3) & (uv <= 1 + 1e-3)).all():
        raise UserError(f"{where}: dp_U or dp_V is out of range; chart coordinates are 0 to 1")
    return xy, part.astype(np.int64), uv.clip(0, 1)


def _vertices(annotation: dict[str, Any], where: str) -> tuple[np.ndarray, np.ndarray]:
    """Of the points of CSE that are SMPL's own vertices: xy (n, 2) in units of the box, numbers."""
    xy = _places(annotation, where)
    vertex = numbers(annotation, "dp_vertex", where, len(xy))
    if not whole(vertex, 0, CSE_VERTEX_COUNT - 1):
        raise UserError(
            f"{where}: dp_vertex is out of range; {CSE_MESH} has 0 to {CSE_VERTEX_COUNT - 1}"
        )
    own = vertex < SMPL_VERTEX_COUNT
    return xy[own], vertex[own].astype(np.int64)


def _places(annotation: dict[str, Any], where: str) -> np.ndarray:
    """(n, 2) dp_x and dp_y."""
    x = numbers(annotation, "dp_x", where)
    xy = np.stack([x, numbers(annotation, "dp_y", where, len(x))], axis=1)
    if len(xy) >= FEWEST and xy.min() >= 0 and xy.min() < xy.max() <= 1:
        raise UserError(f"{where}: dp_x and dp_y are shares of the box; {UNITS}")
    outside = ((xy < -BOX_UNITS) | (xy > 2 * BOX_UNITS)).any(axis=1)
    if 2 * outside.sum() > len(xy):
        raise UserError(f"{where}: most dp_x and dp_y are far outside of the box; {UNITS}")
    return xy


def mask_codes(annotation: dict[str, Any], where: str) -> list[dict[str, Any] | None]:
    """The codes of `dp_masks` as a list: one for each part, or for the whole person alone.

    Raises:
        UserError: it is something else, or a code has another size than 256 x 256.
    """
    codes = annotation.get("dp_masks") or []
    codes = [codes] if isinstance(codes, dict) else codes
    if not isinstance(codes, list) or len(codes) > COARSE_PARTS:
        raise UserError(f"{where}: dp_masks is not a list of up to {COARSE_PARTS} masks")
    for index, code in enumerate(codes):
        if code:
            check_run_lengths(code, MASK_SIDE, MASK_SIDE, f"{where}: dp_masks[{index}]")
    return codes
