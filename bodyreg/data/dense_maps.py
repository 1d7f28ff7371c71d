"""Dense maps: which point of the body every pixel of a person shows, as detectors find it.

A person has 10^4 to 10^5 such pixels, and the errors of neighbours go together. So some hundreds of
them are kept: spread over the parts of the body and over each part, away from the borders of parts,
where detectors mix two parts. Which pixels are kept depends on the map alone.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bodyreg.body import Body, CarriedCharts, Charts
from bodyreg.data.cameras import Camera, arrays_of
from bodyreg.data.frames import frames_of_boxes
from bodyreg.data.observations import Observations
from bodyreg.errors import UserError

POINTS = 500
"""Points of a person that are kept; docs/formats.md says what fewer cost."""

LEAST_SCORE = 0.65
"""Of a detector's person; people below are left out."""

LEAST_AREA = 20
"""Pixels of a part that a detector shows; smaller parts are mistakes more often than not."""

LEAST_OF_PART = 8
"""Points of each part, if it has so many: hands and feet are small, and tell where they point."""

BORDER = 2
"""Pixels nearer than this to another part, or to the background, are dropped."""

UNKNOWN = Camera()

LOW_SCORE = f"a score below {LEAST_SCORE:g}"
NO_PART = f"no part of the body of {LEAST_AREA} pixels or more"


@dataclass(frozen=True, eq=False)
class DensePerson:
    """What a detector shows of one person; n points, picture pixels.

    Attributes:
        picture: The picture's file; "" if not known.
        camera: What is known of its camera.
        box: (4,) x, y, width, height of the person.
        xy: (n, 2) the points.
        vertex, barycentric: (n, 3) where they lie on the body.
        weight: (n,) how sure the detector is, up to 1.
    """

    picture: str
    camera: Camera
    box: np.ndarray
    xy: np.ndarray
    vertex: np.ndarray
    barycentric: np.ndarray
    weight: np.ndarray


def charts_of(path: str | os.PathLike, name: str, body: Body) -> Charts | CarriedCharts:
    """The body's charts, if they are those of a file.

    Args:
        path: The file, for messages.
        name: The charts that its points lie in.
        body: The body.

    Raises:
        UserError: the body has other charts, or none: the same (part, u, v) is another point there.
    """
    try:
        return body.charts_named(name)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def person_in_charts(
    charts: Charts | CarriedCharts,
    part: np.ndarray,
    uv: np.ndarray,
    region: np.ndarray,
    points: int,
    *,
    weight: np.ndarray | float = 1.0,
    picture: str = "",
    camera: Camera = UNKNOWN,
) -> DensePerson | None:
    """Keep some points of a person's map.

    Args:
        charts: The charts that `part` and `uv` belong to.
        part: (H, W) 0 background, 1..24.
        uv: (H, W, 2) chart coordinates, in 0..1, or uint8 that count 255ths and were cut, as
            DensePose and detectron2 write them.
        region: (4,) x, y, width, height: where the map lies in the picture.
        points: How many points are kept at most.
        weight: (H, W) weights of the pixels, or one of all.
        picture, camera: As of `DensePerson`.

    Returns:
        The person; None if no part is large enough.
    """
    row, column = sample(part, points)
    if not len(row):
        return None
    chosen = uv[row, column]
    if chosen.dtype == np.uint8:  # 255 u was cut: the middle of what a number stands for
        chosen = np.minimum((chosen + 0.5) / 255, 1)
    vertex, barycentric = charts.locate(part[row, column], chosen)
    weights = np.broadcast_to(np.asarray(weight, np.float64), part.shape)
    corner, pixel = region[:2], region[2:] / part.shape[::-1]
    return DensePerson(
        picture=picture,
        camera=camera,
        box=box_of_map(part, region),
        xy=corner + (np.column_stack([column, row]) + 0.5) * pixel,
        vertex=vertex,
        barycentric=barycentric,
        weight=weights[row, column],
    )


