"""What a format is asked for: which pictures it has, what it says of each, and files of it all."""

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
from bodyreg.synthetic.observe import Noise, Sight
from bodyreg.synthetic.pieces import Piece, Pieces
from bodyreg.synthetic.scenes.scene import Scene, Scenes, seeded


@dataclass(frozen=True)
class Recipe:
    """What is to be made.

    Attributes:
        people: How many, in each format.
        seed: Of everything random.
        size: Side of a crowd's pictures, pixels.
        noise: How far annotations lie from the truth.
    """

    people: int
    seed: int
    size: int = 256
    noise: Noise = field(default_factory=Noise)


@dataclass(frozen=True, eq=False)
class Shot:
    """One picture, and all that is known of it."""

    recipe: Recipe
    scenes: Scenes
    body: Body
    scene: Scene
    layout: Layout
    sights: list[Sight]

    def random(self, purpose: str) -> np.random.Generator:
        """Random numbers for one purpose."""
        return seeded(self.scenes, purpose, self.scene.number)


@dataclass(frozen=True, eq=False)
class Goal:
    """Where the files of a whole data set go, and what they say of themselves.

    Attributes:
        folder: Of the data set.
        within: A folder for temporary files, on the same disk.
        recipe, scenes, body: What was made, and from whom.
        facts: What made it, as `files.provenance` says.
    """

    folder: Path
    within: Path
    recipe: Recipe
    scenes: Scenes
    body: Body
    facts: dict[str, Any]

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """A file of the folder to be written: it is there when it is whole."""
        path = self.folder / name
        with (
            atomic_path(path, within=self.within) as temporary,
            temporary.open("wb") as stream,
        ):
            yield stream

    def save_truth(self, pieces: Pieces, ids: np.ndarray | None = None) -> int:
        """Write truth.npz; returns how many people there are."""
        return pieces.save_truth(
            self.folder / "truth.npz",
            within=self.within,
            body=self.body.fingerprint,
            ids=ids,
            provenance=json.dumps(self.facts),
        )


class Format(Protocol):
    """One data set's layout on disk. Formats of equal scenes share their pictures."""

    name: str

    def scenes(self, recipe: Recipe) -> Scenes:
        """The pictures."""
        ...

    def picture(self, shot: Shot) -> str:
        """Where a picture lies in the data set's folder."""
        ...

    def files(self, shot: Shot) -> dict[str, bytes]:
        """Further files about one picture: where they lie, and what they hold."""
        ...

    def describe(self, shot: Shot) -> Piece:
        """What one picture adds to the files of the whole."""
        ...

    def join(self, goal: Goal, pieces: Pieces) -> int:
        """Write the files of the whole; returns how many people there are."""
        ...
