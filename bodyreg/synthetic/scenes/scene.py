"""A picture to be made: who is in it, what stands before them, and the seed of everything else."""

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
        number: Which of its data set, from 0.
        width, height: Pixels.
        figures: The people, far to near: a nearer one covers those behind wholly.
        seed: For `numpy.random.default_rng`: of everything random about the picture's look.
        occluders: Objects before everybody.
        ids: What the data set calls each of the figures in this picture.
        subject: Who it is, where people appear more than once; else "".
        camera: Which camera it is, where cameras have names; else "".
        plain: Nothing but a backdrop is behind everybody.
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
    """All pictures of a data set; any of them can be made alone, and is the same every time."""

    name: str
    seed: int

    def __len__(self) -> int: ...

    def scene(self, body: Body, number: int) -> Scene:
        """Picture `number`, with people made from a template."""
        ...


def seeded(scenes: Scenes, purpose: str, *numbers: int) -> np.random.Generator:
    """Random numbers for one purpose, which no other purpose of these scenes shares.

    Args:
        scenes: Whose seed and name are meant.
        purpose: A word.
        *numbers: Of the picture, the person, ...
    """
    words = [int.from_bytes(word.encode(), "big") for word in (scenes.name, purpose)]
    return np.random.default_rng([scenes.seed, *words, *numbers])
