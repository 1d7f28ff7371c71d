"""BlazePose's 33 landmarks, as users of MediaPipe and of TensorFlow.js write them to JSON.

A person is an object {x, y, z, visibility} for each landmark, or [x, y, z, visibility]:

- MediaPipe's `pose_landmarks` (`landmarks` in browsers): x and y are shares of the picture's width
  and height, and z is a depth in widths, away from the viewer, from the middle of the hips;
- MediaPipe's `pose_world_landmarks` (`worldLandmarks`): metres from the middle of the hips, x
  right, y down, z away from the viewer;
- TensorFlow.js' `keypoints`, which are pixels with a `score`, and `keypoints3D`, the same metres.

A file has the lists of one picture, or an object picture -> lists. Names may be in snake case or in
camel case. A list may be of people or of landmarks, or in an object {landmark: list}, as
`MessageToDict` writes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bodyreg.data.cameras import Camera
from bodyreg.data.detections import UNKNOWN, Detection, Pictures, checked_rows, pixels_per_metre
from bodyreg.data.json_files import numbers
from bodyreg.data.observation_checks import LARGEST_SIDE
from bodyreg.data.skeletons import BLAZEPOSE_33
from bodyreg.errors import UserError
from bodyreg.pictures import SUFFIXES

SHARES = ("pose_landmarks", "poseLandmarks", "landmarks")
METRES = (
    "pose_world_landmarks",
    "poseWorldLandmarks",
    "world_landmarks",
    "worldLandmarks",
)
PIXELS, PIXELS_METRES = "keypoints", "keypoints3D"
INSIDE = "landmark"
"""The key of a list of landmarks in `MessageToDict`'s object of one person."""
SIZES = (("width", "height"), ("image_width", "image_height"))

LEAST_VISIBILITY = 0.1
"""BlazePose places all landmarks, also those that nothing shows; less visible ones are absent."""

SPREAD = 0.12
"""Metres, the standard deviation of depths: 0.125 over 13 joints of a man who walks, in 10 pictures
whose joints were measured by four cameras; 0.02 at the hips, 0.2 at a wrist."""

TRUNK_ENDS = np.array(
    [[BLAZEPOSE_33.joints.index(f"{side}_{joint}") for side in ("left", "right")]
     for joint in ("hip", "shoulder")]
)  # fmt: skip

FARTHEST = 8
"""Shares of a picture's side; landmarks that nothing shows lie outside of it, but not so far."""


TRUNK = 0.518
"""Metres from the middle of the shoulders to that of the hips, on the built-in body."""


def is_blazepose(content: Any) -> bool:
    """Whether the content of a file is BlazePose's."""
    if _is_picture(content):
        return True
    if not isinstance(content, dict):
        return False
    pictures = [value for value in content.values() if value]
    if not pictures:  # none of them shows anyone, so only the names tell
        return bool(content) and all(Path(name).suffix.lower() in SUFFIXES for name in content)
    return all(map(_is_picture, pictures))


def blazepose_people(content: Any, path: Path, pictures: Pictures) -> list[Detection]:
    """The people of a file, in its order.

    Args:
        content: What the file holds.
        path: The file; its name is the picture's if the file does not name pictures.
        pictures: Where pictures are found, and their sizes.

    Raises:
        UserError: the file is damaged, or the size of a picture is needed and not known.
    """
    if _is_picture(content):
        return _people(content, pictures.of_stem(path.stem), str(path), pictures)
    return [
        person
        for name, of_picture in content.items()
        if of_picture  # none where a picture shows nobody
        for person in _people(of_picture, name, f"{path}: '{name}'", pictures)
    ]


def detection(
    rows: np.ndarray,
    depths: np.ndarray,
    world: np.ndarray | None = None,
    *,
    picture: str = "",
    camera: Camera = UNKNOWN,
) -> Detection:
    """A person of BlazePose.

    The depths are the metres of `world` at the size that the person has in the picture: that of
    least squares. Without `world` the size is that of the trunk.

    Args:
        rows: (33, 3) x, y in picture pixels, and visibility.
        depths: (33,) pixels, away from the viewer, from the middle of the hips; NaN = not known.
            Not used if `world` is known.
        world: (33, 3) metres from the middle of the hips: x right, y down, z away from the viewer.
        picture, camera: As of `Detection`.
    """
    rows = np.where(rows[:, 2:] >= LEAST_VISIBILITY, rows, 0)
    present = rows[:, 2] > 0
    with np.errstate(over="ignore", invalid="ignore"):  # depths that are not finite are left out
        if world is not None:
            size = pixels_per_metre(rows, world)
            depths = size * world[:, 2]
        elif present[TRUNK_ENDS].all():
            hips, shoulders = np.column_stack([rows[:, :2], depths])[TRUNK_ENDS].mean(1)
            size = float(np.linalg.norm(shoulders - hips)) / TRUNK
        else:
            size = np.nan
        found = np.column_stack([-depths, np.full(len(rows), SPREAD * size)])
    found[~present] = np.nan
    known = size > 0 and np.isfinite(found[present]).all()
    return Detection(rows=rows, picture=picture, camera=camera, depths=found if known else None)


