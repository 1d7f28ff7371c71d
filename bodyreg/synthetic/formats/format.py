"""The interface of a format: its pictures, its data about each picture, and its final files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from bodyreg.body import Body
from bodyreg.files import atomic_path
from bodyreg.synthetic.layout import Layout
from bodyreg.synthetic.motions.performance import MadeMotions, Motions
from bodyreg.synthetic.observe import Noise, Sight
from bodyreg.synthetic.pieces import Piece, Pieces
from bodyreg.synthetic.scenes.scene import Scene, Scenes, seeded


@dataclass(frozen=True)
class Recipe:
    """Parameters of a data set.

    Attributes:
        people: Number of people in each format.
        seed: Seed of everything random.
        size: Side of a crowd's pictures, pixels.
        noise: Noise of the annotations.
        motions: Where the people's motions come from.
        distance: Distances of a crowd's cameras, as of `Crowd`.
    """

    people: int
    seed: int
    size: int = 256
    noise: Noise = field(default_factory=Noise)
    motions: Motions = field(default_factory=MadeMotions)
    distance: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Shot:
    """One picture, and everything that is known about it."""

    recipe: Recipe
    scenes: Scenes
    body: Body
    scene: Scene
    layout: Layout
    sights: list[Sight]

    def random(self, purpose: str) -> np.random.Generator:
        """Random numbers of this picture for one purpose."""
        return seeded(self.scenes, purpose, self.scene.number)


@dataclass(frozen=True, eq=False)
class Destination:
    """Where the files of a whole data set go, and their provenance.

    Attributes:
        folder: The data set's folder.
        within: A folder for temporary files, on the same disk.
        recipe, scenes, body: The parameters, pictures and template of the data set.
        facts: From `files.provenance`.
    """

    folder: Path
    within: Path
    recipe: Recipe
    scenes: Scenes
    body: Body
    facts: dict[str, Any]

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file of the folder for writing; it appears once it is complete."""
        path = self.folder / name
        with (
            atomic_path(path, within=self.within) as temporary,
            temporary.open("wb") as stream,
        ):
            yield stream

    def save_truth(self, pieces: Pieces, ids: np.ndarray | None = None) -> int:
        """Write truth.npz; returns the number of people."""
        return pieces.save_truth(
            self.folder / "truth.npz",
            within=self.within,
            body=self.body.fingerprint,
            ids=ids,
            provenance=json.dumps(self.facts),
        )


def ids_of_shown(shown: np.ndarray) -> np.ndarray:
    """Ids of people (N,) of whom only some (N,) bool are in a file that numbers them from 0.

    The others have the numbers that follow.
    """
    ids = np.empty(len(shown), np.int64)
    ids[shown] = np.arange(shown.sum())
    ids[~shown] = shown.sum() + np.arange((~shown).sum())
    return ids


class Format(Protocol):
    """The layout of one data set on disk. Formats with equal scenes share their pictures."""

    name: str

    def scenes(self, recipe: Recipe) -> Scenes:
        """The pictures."""
        ...

    def picture(self, shot: Shot) -> str:
        """Path of a picture in the data set's folder."""
        ...

    def files(self, shot: Shot) -> dict[str, bytes]:
        """Further files about one picture: path -> content."""
        ...

    def describe(self, shot: Shot) -> Piece:
        """What one picture adds to the final files."""
        ...

    def join(self, destination: Destination, pieces: Pieces) -> int:
        """Write the final files; returns the number of people."""
        ...
