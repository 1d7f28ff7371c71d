"""A focal length that is told of all pictures, by an option of a command."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from bodyreg.errors import UserError

if TYPE_CHECKING:
    from bodyreg.data.observations import Observations

# NumPy is imported when it is used: options are made without it.

FULL_FRAME = math.hypot(36, 24)
"""The diagonal of 35-mm film, to which focal lengths in millimetres refer."""

SHORTEST = 1
"""Of either unit."""
WIDEST = 140
"""Degrees that the diagonal of a picture may be wide: no lens without a fish's eye is wider."""


def pixels_of_film(millimetres: float, width: Any, height: Any) -> Any:
    """A focal length on 35-mm film -> pixels, in pictures of these sizes; by their diagonals."""
    return millimetres / FULL_FRAME * (width**2 + height**2) ** 0.5


@dataclass(frozen=True)
class Focal:
    """A focal length.

    Attributes:
        length: In pixels, or in millimetres on 35-mm film, which cameras and EXIF name the "35-mm
            equivalent".
        unit: px or mm.
    """

    length: float
    unit: Literal["px", "mm"]

    def __post_init__(self) -> None:
        if not SHORTEST <= self.length < math.inf:
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

    def told_of(self, people: Observations) -> Observations:
        """The same people, in pictures of this focal length.

        In millimetres it is known only of pictures of known size.

        Raises:
            UserError: a picture would be wider than lenses are.
        """
        import numpy as np

        size = people.picture_size
        size = np.zeros((len(people), 2)) if size is None else size.astype(np.float64)
        length = np.full(len(people), self.length)
        if self.unit == "mm":
            length = np.where(size.all(axis=1), pixels_of_film(self.length, *size.T), np.nan)
        angle = np.nan_to_num(2 * np.degrees(np.arctan(np.hypot(*size.T) / 2 / length)))
        if (angle > WIDEST).any():
            width, height = size[angle.argmax()]
            raise UserError(
                f"a focal length of {self.length:g} {self.unit} would show {angle.max():.0f} "
                f"degrees in pictures of {width:.0f} x {height:.0f} pixels; give pixels (1145) or "
                "millimetres on 35-mm film (35mm)"
            )
        return replace(people, focal=length)