def sample(
    part: np.ndarray, count: int, outline: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of pixels that stand for a map.

    Parts of fewer than `LEAST_AREA` pixels are left out. A part gets points as the square root of
    its area grows, but `LEAST_OF_PART` where it has so many pixels and `count` allows. Pixels
    within `BORDER` of another part are left out, or fewer of them in a part that is too thin.
    Within a part, points are evenly spread.

    Args:
        part: (H, W) uint8, 0 background, 1 ... the parts.
        count: How many at most.
        outline: (H, W) uint8, a map whose borders are left out instead of those of `part`.

    Returns:
        rows (n,), columns (n,), part by part.
    """
    part = np.ascontiguousarray(part, np.uint8)
    area = np.bincount(part.reshape(-1), minlength=1)
    area[0] = 0
    inside = _rings(part if outline is None else np.ascontiguousarray(outline, np.uint8))
    pools = []
    for number in np.flatnonzero(area >= LEAST_AREA):
        depth = inside[mine := np.nonzero(part == number)]
        # The deepest ring that leaves enough pixels, or all of them.
        least = max(b for b in range(BORDER + 1) if (depth >= b).sum() >= LEAST_OF_PART)
        rows, columns = (axis[depth >= least] for axis in mine)
        pools.append((area[number], rows, columns))
    if not pools:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    quota = shares(
        np.array([size for size, *_ in pools]) ** 0.5, [len(rows) for _, rows, _ in pools], count
    )
    chosen = [_spread(rows, columns, n) for (_, rows, columns), n in zip(pools, quota, strict=True)]
    return np.concatenate([r for r, _ in chosen]), np.concatenate([c for _, c in chosen])


def shares(wanted: np.ndarray, room: Iterable[int], count: int) -> np.ndarray:
    """Split a count over parts: (n,) numbers of points.

    Args:
        wanted: (n,) positive: how parts share what is above `LEAST_OF_PART` points of each.
        room: (n,) how many points a part has.
        count: How many points there are to be, if there is room.
    """
    # Every point of a part has a rank, and the `count` first ones of all parts win.
    ranks, owner = [], []
    for number, (weight, most) in enumerate(zip(wanted, room, strict=True)):
        place = np.arange(min(most, count))
        later = (place + 0.5) / weight
        # The first ones rank by their place, before all others: with a small count all parts are
        # served alike.
        ranks.append(np.where(place < LEAST_OF_PART, place - LEAST_OF_PART, later))
        owner.append(np.full(len(place), number))
    first = np.argsort(np.concatenate(ranks), kind="stable")[:count]
    return np.bincount(np.concatenate(owner)[first], minlength=len(wanted))


def whole(numbers: np.ndarray, low: int, high: int) -> bool:
    """Whether all are whole numbers from `low` to `high`; infinity and NaN are not."""
    within = (numbers >= low) & (numbers <= high)
    return bool(within.all() and (numbers % 1 == 0).all())


def observations_of(people: list[tuple[int, DensePerson]], body: Body, source: str) -> Observations:
    """Observations of people with these ids.

    Args:
        people: Ids and people.
        body: The body that their points lie on.
        source: The file's name, for messages.

    Raises:
        UserError: they cannot be registered; the message names the person.
    """
    everyone = [person for _, person in people]
    counts = [len(person.xy) for person in everyone]

    def join(name: str, width: int) -> np.ndarray:
        arrays = [getattr(person, name).reshape(-1, width) for person in everyone]
        return np.concatenate([np.zeros((0, width)), *arrays])

    cameras: dict[str, Any] = arrays_of([person.camera for person in everyone])
    named = any(person.picture for person in everyone)
    observations = Observations(
        id=np.array([number for number, _ in people], np.int64),
        frame=frames_of_boxes(join("box", 4)),
        point_start=np.cumsum([0, *counts]),
        point_xy=join("xy", 2),
        point_vertex=join("vertex", 3).astype(np.int32),
        point_barycentric=join("barycentric", 3),
        point_weight=join("weight", 1)[:, 0],
        keypoint_name=(),
        keypoint_xy=np.zeros((len(people), 0, 2)),
        keypoint_weight=np.zeros((len(people), 0)),
        body=body.fingerprint,
        picture=np.array([p.picture for p in everyone], np.str_) if named else None,
        **cameras,
    )
    observations.check(body, source=source)
    return observations


def collect(
    found: Iterable[DensePerson | str], body: Body, source: str
) -> tuple[Observations, Counter[str]]:
    """Observations of the people of a file, and how many were left out, by reason.

    Ids are the places in the file, from 0; people who are left out count.

    Args:
        found: People, or why one is left out.
        body: The body that their points lie on.
        source: The file's name, for messages.
    """
    people: list[tuple[int, DensePerson]] = []
    skipped: Counter[str] = Counter()
    for number, person in enumerate(found):
        if isinstance(person, str):
            skipped[person] += 1
        else:
            people.append((number, person))
    return observations_of(people, body, source), skipped


def _rings(part: np.ndarray) -> np.ndarray:
    """(H, W) how far a pixel is from another part, up to `BORDER`; the map's edge is none."""
    import cv2

    inside = np.zeros(part.shape, np.uint8)
    for ring in range(1, BORDER + 1):
        window = np.ones((2 * ring + 1, 2 * ring + 1), np.uint8)
        alike = (cv2.dilate(part, window) == part) & (cv2.erode(part, window) == part)
        inside[alike] = ring
    return inside


def _spread(row: np.ndarray, column: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` of these pixels, at equal steps along a curve that fills the plane (Morton's)."""
    if not count:
        return row[:0], column[:0]
    along = np.argsort(_morton(row - row.min(), column - column.min()), kind="stable")
    chosen = along[((np.arange(count) + 0.5) * len(row) / count).astype(np.int64)]
    return row[chosen], column[chosen]


def _morton(row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Numbers whose bits are those of row and column in turn."""
    return _spaced(row) << np.uint64(1) | _spaced(column)


def _spaced(numbers: np.ndarray) -> np.ndarray:
    """The 32 bits of numbers, with a zero between any two."""
    spaced = numbers.astype(np.uint64)
    for shift, mask in (
        (16, 0x0000FFFF0000FFFF), (8, 0x00FF00FF00FF00FF), (4, 0x0F0F0F0F0F0F0F0F),
        (2, 0x3333333333333333), (1, 0x5555555555555555),
    ):  # fmt: skip
        spaced = (spaced | spaced << np.uint64(shift)) & np.uint64(mask)
    return spaced


def box_of_map(part: np.ndarray, region: np.ndarray) -> np.ndarray:
    """(4,) x, y, width, height in the picture of what a map (H, W) shows that fills a region."""
    corner, pixel = region[:2], region[2:] / part.shape[::-1]
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    low = np.array([columns[0], rows[0]])
    high = np.array([columns[-1], rows[-1]]) + 1
    return np.concatenate([corner + low * pixel, (high - low) * pixel])
