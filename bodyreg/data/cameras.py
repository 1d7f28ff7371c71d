"""What is known of the cameras of pictures: in files, and by an option."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from bodyreg.data.frames import SHORTEST_FOCAL
from bodyreg.errors import UserError

if TYPE_CHECKING:
    from bodyreg.data.observations import Observations

FULL_FRAME = math.hypot(36, 24)
"""The diagonal of 35-mm film, to which focal lengths in millimetres refer."""


class Camera(NamedTuple):
    """What is known of the camera of one picture; as the arrays of `Observations`."""

    focal: float = math.nan
    principal_point: tuple[float, float] = (math.nan, math.nan)
    picture_size: tuple[int, int] = (0, 0)


def arrays_of(cameras: Sequence[Camera]) -> dict[str, np.ndarray | None]:
    """The arrays of `Observations` about N people's cameras; None where nothing is known of any."""
    people = len(cameras)
    with np.errstate(over="ignore"):  # the observations' check refuses infinity
        focal = np.array([camera.focal for camera in cameras], np.float32)
        point = np.array([camera.principal_point for camera in cameras], np.float32)
    size = np.array([camera.picture_size for camera in cameras], np.int32)
    return {
        "focal": focal if not np.isnan(focal).all() else None,
        "principal_point": point.reshape(people, 2) if not np.isnan(point).all() else None,
        "picture_size": size.reshape(people, 2) if size.any() else None,
    }


@dataclass(frozen=True)
class Focal:
    """A focal length that is told of all pictures.

    Attributes:
        length: In pixels, or in millimetres on 35-mm film, which cameras and EXIF name as the
            "35-mm equivalent".
        unit: px or mm.
    """

    length: float
    unit: Literal["px", "mm"]

    def __post_init__(self) -> None:
        if not (SHORTEST_FOCAL if self.unit == "px" else 0.1) <= self.length < math.inf:
            raise UserError(f"focal length {self.length:g}{self.unit} is too short or too long")

    @classmethod
    def of_text(cls, text: str) -> Focal:
        """Read "1145" or "1145px", pixels, or "35mm".

        Raises:
            UserError: the text is something else.
        """
        match = re.fullmatch(r"(\d+\.?\d*|\.\d+) ?(px|mm)?", text.strip())
        if match is None:
            raise UserError(f"'{text}' is no focal length; give pixels (1145) or 35mm")
        return cls(float(match[1]), "mm" if match[2] == "mm" else "px")

    def told_of(self, people: Observations, source: Any) -> Observations:
        """The same people, in pictures of this focal length.

        Args:
            people: The people.
            source: Their file, for messages.

        Raises:
            UserError: millimetres need the sizes of the pictures, and none is known.
        """
        length = np.full(len(people), self.length)
        if self.unit == "mm":
            size = people.picture_size
            if len(people) and (size is None or not size.all(axis=1).any()):
                raise UserError(
                    f"{source}: does not hold the sizes of pictures, which a focal length in "
                    "millimetres needs; give it in pixels (--focal 1145)"
                )
            length = self.length / FULL_FRAME * np.hypot(*size.T.astype(np.float64))
            length[~size.all(axis=1)] = np.nan
        return replace(people, focal=length)
