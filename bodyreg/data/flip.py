"""Horizontal flips of annotations, for pictures that are flipped.

x becomes W - x in a picture of width W, and the left side of a person becomes the right side. Every
flip here is its own inverse, up to rounding.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bodyreg.body.joints import MIRROR_JOINTS, mirror_name
from bodyreg.body.parameters import Parameters, mirrored
from bodyreg.data.corr import BACKGROUND, Correspondence
from bodyreg.data.rejected import mirrored_parts
from bodyreg.data.skeletons import H36M_17
from bodyreg.errors import UserError

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data.fits import Fits
    from bodyreg.data.human36m import Poses3D
    from bodyreg.data.observations import Observations
    from bodyreg.data.skeletons import Skeleton
    from bodyreg.data.truth import Truth

# In model, camera and frame axes the mirror is the plane x = 0.
_MIRROR = np.array([-1, 1, 1], np.float32)

# Parts of appearance flow's pictures: left and right arm, left and right leg.
MIRROR_FLOW_PART = np.array([0, 1, 2, 4, 3, 6, 5], np.uint8)


def flip_points(xy: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """Points (..., 2), pixels, in a picture of this width (or pictures of these widths, (...))."""
    xy = np.array(xy)
    xy[..., 0] = width - xy[..., 0]
    return xy


def flip_boxes(boxes: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """Boxes (..., 4) as x, y, width, height in a picture of this width."""
    boxes = np.array(boxes)
    boxes[..., 0] = width - boxes[..., 0] - boxes[..., 2]
    return boxes


def flip_keypoints(
    skeleton: Skeleton, keypoints: np.ndarray, width: float | np.ndarray
) -> np.ndarray:
    """Keypoints (..., J, 2 or more) of a data set in a picture of this width.

    If coordinates are indices of pixels, as in COCO's files, give the width less 1.

    Numbers after x and y (visibility, confidence) stay with their joints. NaN stays NaN. A keypoint
    whose third number is 0 is absent, and keeps its x and y.
    """
    flipped = np.array(keypoints)[..., list(skeleton.flip), :]
    x = np.asarray(width)[..., None] - flipped[..., 0]
    if flipped.shape[-1] > 2:
        x = np.where(flipped[..., 2] == 0, flipped[..., 0], x)
    flipped[..., 0] = x
    return flipped


def flip_joints(skeleton: Skeleton, joints: np.ndarray) -> np.ndarray:
    """Joints (..., J, 3) of a data set in camera axes."""
    return np.asarray(joints)[..., list(skeleton.flip), :] * _MIRROR


def flip_observations(
    observations: Observations, body: Body | None, width: float | np.ndarray
) -> Observations:
    """Observations of the same people in the mirrored pictures.

    Args:
        observations: N people.
        body: The body that the dense points lie on, with mirror vertices. It may be None if there
            are no dense points.
        width: Width of the picture, or of each person's picture (N,).

    Raises:
        UserError: there are dense points, and the body has no mirror vertices.
    """
    width = np.broadcast_to(np.asarray(width, np.float32), len(observations))
    vertex = observations.point_vertex
    if len(vertex):
        vertex = _mirror_vertices(body)[vertex]
    names, columns = _flipped_names(observations.keypoint_name)
    depth, spread = observations.keypoint_depth, observations.keypoint_depth_spread
    return replace(
        observations,
        frame=_flip_frames(observations.frame, width),
        point_xy=flip_points(observations.point_xy, width[observations.point_person]),
        point_vertex=vertex,
        keypoint_name=names,
        keypoint_xy=flip_points(observations.keypoint_xy, width[:, None])[:, columns],
        keypoint_weight=observations.keypoint_weight[:, columns],
        keypoint_depth=None if depth is None else depth[:, columns],
        keypoint_depth_spread=None if spread is None else spread[:, columns],
        principal_point=_flip_principal_points(observations.principal_point, width),
    )


def flip_fits(fits: Fits, width: float | np.ndarray) -> Fits:
    """Fits of the same people in mirrored pictures of this width (or of these widths (N,))."""
    deviation = fits.joint_deviation
    if deviation is not None:
        deviation = deviation[:, list(MIRROR_JOINTS)]
    rejected = None if fits.rejected is None else mirrored_parts(fits.rejected)
    return replace(
        fits, **_flipped_parameters(fits, width), joint_deviation=deviation, rejected=rejected
    )


def flip_truth(truth: Truth, body: Body, width: float | np.ndarray) -> Truth:
    """The truth about the same people in the mirrored pictures.

    Args:
        truth: N people.
        body: The body that the people were made from, with mirror vertices.
        width: Width of the picture, or of each person's picture (N,).

    Raises:
        UserError: the body has no mirror vertices.
    """
    mirror = _mirror_vertices(body)
    return replace(
        truth,
        **_flipped_parameters(truth, width),
        vertices=truth.vertices[:, mirror] * _MIRROR,
        joints=truth.joints[:, list(MIRROR_JOINTS)] * _MIRROR,
        visible=truth.visible[:, mirror],
    )


def flip_poses(poses: Poses3D, width: float | np.ndarray) -> Poses3D:
    """Human3.6M's people in mirrored pictures of this width (or of these widths (N,))."""
    return replace(
        poses,
        observations=flip_observations(poses.observations, None, width),
        joints=flip_joints(H36M_17, poses.joints),
    )


