"""Crowds: pictures of one to three people on level ground, near and far, some cut by the frame."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from bodyreg.body import Body
from bodyreg.synthetic.cameras import WeakPerspective, sample_view
from bodyreg.synthetic.figure import Figure, extent, make_figure
from bodyreg.synthetic.motions.actions import ACTIONS
from bodyreg.synthetic.motions.performance import MadeMotions, Motions
from bodyreg.synthetic.people import sample_person
from bodyreg.synthetic.places.occluders import Occluder, sample_occluders
from bodyreg.synthetic.scenes.scene import Scene, seeded

PEOPLE_PER_PICTURE = (1, 3)
# Height of a person over the picture's height: of whole people, and in the share of pictures that
# cut people off.
WHOLE, CUT, CUT_SHARE = (0.5, 0.95), (1.0, 1.3), 0.3
# Sitting and crouching people are scaled as if they were this tall, metres.
SHORTEST = 1.1
# Standard deviation of the logarithm of a person's scale relative to the nearest person.
FARTHER_SD = 0.25
# Height of the camera above the ground, metres: it sets how much higher in the picture the feet of
# farther people are.
EYE = (0.9, 1.8)
# Half of the people are seen from any side, the other half within this yaw of the front, degrees.
FRONT_YAW = 60.0
# Free space between whole people and the picture's border, over the picture's side.
MARGIN = 0.02
# Most steps that bring people who are seen from near back into the picture.
APPROACHES = 5

# An object that covers a larger share of a person's joints is left out.
HIDDEN = 0.6


class Crowd:
    """Pictures of a crowd; each picture is made without the others.

    Person i of a seed and its motion do not depend on the other people.

    Args:
        people: Number of people in all pictures together.
        seed: Seed of everything random.
        size: The pictures' side in pixels.
        motions: Where the people's motions come from.
        distance: Metres from the camera to the nearest person of a picture, the least and the
            largest; None for distant cameras without perspective.
    """

    name = "crowd"

    def __init__(
        self,
        people: int,
        seed: int,
        size: int,
        motions: Motions | None = None,
        distance: tuple[float, float] | None = None,
    ) -> None:
        self.people, self.seed, self.size = people, seed, size
        self.motions, self.distance = motions or MadeMotions(), distance
        low, high = PEOPLE_PER_PICTURE
        sizes = seeded(self, "groups").integers(low, high + 1, people)
        stops = np.cumsum(sizes)
        pictures = int(np.searchsorted(stops, people)) + 1
        self._start = np.minimum(np.concatenate([[0], stops[:pictures]]), people)

    def __len__(self) -> int:
        return len(self._start) - 1

    def scene(self, body: Body, number: int) -> Scene:
        """Picture `number`, with people made from the template `body`."""
        random = seeded(self, "places", number)
        view = sample_view(random, widest=0)
        numbers = range(self._start[number], self._start[number + 1])
        figures = _place(
            [self._figure(body, view, n) for n in numbers], self.size, random, self.distance
        )
        boxes = np.array([_box(figure) for figure in figures])
        objects = sample_occluders(random, self.size, self.size, boxes)
        return Scene(
            number=number,
            width=self.size,
            height=self.size,
            figures=figures,
            seed=[self.seed, number],
            occluders=[o for o in objects if not any(_hides(o, f) for f in figures)],
            ids=[figure.person.number + 1 for figure in figures],
        )

    def _figure(self, body: Body, view: np.ndarray, number: int) -> Figure:
        person = sample_person(body, self.seed, number)
        random = seeded(self, "people", number)
        shown = self.motions.perform(person, ACTIONS, random, 1)
        widest = FRONT_YAW if number % 2 else 180
        yaw = Rotation.from_euler("y", random.uniform(-widest, widest), degrees=True).as_matrix()
        nowhere = WeakPerspective(1, np.zeros(2))
        rotation = view @ yaw @ shown.turn[0]
        return make_figure(person, shown.action, shown.pose[0], rotation, view[:, 1], nowhere)


def _place(
    figures: list[Figure],
    size: int,
    random: np.random.Generator,
    distance: tuple[float, float] | None,
) -> list[Figure]:
    """Put people side by side on level ground; returns them far to near."""
    is_cut = random.random() < CUT_SHARE
    extents = np.array([extent(figure.vertices[:, :2]) for figure in figures])
    low, high = extents[:, 0], extents[:, 1]
    width, height = (high - low).T
    tall = np.maximum(height, SHORTEST)

    nearest = random.uniform(*(CUT if is_cut else WHOLE)) * size / tall[0]
    farther = np.abs(random.normal(0, FARTHER_SD, len(figures)))
    farther[0] = 0
    scale = np.clip(
        nearest * np.exp(-farther),
        WHOLE[0] * size / tall,
        (CUT if is_cut else WHOLE)[1] * size / tall,
    )

    margin = MARGIN * size
    if is_cut:
        # Mostly the legs are cut off, sometimes the head.
        top = random.uniform(0, 0.1) * size
        feet = random.uniform(0.9, 1) * size if random.random() < 0.25 else top + nearest * tall[0]
    else:
        feet = random.uniform(min(margin + nearest * tall[0], size - margin), size - margin)
    ground = feet - random.uniform(*EYE) * (scale[0] - scale)
    slots = random.permutation(len(figures)) + 0.5 + random.uniform(-0.3, 0.3, len(figures))
    middle = slots / len(figures) * size
    if not is_cut:
        ground = np.maximum(ground, margin + scale * height)
        half = np.minimum(scale * width / 2 + margin, size / 2)
        middle = np.clip(middle, half, size - half)

    pelvis = np.stack([middle - scale * (low + high)[:, 0] / 2, ground + scale * low[:, 1]], 1)
    placed = [
        replace(figure, camera=WeakPerspective(float(s), p))
        for figure, s, p in zip(figures, scale, pelvis, strict=True)
    ]
    placed = [placed[i] for i in np.argsort(scale, kind="stable")]
    if distance is None:
        return placed
    return _approached(placed, random.uniform(*distance), size, 0 if is_cut else margin)


def _approached(figures: list[Figure], distance: float, size: int, margin: float) -> list[Figure]:
    """The same people before a near camera, at the scales of their distant ones.

    What is near looks larger, so people may leave the picture. With a margin, they are moved and
    made smaller until they do not.

    Args:
        figures: People far to near, with distant cameras.
        distance: From the camera to the nearest pelvis, metres.
        size: The picture's side, pixels.
        margin: Free space around each person, pixels; 0 leaves people where they are.
    """
    for _ in range(APPROACHES):
        focal = distance * figures[-1].camera.weak().pixels_per_metre
        near = [
            replace(f, camera=f.camera.weak().near(focal, np.full(2, size / 2))) for f in figures
        ]
        extents = np.array([extent(figure.project(figure.vertices)[:, :2]) for figure in near])
        low, high = extents[:, 0], extents[:, 1]
        fits = (low >= 0).all() and (high <= size).all()
        if not margin or fits:
            break
        zoom = min(1.0, float(((size - 2 * margin) / (high - low)).min()))
        figures = []
        for figure, lowest, highest in zip(near, low, high, strict=True):
            weak = figure.camera.weak()
            lowest, highest = (
                weak.pelvis + zoom * (end - weak.pelvis) for end in (lowest, highest)
            )
            pelvis = weak.pelvis + np.maximum(margin - lowest, 0)
            pelvis -= np.maximum(highest - (size - margin), 0)
            camera = WeakPerspective(zoom * weak.pixels_per_metre, pelvis)
            figures.append(replace(figure, camera=camera))
    return near


def _hides(occluder: Occluder, figure: Figure) -> bool:
    """Whether an object covers so much of a person that the person cannot be recognised."""
    outline = occluder.polygon.astype(np.float32)
    joints = figure.project(figure.joints)[:, :2]
    covered = [cv2.pointPolygonTest(outline, xy, False) >= 0 for xy in joints.tolist()]
    return bool(np.mean(covered) > HIDDEN)


def _box(figure: Figure) -> np.ndarray:
    """(4,) x, y, width, height of a whole person in picture pixels, also outside of the picture."""
    low, high = extent(figure.project(figure.vertices)[:, :2])
    return np.concatenate([low, high - low])
