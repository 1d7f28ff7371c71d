"""What a picture shows of a made person, and what an annotator would mark.

Everything comes from the layout, so occlusion by other people and objects is known. Dense points
follow the instructions of DensePose's annotators: part by part, at most 14 per part, evenly over
the visible area.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from bodyreg.body import Body
from bodyreg.body.surface import barycentric_coordinates, visible_vertices
from bodyreg.data.densepose_coco import BOX_UNITS, COARSE_PART, COARSE_PARTS
from bodyreg.data.frames import frame_from_image, frames_of_boxes, lengths_in_frame, pixel_sizes
from bodyreg.data.skeletons import COCO_17, Skeleton
from bodyreg.ops import raster
from bodyreg.synthetic.faults import (
    Faults,
    exchanged_keypoints,
    found_points,
    missing_keypoints,
)
from bodyreg.synthetic.figure import Figure, extent
from bodyreg.synthetic.layout import OBJECT, Layout
from bodyreg.synthetic.scenes.scene import Scene

POINTS_PER_PART = 14
# A visible part gets at most one point per this much area, in box units squared.
AREA_PER_POINT = 16
# A joint lies under the skin: it counts as visible up to this depth below the surface, metres.
JOINT_DEPTH = 0.12
# The share of a person outside of the picture is counted on a grid of this many cells a side.
CUT_GRID = 96

# Visibility of a keypoint: the third number in COCO's files.
ABSENT, HIDDEN, VISIBLE = 0, 1, 2


@dataclass(frozen=True)
class Noise:
    """Noise and number of annotations.

    Attributes:
        points: Dense points per person; fewer if the visible parts are too small for that many.
        pixels: Standard deviation of points and keypoints in pixels of a 256-pixel frame.
        depth: Standard deviation of keypoint depths in frame units, like a lifting network's.
        faults: Errors of a detector, or None for those of an annotator, which are independent.
    """

    points: int = 120
    pixels: float = 2.0
    depth: float = 0.08
    faults: Faults | None = None


@dataclass(frozen=True, eq=False)
class Sight:
    """What a picture shows of one person; V vertices.

    Attributes:
        id: The data set's id of this person in this picture.
        figure: The person.
        place: The figure's index in the scene.
        pixels: (H, W) bool, pixels that show the person.
        box: (4,) x, y, width, height of these pixels.
        frame: (3,) float64, the square around the box.
        scale: Frame units per metre; with a perspective camera, at the pelvis.
        translation: (2,) frame units.
        visible: (V,) bool, vertices that some pixel shows.
        cut: Share of the silhouette outside of the picture.
        occluded: Share of the silhouette inside the picture that something else covers.
    """

    id: int
    figure: Figure
    place: int
    pixels: np.ndarray
    box: np.ndarray
    frame: np.ndarray
    scale: float
    translation: np.ndarray
    visible: np.ndarray
    cut: float
    occluded: float

    def noise_sd(self, noise: Noise) -> float:
        """The noise's standard deviation in picture pixels."""
        return noise.pixels * float(pixel_sizes(self.frame))


def see(scene: Scene, layout: Layout) -> list[Sight]:
    """What a picture shows of each person, in order of ids; fully hidden people are left out."""
    order = np.argsort(scene.ids)
    return [sight for place in order if (sight := _see(scene, layout, int(place)))]


def _see(scene: Scene, layout: Layout, place: int) -> Sight | None:
    figure, faces = scene.figures[place], layout.surface[place].face
    pixels = layout.owner == place
    rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
    if not len(rows):
        return None
    corner = np.array([columns[0], rows[0]])
    box = np.concatenate([corner, [columns[-1] + 1, rows[-1] + 1] - corner]).astype(np.float64)
    frame = frames_of_boxes(box[None])[0].astype(np.float64)
    weak = figure.camera.weak()
    return Sight(
        id=scene.ids[place],
        figure=figure,
        place=place,
        pixels=pixels,
        box=box,
        frame=frame,
        scale=lengths_in_frame(weak.pixels_per_metre, frame),
        translation=frame_from_image(weak.pelvis, frame),
        visible=visible_vertices(faces[pixels], figure.person.body.faces, len(figure.vertices)),
        cut=_share_outside(figure, pixels.shape),
        occluded=1 - np.count_nonzero(pixels) / np.count_nonzero(layout.alone[place]),
    )


def _share_outside(figure: Figure, shape: tuple[int, int]) -> float:
    """Share of a silhouette that lies outside of a picture of `shape` (height, width)."""
    corners = figure.project(figure.vertices)
    low, high = extent(corners[:, :2])
    if (low >= 0).all() and (high <= shape[::-1]).all():
        return 0.0
    cell = (high - low).max() / CUT_GRID
    corners[:, :2] = (corners[:, :2] - low) / cell
    shown = raster(
        torch.from_numpy(corners[None].astype(np.float32)),
        torch.from_numpy(figure.person.body.faces.astype(np.int32)),
        CUT_GRID,
        CUT_GRID,
        perspective=figure.camera.perspective,
    )
    covered = shown.face[0].numpy() >= 0
    x, y = (low[axis] + (np.arange(CUT_GRID) + 0.5) * cell for axis in (0, 1))
    inside = ((y >= 0) & (y <= shape[0]))[:, None] & ((x >= 0) & (x <= shape[1]))
    return float(1 - np.count_nonzero(covered & inside) / max(1, np.count_nonzero(covered)))


