"""What an annotator would write down of a made person: box, dense points, keypoints, masks.

Visibility comes from painting the mesh over the box stretched to a square, the space that dp_x and
dp_y live in. Points are drawn as DensePose's annotators were asked to: part by part, at most 14 in
each, evenly over what is visible of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bodyreg.body import Body
from bodyreg.body.painter import paint_faces, visible_vertices
from bodyreg.body.surface import barycentric_coordinates
from bodyreg.data.densepose_coco import BOX_UNITS, COARSE_PART, COARSE_PARTS, KEYPOINTS
from bodyreg.data.frames import frames_of_boxes
from bodyreg.synthetic.figure import Figure

POINTS_PER_PART = 14
# A visible part gets a point for this many of its pixels at least, in box units squared.
AREA_PER_POINT = 16
# Pictures of the box are painted this much finer than box units.
OVERSAMPLING = 2
# A joint lies under the skin: it counts as visible up to this far behind the surface, metres.
JOINT_DEPTH = 0.12


@dataclass(frozen=True)
class Noise:
    """How far annotations lie from the truth, and how many there are.

    Attributes:
        points: Dense points per person, as far as the visible parts hold that many.
        pixels: Standard deviation of points and keypoints in pixels of a 256-pixel frame.
        depth: Standard deviation of keypoint depths in frame units, as of a lifting network.
    """

    points: int = 120
    pixels: float = 2.0
    depth: float = 0.08


@dataclass(eq=False)
class Annotation:
    """One person in image pixels (y down); n points, 17 keypoints, V vertices."""

    box: np.ndarray  # (4,) x, y, width, height
    frame: np.ndarray  # (3,)
    scale: float  # frame units per metre
    translation: np.ndarray  # (2,) frame units
    visible: np.ndarray  # (V,) bool
    part_picture: np.ndarray  # (256, 256) uint8, coarse parts over the box
    point_xy: np.ndarray  # (n, 2) with noise
    point_part: np.ndarray  # (n,) 1..24
    point_uv: np.ndarray  # (n, 2)
    point_vertex: np.ndarray  # (n, 3) truth of the chart coordinates
    point_barycentric: np.ndarray  # (n, 3)
    keypoints: np.ndarray  # (17, 3) x, y with noise, 2 = visible, 1 = hidden
    depths: np.ndarray  # (17,) frame units, relative to the pelvis, with noise


def annotate(
    body: Body,
    person: Figure,
    pixels_per_metre: float,
    pelvis: np.ndarray,
    noise: Noise,
    random: np.random.Generator,
) -> Annotation:
    """Annotate a person whose pelvis is at an image position.

    Args:
        body: The body it was made from; it must have charts.
        person: The person, in camera axes.
        pixels_per_metre: Size in the image.
        pelvis: (2,) position in the image, pixels.
        noise: How much of it.
        random: Where the noise comes from.
    """
    to_image = np.array([pixels_per_metre, -pixels_per_metre])
    xy = person.vertices[:, :2] * to_image + pelvis
    box = np.concatenate([xy.min(0), np.ptp(xy, axis=0)])
    frame = frames_of_boxes(box[None])[0].astype(np.float64)
    scale = pixels_per_metre / frame[2]
    noise_sd = noise.pixels * 2 * frame[2] / 256

    side = BOX_UNITS * OVERSAMPLING
    stretched = (xy - box[:2]) / box[2:] * side
    face_picture = paint_faces(stretched, person.vertices[:, 2], body.faces, side)
    face_part, face_uv = _faces_in_charts(body)
    part_picture = np.where(face_picture >= 0, face_part[face_picture], 0)

    row, column = _sample_pixels(COARSE_PART[part_picture], noise.points, random)
    face = face_picture[row, column]
    inside = np.column_stack([column, row]) + random.uniform(-0.5, 0.5, (len(row), 2))
    # Not quite to the edge: on the border of a chart, rounding would put a point outside.
    barycentric = barycentric_coordinates(stretched[body.faces[face]], inside).clip(1e-3)
    barycentric /= barycentric.sum(1, keepdims=True)
    point_xy = np.einsum("pk,pkc->pc", barycentric, xy[body.faces[face]])

    placed = person.named(KEYPOINTS)
    keypoints = np.empty((len(placed), 3))
    keypoints[:, :2] = placed[:, :2] * to_image + pelvis
    keypoints[:, 2] = np.where(
        _hidden(person, placed[:, 2], body.faces, face_picture, keypoints, box), 1, 2
    )
    keypoints[:, :2] += random.normal(0, noise_sd, keypoints[:, :2].shape)
    depths = placed[:, 2] * scale
    return Annotation(
        box=box,
        frame=frame,
        scale=scale,
        translation=(pelvis - frame[:2]) / frame[2] * [1, -1],
        visible=visible_vertices(face_picture, body.faces, len(body.vertices)),
        part_picture=COARSE_PART[part_picture[::OVERSAMPLING, ::OVERSAMPLING]],
        point_xy=point_xy + random.normal(0, noise_sd, point_xy.shape),
        point_part=face_part[face],
        point_uv=np.einsum("pk,pkc->pc", barycentric, face_uv[face]).clip(0, 1),
        point_vertex=body.faces[face],
        point_barycentric=barycentric,
        keypoints=keypoints,
        depths=depths + random.normal(0, noise.depth, depths.shape),
    )


@lru_cache(maxsize=1)
def _faces_in_charts(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Part (F,) of each body face, 0 = in no chart, and its corners in the chart (F, 3, 2)."""
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


def _sample_pixels(
    parts: np.ndarray, count: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (rows, columns) of a picture of coarse parts, spread over the parts that show."""
    area = np.bincount(parts.reshape(-1), minlength=COARSE_PARTS + 1)[1:]
    room = np.minimum(np.ceil(area / (AREA_PER_POINT * OVERSAMPLING**2)), POINTS_PER_PART).astype(
        int
    )
    pixels = [np.flatnonzero(parts == part + 1) for part in range(COARSE_PARTS)]
    chosen = [
        random.choice(inside, quota, replace=False)
        for inside, quota in zip(pixels, _share(count, room), strict=True)
    ]
    return np.divmod(np.concatenate(chosen), parts.shape[1])


def _share(count: int, room: np.ndarray) -> np.ndarray:
    """Split a count as evenly as the room in each place allows; the first places take the rest."""
    quota = np.zeros_like(room)
    for _ in range(min(count, room.sum())):
        open_places = np.flatnonzero(quota < room)
        quota[open_places[quota[open_places].argmin()]] += 1
    return quota


def _hidden(
    person: Figure,
    depths: np.ndarray,
    faces: np.ndarray,
    face_picture: np.ndarray,
    keypoints: np.ndarray,
    box: np.ndarray,
) -> np.ndarray:
    """(K,) bool: keypoints with another part of the body well in front of them."""
    side = len(face_picture)
    column, row = np.rint((keypoints[:, :2] - box[:2]) / box[2:] * side).astype(int).T
    face = face_picture[row.clip(0, side - 1), column.clip(0, side - 1)]
    surface = person.vertices[faces[face], 2].mean(1)
    return (face >= 0) & (surface - depths > JOINT_DEPTH)
