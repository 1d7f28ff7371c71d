"""Crowds with annotations and truth, in memory, without rendered pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from bodyreg.body import Body
from bodyreg.data.truth import Truth
from bodyreg.synthetic.layout import lay_out
from bodyreg.synthetic.motions.performance import Motions
from bodyreg.synthetic.observe import Annotation, Noise, Sight, annotate, see
from bodyreg.synthetic.scenes.crowd import Crowd
from bodyreg.synthetic.scenes.scene import Scene, seeded

SIZE = 256


@dataclass(eq=False)
class Picture:
    """A picture of width x height pixels, and the people in it.

    Attributes:
        focal: The camera's focal length, pixels; inf for a distant camera. Its principal point is
            the picture's middle.
    """

    id: int
    width: int
    height: int
    focal: float
    annotations: list[Annotation]

    @classmethod
    def of(cls, scene: Scene, annotations: list[Annotation]) -> Picture:
        """The picture of a scene of a crowd."""
        camera = scene.figures[0].camera
        focal = float(camera.focal.mean()) if camera.perspective else math.inf
        return cls(scene.number + 1, scene.width, scene.height, focal, annotations)


def make_dataset(
    body: Body,
    count: int,
    seed: int,
    noise: Noise | None = None,
    *,
    motions: Motions | None = None,
    distance: tuple[float, float] | None = None,
    progress: bool = False,
) -> tuple[list[Picture], Truth]:
    """Make people and their annotations in pictures. The same seed makes the same people.

    Args:
        body: The template, with charts.
        count: Number of people.
        seed: Seed of everything random.
        noise: Noise of the annotations.
        motions, distance: As of `Crowd`.
        progress: Show a progress bar.

    Returns:
        The pictures, and the truth of all people in them, both in order of ids. Ids run from 1 to
        `count`; fully hidden people are left out.
    """
    noise, crowd = noise or Noise(), Crowd(count, seed, SIZE, motions, distance)
    pictures, rows = [], []
    with tqdm(total=count, desc="making people", unit="person", disable=not progress) as bar:
        for number in range(len(crowd)):
            scene = crowd.scene(body, number)
            layout = lay_out(scene)
            sights = see(scene, layout)
            random = seeded(crowd, "annotations", number)
            annotations = [annotate(body, layout, sight, noise, random) for sight in sights]
            pictures.append(Picture.of(scene, annotations))
            rows += [truth_of(scene, sight) for sight in sights]
            bar.update(len(scene.figures))
    return pictures, Truth(**stack(rows), body=body.fingerprint)


def truth_of(scene: Scene, sight: Sight) -> dict[str, np.ndarray]:
    """One person's row of every array of `Truth`."""
    figure = sight.figure
    floats = {
        "frame": sight.frame,
        "pose": figure.pose,
        "segment_scale": figure.person.segment_scale,
        "shape": figure.person.shape,
        "rotation": figure.rotation,
        "scale": sight.scale,
        "translation": sight.translation,
        "vertices": figure.vertices,
        "joints": figure.joints,
        "cut": sight.cut,
        "occluded": sight.occluded,
    }
    if figure.camera.perspective:
        # Its pixels are not quite square. One focal length for both axes displaced the vertices of
        # forty people by 0.04 pixels in the mean, and by 0.2 at most.
        floats |= {"focal": figure.camera.focal.mean(), "principal_point": figure.camera.centre}
    return {
        "id": np.int64(sight.id),
        **{name: np.asarray(value, np.float32) for name, value in floats.items()},
        "visible": sight.visible,
        "action": np.str_(figure.action),
        "subject": np.str_(scene.subject),
        "camera": np.str_(scene.camera),
        "child": np.bool_(figure.person.child),
    }


def stack(rows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Stack rows of the same arrays, in order."""
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
