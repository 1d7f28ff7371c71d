"""A picture to be made: who is in it, what stands before them, and the seed of everything else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bodyreg.synthetic.figure import Figure
    from bodyreg.synthetic.occluders import Occluder


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture.

    Attributes:
        number: Which of its data set, from 0.
        width, height: Pixels.
        figures: The people, far to near: a nearer one covers those behind wholly.
        seed: For `numpy.random.default_rng`: of everything random about the picture's look.
        occluders: Objects before everybody.
    """

    number: int
    width: int
    height: int
    figures: list[Figure]
    seed: list[int]
    occluders: list[Occluder] = field(default_factory=list)