def _is_landmark(value: Any) -> bool:
    if isinstance(value, dict):
        return "x" in value and "y" in value
    return (
        isinstance(value, list)
        and len(value) in (3, 4, 5)
        and not isinstance(value[0], list | dict)
    )


def _is_tensorflow(value: Any) -> bool:
    points = value.get(PIXELS) if isinstance(value, dict) else None
    return isinstance(points, list) and bool(points) and isinstance(points[0], dict)


def _is_picture(content: Any) -> bool:
    """Whether it is what a file has of one picture."""
    if isinstance(content, list) and content:
        first = content[0]
        people = isinstance(first, list) and bool(first) and _is_landmark(first[0])
        return people or _is_tensorflow(first) or _is_landmark(first)
    if not isinstance(content, dict):
        return False
    return any(key in content for key in (*SHARES, INSIDE)) or _is_tensorflow(content)


def _people(content: Any, picture: str, where: str, pictures: Pictures) -> list[Detection]:
    """The people of one picture."""
    if isinstance(content, dict) and _is_tensorflow(content):
        content = [content]
    if isinstance(content, list) and _is_tensorflow(content[0]):
        return [
            _in_pixels(person, picture, f"{where}: person {number}")
            for number, person in enumerate(content)
        ]
    if isinstance(content, list):
        content = {SHARES[0]: content}
    elif INSIDE in content:
        content = content | {SHARES[0]: content}
    shares = _lists(content, SHARES)
    metres = _lists(content, METRES)
    if metres and len(metres) != len(shares):
        raise UserError(f"{where}: has {len(shares)} people, and {len(metres)} in metres")
    size = _size(content, picture, where, pictures) if shares else None
    if size is None:  # nobody, or people of a picture that does not matter
        return []
    found = []
    for number, person in enumerate(shares):
        here = f"{where}: person {number}"
        values = _landmarks(person, here)
        if 2 * (np.abs(values[:, :2]) > FARTHEST).any(1).sum() > len(values):
            raise UserError(
                f"{here}: x and y are not shares of the picture's sides, as MediaPipe writes them"
            )
        rows = checked_rows(values[:, [0, 1, 3]] * [*size, 1], here)
        world = _landmarks(metres[number], here)[:, :3] if metres else None
        found.append(
            detection(
                rows,
                values[:, 2] * size[0],
                world,
                picture=picture,
                camera=Camera(picture_size=size),
            )
        )
    return found


def _in_pixels(person: Any, picture: str, where: str) -> Detection:
    """A person of TensorFlow.js."""
    if not _is_tensorflow(person):
        raise UserError(f"{where}: is not an object with 'keypoints'")
    values = _landmarks(person[PIXELS], where)
    metres = person.get(PIXELS_METRES)
    world = None if metres is None else _landmarks(metres, where)[:, :3]
    rows = checked_rows(values[:, [0, 1, 3]], where)
    return detection(rows, np.full(len(rows), np.nan), world, picture=picture)


def _lists(content: dict[str, Any], names: tuple[str, ...]) -> list[Any]:
    """The list of each person under the first of these names; none if it is empty or missing."""
    value: Any = next((content[name] for name in names if content.get(name)), [])
    if isinstance(value, dict) or (isinstance(value, list) and value and _is_landmark(value[0])):
        return [value]
    return value if isinstance(value, list) else [value]


def _landmarks(value: Any, where: str) -> np.ndarray:
    """(33, 4) x, y, z, visibility; z is NaN where it is missing, and visibility 1."""
    if isinstance(value, dict):
        value = value.get(INSIDE)
    if not isinstance(value, list) or len(value) != len(BLAZEPOSE_33):
        count = f"{len(value)} of them" if isinstance(value, list) else "none"
        raise UserError(f"{where}: expected a list of {len(BLAZEPOSE_33)} landmarks, got {count}")
    found = np.empty((len(value), 4))
    for place, point in enumerate(value):
        if isinstance(point, dict):
            seen = point.get("visibility", point.get("score", 1))
            point = [point.get("x"), point.get("y"), point.get("z"), seen]
        here = f"{where}: landmark {place}"
        row = numbers({"x, y, z": point}, "x, y, z", here, absent=True)
        if not 3 <= len(row) <= 5:  # [x, y, z], visibility, presence
            raise UserError(f"{here}: expected x, y, z, visibility")
        found[place] = row[:4] if len(row) > 3 else [*row, 1]
    return found


def _size(
    content: dict[str, Any], picture: str, where: str, pictures: Pictures
) -> tuple[int, int] | None:
    """Width and height of a picture, by the file or by the picture itself.

    None: it is another picture than the one that matters.
    """
    for names in SIZES:
        if all(name in content for name in names):
            sides = numbers({"size": [content[name] for name in names]}, "size", where, 2)
            if not ((sides > 0) & (sides <= LARGEST_SIDE) & (sides % 1 == 0)).all():
                raise UserError(f"{where}: {' and '.join(names)} are not a picture's")
            return int(sides[0]), int(sides[1])
    if pictures.folder is None:
        raise UserError(
            f"{where}: its landmarks are shares of a picture whose size is not known; give the "
            "pictures (--images), or write width and height beside the landmarks"
        )
    return pictures.size(picture, where)
