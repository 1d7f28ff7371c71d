"""A picture to render: its people, the objects in front, and the seed of everything else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.synthetic.figure import Figure
    from bodyreg.synthetic.places.occluders import Occluder


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture.

    Attributes:
        number: Index in the data set, from 0.
        width, height: Pixels.
        figures: The people, far to near: a nearer one covers all those behind it.
        seed: For `numpy.random.default_rng`: seed of the picture's appearance.
        occluders: Objects in front of all people.
        ids: The data set's id of each figure in this picture.
        subject: Name of the person, where people appear more than once; else "".
        camera: Name of the camera, where cameras have names; else "".
        plain: Whether the background is a plain backdrop.
    """

    number: int
    width: int
    height: int
    figures: list[Figure]
    seed: list[int]
    occluders: list[Occluder] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    subject: str = ""
    camera: str = ""
    plain: bool = False


class Scenes(Protocol):
    """All pictures of a data set; each can be made alone and is the same every time."""

    name: str
    seed: int

    def __len__(self) -> int: ...

    def scene(self, body: Body, number: int) -> Scene:
        """Picture `number`, with people made from the template `body`."""
        ...


def seeded(scenes: Scenes, purpose: str, *numbers: int) -> np.random.Generator:
    """A random generator of its own for one purpose of these scenes.

    Args:
        scenes: Gives the seed and the name.
        purpose: A word.
        *numbers: Numbers of the picture, the person, ...
    """
    words = [int.from_bytes(word.encode(), "big") for word in (scenes.name, purpose)]
    return np.random.default_rng([scenes.seed, *words, *numbers])
