"""Made people for the experiments: pictures as crops, annotations and truth, kept in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.experiments.clock import Tell
from bodyreg import Body, Observations
from bodyreg.data import Fits, Truth, read_densepose_coco
from bodyreg.data.crops import crop
from bodyreg.data.frames import corners
from bodyreg.metrics import true_joints
from bodyreg.npz import load_npz, save_npz
from bodyreg.regression import Album
from bodyreg.regression.views import MARGIN
from bodyreg.synthetic.cameras import Perspective
from bodyreg.synthetic.dataset import Picture, stack, truth_of
from bodyreg.synthetic.formats.densepose_coco import file_name, write_densepose_coco
from bodyreg.synthetic.layout import lay_out
from bodyreg.synthetic.observe import Noise, annotate, see
from bodyreg.synthetic.render import render
from bodyreg.synthetic.scenes.crowd import Crowd
from bodyreg.synthetic.scenes.scene import Scene, Scenes, seeded
from bodyreg.synthetic.scenes.takes import Takes

PICTURES = 128
"""Of a block."""

CROWD_SIDE = 192
"""Pixels of a crowd's pictures; two thirds of the people fill half of them."""

SHRUNK = 4
"""Times that a studio's pictures of 1000 pixels are shrunk: the network's are of 64 pixels."""


@dataclass(frozen=True)
class People:
    """A set of people.

    Attributes:
        kind: `crowd`, like COCO: far cameras, any person, any action, things and people in front.
            `studio`, like Human3.6M: four near cameras, seven adults, fifteen actions.
        count: How many; a few who are hidden are left out.
        seed: Of their looks, poses and pictures. Another seed has other people.
    """

    kind: str
    count: int
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.kind}_{self.count}_{self.seed}"

    def scenes(self) -> Scenes:
        """Its pictures."""
        if self.kind == "crowd":
            return Crowd(self.count, self.seed, CROWD_SIDE)
        return Takes(self.count, self.seed)

    def blocks(self, folder: Path) -> Iterator[tuple[Path, range]]:
        """The folders of its blocks, and the numbers of their pictures."""
        count = len(self.scenes())
        for number, first in enumerate(range(0, count, PICTURES)):
            path = folder / self.name / f"{number:04}"
            yield path, range(first, min(first + PICTURES, count))


def make(
    people: People,
    side: int,
    folder: Path,
    *,
    truth: bool = False,
    tell: Tell = print,
) -> None:
    """Make the blocks that are not there yet.

    Args:
        people: Who.
        side: Pixels of a network's pictures.
        folder: Gets a folder of the set's name.
        truth: Whether to keep the whole truth, not only joints.
        tell: Is told of progress.
    """
    body, scenes, noise = Body.default(), people.scenes(), Noise()
    blocks = list(people.blocks(folder))
    for done, (path, numbers) in enumerate(blocks):
        if (path / "album.npz").exists():
            continue
        pictures, shown, rows = [], {}, []
        for number in numbers:
            scene = scenes.scene(body, number)
            scene = scene if people.kind == "crowd" else shrunk(scene)
            layout = lay_out(scene)
            sights, random = see(scene, layout), seeded(scenes, "annotations", number)
            annotations = [annotate(body, layout, sight, noise, random) for sight in sights]
            pictures.append(Picture.of(scene, annotations))
            shown[file_name(number + 1)] = render(scene)
            rows += [truth_of(scene, sight) for sight in sights]
        path.mkdir(parents=True, exist_ok=True)
        write_densepose_coco(path / "people.json", pictures, body.charts.name)
        seen, _ = read_densepose_coco(path / "people.json", body)
        true = Truth(**stack(rows), body=body.fingerprint)
        row = {person: place for place, person in enumerate(true.id.tolist())}
        true = true.select(np.array([row[person] for person in seen.id.tolist()]))
        if truth:
            true.save(path / "truth.npz")
        seen.with_depths(None).save(path / "people.npz")
        as_fits(true).save(path / "fits.npz")
        pixels = round(MARGIN * side)
        wide = seen.frame * np.array([1, 1, MARGIN], np.float32)
        crops = [
            crop(shown[name], *corners(frame), pixels)[..., ::-1]
            for name, frame in zip(seen.picture.tolist(), wide, strict=True)
        ]
        save_npz(
            path / "album.npz",
            crops=np.stack(crops).transpose(0, 3, 1, 2),
            joints=true_joints(true, body),
        )
        tell(f"{people.name}: block {done + 1} of {len(blocks)}")


def shrunk(scene: Scene) -> Scene:
    """A studio's scene in a picture with fewer pixels."""

    def smaller(camera: Perspective) -> Perspective:
        return Perspective(camera.focal / SHRUNK, camera.centre / SHRUNK, camera.pelvis)

    figures = [replace(figure, camera=smaller(figure.camera)) for figure in scene.figures]
    width, height = (-(-pixels // SHRUNK) for pixels in (scene.width, scene.height))
    return replace(scene, width=width, height=height, figures=figures)


def as_fits(true: Truth) -> Fits:
    """The true pose, segment scales and camera, on a body of the template's shape."""
    names = ("id", "frame", "pose", "segment_scale", "rotation", "scale", "translation")
    arrays = {name: getattr(true, name) for name in (*names, "focal", "principal_point")}
    return Fits(**arrays)


def true_fits(people: People, folder: Path) -> Fits:
    """`as_fits` of a set, in the order of `album`."""
    return Fits.concatenate([Fits.load(path / "fits.npz") for path, _ in people.blocks(folder)])


def album(people: People, folder: Path) -> Album:
    """What `make` has made of a set."""
    seen, crops, joints = [], [], []
    for path, _ in people.blocks(folder):
        arrays = load_npz(path / "album.npz", kind="album")
        crops.append(torch.from_numpy(arrays["crops"]))
        joints.append(arrays["joints"])
        seen.append(Observations.load(path / "people.npz"))
    return Album(Observations.concatenate(seen), torch.cat(crops), np.concatenate(joints))


def truths(people: People, folder: Path) -> list[Truth]:
    """The whole truth of a set, block by block, in the order of `album`."""
    return [Truth.load(path / "truth.npz") for path, _ in people.blocks(folder)]
