"""AlphaPose's JSON in the forms of other tools; its own form is a list of COCO's results.

`--format cmu` and `open` write {picture: {version, bodies or people}}, and one file sep-json/NAME
for each picture with the inner object. `bodies` have `joints`, and `people` have OpenPose's
`pose_keypoints_2d`: x, y, confidence of COCO's 18 joints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bodyreg.data.detections import Detection, Pictures, from_indices
from bodyreg.data.json_files import keypoint_rows
from bodyreg.errors import UserError

BODIES = "bodies"
PEOPLE = "people"
KEYS = {BODIES: "joints", PEOPLE: "pose_keypoints_2d"}


def is_alphapose(content: Any) -> bool:
    """Whether the content of a file is one of the two forms, of a picture or of several."""
    if not isinstance(content, dict):
        return False
    return _is_picture(content) or (bool(content) and all(map(_is_picture, content.values())))


def _is_picture(content: Any) -> bool:
    """Whether it is what a file has of one picture."""
    version = content.get("version") if isinstance(content, dict) else None
    return isinstance(version, str) and version.startswith("AlphaPose")


def alphapose_people(content: dict[str, Any], path: Path, pictures: Pictures) -> list[Detection]:
    """The people of a file, in its order; arguments as of `mmpose_people`.

    Raises:
        UserError: the file is damaged, or the folder lacks a picture; the message says where.
    """
    if _is_picture(content):
        return _people(content, pictures.of_stem(path.stem), str(path))
    return [
        person
        for name, picture in content.items()
        for person in _people(picture, name, f"{path}: '{name}'")
    ]


def _people(content: dict[str, Any], picture: str, where: str) -> list[Detection]:
    kind = BODIES if BODIES in content else PEOPLE
    people = content.get(kind)
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise UserError(f"{where}: expected a list of '{BODIES}' or '{PEOPLE}'")
    return [
        Detection(
            rows=from_indices(keypoint_rows(person, KEYS[kind], f"{where}: person {number}")),
            picture=picture,
        )
        for number, person in enumerate(people)
    ]