def joints_of(figure: Figure, skeleton: Skeleton) -> np.ndarray:
    """(K, 3) joints of a person in a data set's skeleton: metres in camera axes, pelvis at 0."""
    return figure.keypoints(skeleton.keypoints)


def mark(
    layout: Layout, sight: Sight, skeleton: Skeleton, noise: Noise, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mark joints in a picture.

    Args:
        layout: What each pixel shows.
        sight: The person in the picture.
        skeleton: Names the K joints.
        noise: Noise of the marks.
        random: Source of the noise.

    Returns:
        (K, 3) float64: x and y in picture pixels with noise, and 2 = visible, 1 = hidden by the
        person's own body, another person or an object, 0 = outside of the picture or not found.
        (K, 3) float32: the joints that were marked, metres in camera axes, the pelvis at 0. They
        are those of the other side where a detector exchanges sides.
    """
    joints, sd = joints_of(sight.figure, skeleton), sight.noise_sd(noise)
    if noise.faults is not None:
        joints = joints[exchanged_keypoints(skeleton.joints, noise.faults, random)]
    height, width = layout.owner.shape
    placed = sight.figure.project(joints)
    xy, depth = placed[:, :2], placed[:, 2]
    inside = ((xy >= 0) & (xy < [width, height])).all(1)
    column, row = np.where(inside, np.floor(xy).T, 0).astype(int)
    owner = layout.owner[row, column]
    behind = (owner == OBJECT) | (owner > sight.place)
    # Pixels without the person's own body have depth -infinity, so the body hides nothing there.
    behind |= layout.surface[sight.place].depth[row, column] - depth > JOINT_DEPTH
    marks = np.where(inside, np.where(behind, HIDDEN, VISIBLE), ABSENT)
    xy = xy + random.normal(0, sd, xy.shape)
    if noise.faults is not None:
        pixel = float(pixel_sizes(sight.frame))
        xy += random.normal(0, noise.faults.keypoint * pixel, xy.shape)
        marks[missing_keypoints(skeleton.joints, noise.faults, random)] = ABSENT
    return np.column_stack([xy, marks]), joints


@dataclass(eq=False)
class Annotation:
    """One person in DensePose-COCO: picture pixels (y down); n points, 17 keypoints."""

    id: int
    box: np.ndarray  # (4,) x, y, width, height
    segmentation: dict[str, Any]  # COCO run-length code
    area: int
    part_masks: list[dict[str, Any] | list]  # 14 codes over the box, [] for a hidden part
    point_xy: np.ndarray  # (n, 2) with noise
    point_part: np.ndarray  # (n,) 1..24
    point_uv: np.ndarray  # (n, 2)
    point_vertex: np.ndarray  # (n, 3) vertices that hold the point
    point_barycentric: np.ndarray  # (n, 3)
    keypoints: np.ndarray  # (17, 3) x, y with noise, 2 = visible, 1 = hidden, 0 = outside
    depths: np.ndarray  # (17,) frame units, relative to the pelvis, with noise


def annotate(
    body: Body, layout: Layout, sight: Sight, noise: Noise, random: np.random.Generator
) -> Annotation:
    """Annotate a person.

    Args:
        body: The template of the person; it must have charts.
        layout: What each pixel shows.
        sight: What the picture shows of the person.
        noise: Noise and number of annotations.
        random: Source of the noise.
    """
    figure, sd = sight.figure, sight.noise_sd(noise)
    surface = layout.surface[sight.place]
    x, y, width, height = sight.box.astype(int)
    window = np.s_[y : y + height, x : x + width]
    face_part, face_uv = faces_in_charts(body)
    parts = np.where(
        sight.pixels[window], COARSE_PART[face_part][surface.face[window]], np.uint8(0)
    )

    row, column = _sample_pixels(parts, noise.points, random) + np.array([[y], [x]])
    face = surface.face[row, column]
    placed = figure.project(figure.vertices[body.faces[face]])
    corners = placed[..., :2]
    inside = np.column_stack([column, row]) + random.uniform(0, 1, (len(row), 2))
    # Keep a distance from edges: on the border of a chart, rounding would put a point outside.
    barycentric = barycentric_coordinates(corners, inside).clip(1e-2)
    barycentric /= barycentric.sum(1, keepdims=True)
    xy = np.einsum("pk,pkc->pc", barycentric, corners)
    if figure.camera.perspective:
        # The middle of an edge on the surface is not the middle of the edge in the picture.
        barycentric /= placed[..., 2]
        barycentric /= barycentric.sum(1, keepdims=True)
    xy += random.normal(0, sd, xy.shape)
    if noise.faults is not None:
        found = found_points(body, face, barycentric, noise.faults, random)
        xy = (xy + found.offset * float(pixel_sizes(sight.frame)))[found.kept]
        face, barycentric = found.face[found.kept], found.barycentric[found.kept]

    keypoints, joints = mark(layout, sight, COCO_17, noise, random)
    depths = joints[:, 2] * sight.scale
    return Annotation(
        id=sight.id,
        box=sight.box,
        segmentation=run_lengths(sight.pixels[..., None])[0],
        area=int(np.count_nonzero(sight.pixels)),
        part_masks=_part_masks(parts),
        point_xy=xy,
        point_part=face_part[face],
        point_uv=np.einsum("pk,pkc->pc", barycentric, face_uv[face]).clip(0, 1),
        point_vertex=body.faces[face],
        point_barycentric=barycentric,
        keypoints=keypoints,
        depths=depths + random.normal(0, noise.depth, depths.shape),
    )


def run_lengths(masks: np.ndarray) -> list[dict[str, Any]]:
    """COCO's run-length codes of masks (H, W, n)."""
    from pycocotools import mask

    return [_as_text(code) for code in mask.encode(np.asfortranarray(masks, np.uint8))]


def _as_text(code: dict[str, Any]) -> dict[str, Any]:
    return {
        "size": [int(side) for side in code["size"]],
        "counts": code["counts"].decode("ascii"),
    }


def _part_masks(parts: np.ndarray) -> list[dict[str, Any] | list]:
    """Run-length codes of a box's coarse parts, stretched to 256 x 256; [] for a hidden part."""
    from pycocotools import mask

    row, column = (
        ((np.arange(BOX_UNITS) + 0.5) * side / BOX_UNITS).astype(int) for side in parts.shape
    )
    # Column by column, as the codes count.
    stretched = parts.T.take(column, 0).take(row, 1).reshape(-1)
    # Find runs of equal numbers once, instead of one mask per part.
    border = np.flatnonzero(stretched[1:] != stretched[:-1]) + 1
    start, end = np.concatenate([[0], border]), np.concatenate([border, [stretched.size]])
    part_of = stretched[start]
    codes: list[dict[str, Any] | list] = [[] for _ in range(COARSE_PARTS)]
    for part in np.flatnonzero(np.bincount(part_of)[1:]) + 1:
        mine = part_of == part
        ends = np.stack([start[mine], end[mine]], 1).reshape(-1)
        counts = np.diff(ends, prepend=0, append=stretched.size)
        # A code must not end in an empty run.
        code = {"counts": counts if counts[-1] else counts[:-1], "size": [BOX_UNITS] * 2}
        codes[part - 1] = _as_text(mask.frPyObjects(code, BOX_UNITS, BOX_UNITS))
    return codes


@lru_cache(maxsize=1)
def faces_in_charts(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Part (F,) of each face of the body, 0 = in no chart, and its chart corners (F, 3, 2)."""
    charts = body.charts
    corners = charts.vertex[charts.faces]
    order = np.argsort(corners, axis=1)
    key = np.take_along_axis(corners, order, 1)
    row_of = {tuple(triple): row for row, triple in enumerate(key.tolist())}
    body_order = np.argsort(body.faces, axis=1)
    body_key = np.take_along_axis(body.faces, body_order, 1)
    row = np.array([row_of.get(tuple(triple), -1) for triple in body_key.tolist()])
    part = np.where(row >= 0, charts.part[row], 0)
    uv = np.zeros((len(row), 3, 2))
    sorted_uv = charts.uv[np.take_along_axis(charts.faces, order, 1)][row]
    np.put_along_axis(uv, body_order[..., None].repeat(2, 2), sorted_uv, 1)
    return part, uv


def _sample_pixels(parts: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """(2, n) rows and columns in a map of coarse parts, spread over the visible parts."""
    flat = parts.reshape(-1)
    area = np.bincount(flat, minlength=COARSE_PARTS + 1)[1:]
    units = area * (BOX_UNITS**2 / flat.size)
    room = np.minimum(np.ceil(units / AREA_PER_POINT), np.minimum(area, POINTS_PER_PART))
    quotas = _share(count, room.astype(int))
    chosen = [
        random.choice(np.flatnonzero(flat == part + 1), quota, replace=False)
        for part, quota in enumerate(quotas)
        if quota
    ]
    return np.array(np.divmod(np.concatenate([[], *chosen]).astype(int), parts.shape[1]))


def _share(count: int, room: np.ndarray) -> np.ndarray:
    """Split a count as evenly as each place's room allows; the first places take the remainder."""
    # Totals if no place gets more than 0, 1, 2 ...
    totals = np.minimum(room[:, None], np.arange(room.max(initial=0) + 1)).sum(0)
    level = int(np.searchsorted(totals, count, "right")) - 1
    quota = np.minimum(room, level)
    quota[np.flatnonzero(room > level)[: count - totals[level]]] += 1
    return quota
