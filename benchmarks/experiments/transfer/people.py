"""Made people for the experiments: five pictures of each before white, joints, bodies, fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks import flow
from benchmarks.experiments.clock import Tell
from bodyreg import Body, Fits, Observations, RegistrationConfig, register
from bodyreg.data import Truth
from bodyreg.npz import load_npz, save_npz
from bodyreg.synthetic.render import render_alone
from bodyreg.synthetic.scenes.catalogue import Catalogue

PEOPLE = "people"
"""Name of their folder in that of the experiments."""

Bodies = Literal["fits", "dense", "truth"]
"""By which bodies people are painted: those registered to noisy joints, those registered to dense
points and noisy joints, or their true ones."""

IN_BLOCK = 25
"""People of a block."""


@dataclass(frozen=True)
class People:
    """A set of people, each in five views of a catalogue.

    Attributes:
        count: How many.
        seed: Of their looks, clothes and poses. Another seed has other people.
    """

    count: int
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"people_{self.count}_{self.seed}"

    @property
    def scenes(self) -> Catalogue:
        """Its pictures."""
        return flow.catalogue(self.count, self.seed)

    def blocks(self, folder: Path) -> Iterator[tuple[Path, range]]:
        """The folders of its blocks, and the numbers of their pictures."""
        pictures = self.count * flow.VIEWS
        for number, first in enumerate(range(0, pictures, IN_BLOCK * flow.VIEWS)):
            path = folder / PEOPLE / self.name / f"{number:04}"
            yield path, range(first, min(first + IN_BLOCK * flow.VIEWS, pictures))

    def pairs(self, of_each: int) -> np.ndarray:
        """(P, 2) int64 positions of source and target: so many of each person's twenty pairs."""
        some = flow.pairs_of(self.count * flow.VIEWS).reshape(self.count, -1, 2)
        random = np.random.default_rng(self.seed)
        order = random.permuted(np.tile(np.arange(some.shape[1]), (self.count, 1)), axis=1)
        return np.take_along_axis(some, order[:, :of_each, None], 1).reshape(-1, 2)


def make(people: People, side: int, folder: Path, tell: Tell) -> None:
    """Make the blocks that are not there yet.

    Args:
        people: Who.
        side: Pixels of the pictures that painters see.
        folder: Of the experiments.
        tell: Is told of progress.
    """
    body, config = Body.default(), RegistrationConfig.preset("accurate")
    blocks, scenes = list(people.blocks(folder)), people.scenes
    for done, (path, numbers) in enumerate(blocks):
        if (path / "pictures.npz").exists():
            continue
        path.mkdir(parents=True, exist_ok=True)
        made = flow.make(scenes, numbers)
        made.truth.save(path / "truth.npz")
        made.points.save(path / "points.npz")
        evidence = {"fits": flow.joints_alone(made.noisy), "dense": made.points}
        for name, some in evidence.items():
            register(body, some, config).save(path / f"{name}.npz")
        pictures = [before_white(scenes, number, side) for number in numbers]
        save_npz(
            path / "pictures.npz",
            joints=made.joints,
            noisy=made.noisy,
            pictures=np.stack([picture for picture, _ in pictures]).transpose(0, 3, 1, 2),
            shares=np.stack([share for _, share in pictures]),
        )
        tell(f"{people.name}: block {done + 1} of {len(blocks)}")


def before_white(scenes: Catalogue, number: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A person alone: (side, side, 3) uint8 red, green, blue, and (side, side) their share."""
    person, _ = scenes.place(number)
    scene = replace(scenes.scene(Body.default(), number), seed=[scenes.seed, person])
    picture, share = (
        cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA) for part in render_alone(scene)
    )
    return picture[..., ::-1], share


@cache
def load(people: People, folder: Path) -> flow.People:
    """Bodies and joints that `make` has made."""
    paths = [path for path, _ in people.blocks(folder)]
    seen = [load_npz(path / "pictures.npz", kind="pictures") for path in paths]
    return flow.People(
        Truth.concatenate([Truth.load(path / "truth.npz") for path in paths]),
        *(np.concatenate([arrays[name] for arrays in seen]) for name in ("joints", "noisy")),
        Observations.concatenate([Observations.load(path / "points.npz") for path in paths]),
    )


def fits(people: People, folder: Path, bodies: Bodies = "fits") -> Fits:
    """Registered bodies."""
    paths = [path / f"{bodies}.npz" for path, _ in people.blocks(folder)]
    return Fits.concatenate([Fits.load(path) for path in paths])


def pictures(people: People, folder: Path) -> tuple[Tensor, np.ndarray]:
    """(N, 3, side, side) uint8 red, green, blue, and (N, side, side) bool, what shows a person."""
    seen = [load_npz(path / "pictures.npz", kind="pictures") for path, _ in people.blocks(folder)]
    found = [np.concatenate([arrays[name] for arrays in seen]) for name in ("pictures", "shares")]
    return torch.from_numpy(found[0]), found[1] > 0.5