def flip_chart_points(
    body: Body, part: np.ndarray, uv: np.ndarray, *, charts: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Points in charts -> parts (P,) and uv (P, 2) float64 of the opposite points of the body.

    The surface points are mirrored, so the charts need not be symmetric. On torso and head a point
    may keep its part and change its coordinates. A point outside of all triangles of its part
    moves to the nearest point inside, as in `Charts.locate`.

    Args:
        body: The body.
        part: (P,) 1..24.
        uv: (P, 2) in [0, 1].
        charts: The name of the charts, if the body has several (`Body.with_uv`).

    Raises:
        UserError: the body has no such charts, or no mirror vertices.
    """
    from bodyreg.data.densepose_coco import MIRROR_PART

    there = body.charts if charts is None else body.charts_named(charts)
    if there is None:
        raise UserError(f"body '{body.name}' has no charts; give one that has (--uv)")
    if charts is None and body.carried_charts is not None:
        raise UserError(
            f"body '{body.name}' has the charts '{there.name}' and '{body.carried_charts.name}'; "
            "say which the points lie in"
        )
    vertex, barycentric = there.locate(part, uv)
    other = MIRROR_PART[np.asarray(part).astype(np.int64)]
    return other, there.coordinates(other, _mirror_vertices(body)[vertex], barycentric)


def flip_flow_parts(parts: np.ndarray) -> np.ndarray:
    """A picture (H, W) of appearance flow's parts: 3, 4 left and right arm, 5, 6 legs."""
    return MIRROR_FLOW_PART[parts[:, ::-1]]


def flip_correspondence(correspondence: Correspondence, width: int) -> Correspondence:
    """The correspondence between the two mirrored pictures; `width` is the source's."""
    place = correspondence.place[:, ::-1].copy()
    kind = correspondence.kind[:, ::-1].copy()
    # The places are indices of pixels, from 0 to width - 1.
    place[..., 0] = np.where(kind == BACKGROUND, place[..., 0], width - 1 - place[..., 0])
    return Correspondence(place, kind)


def _flipped_parameters(people: Fits | Truth, width: float | np.ndarray) -> dict[str, Any]:
    parameters = mirrored(Parameters.of(people)).arrays()
    camera = {"principal_point": _flip_principal_points(people.principal_point, width)}
    return {"frame": _flip_frames(people.frame, width), **parameters, **camera}


def _flip_principal_points(
    points: np.ndarray | None, width: float | np.ndarray
) -> np.ndarray | None:
    return None if points is None else flip_points(points, width)


def _flip_frames(frame: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    return np.concatenate([flip_points(frame[:, :2], width), frame[:, 2:]], axis=1)


def _flipped_names(names: tuple[str, ...]) -> tuple[tuple[str, ...], list[int]]:
    """The names of the new columns, and the column that each comes from.

    If the names hold both sides, they keep their order, and the columns change.
    """
    mirrored = tuple(mirror_name(name) for name in names)
    if set(mirrored) != set(names):
        return mirrored, list(range(len(names)))
    return names, [mirrored.index(name) for name in names]


def _mirror_vertices(body: Body | None) -> np.ndarray:
    if body is None:
        raise ValueError("body: expected the body that the dense points lie on, got None")
    if body.mirror_vertices is None:
        raise UserError(
            f"body '{body.name}' has no list of opposite vertices; give a body file with "
            "'mirror_vertices' or 'vert_sym_idxs'"
        )
    return body.mirror_vertices
