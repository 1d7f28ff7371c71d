"""A data set of made people: pictures of one to three of them, side by side on level ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from bodyreg.body import Body
from bodyreg.data.truth import Truth
from bodyreg.synthetic.actions import ACTIONS
from bodyreg.synthetic.cameras import WeakPerspective, sample_view
from bodyreg.synthetic.figure import Figure, make_figure
from bodyreg.synthetic.observe import Annotation, Noise, annotate
from bodyreg.synthetic.people import sample_person
from bodyreg.synthetic.performance import perform

PEOPLE_PER_PICTURE = (1, 3)
# Size of people in a picture, pixels per metre, and how much it differs among them.
PIXELS_PER_METRE = (110, 190)
SIZE_SD = 0.08
# Half of the people are seen from anywhere, the others from the front.
FRONT_YAW = 60.0
# Free pixels round and between people.
MARGIN = 24


@dataclass(eq=False)
class Picture:
    """Width and height in pixels, and the people in it, left to right."""

    id: int
    width: int
    height: int
    annotations: list[Annotation]


def make_dataset(
    body: Body, count: int, seed: int, noise: Noise | None = None, *, progress: bool = False
) -> tuple[list[Picture], Truth]:
    """Make people, and pictures' annotations of them. The same seed makes the same people.

    Args:
        body: The template, with charts.
        count: How many people.
        seed: Of everything random.
        noise: How far annotations lie from the truth.
        progress: Show a progress bar.

    Returns:
        The pictures, people in order, and the truth of the people 1 to `count`.
    """
    noise = noise or Noise()
    pictures, people = [], []
    with tqdm(total=count, desc="making people", unit="person", disable=not progress) as bar:
        while len(people) < count:
            random = np.random.default_rng([seed, len(pictures), 2])
            size = random.integers(PEOPLE_PER_PICTURE[0], PEOPLE_PER_PICTURE[1] + 1)
            numbers = range(len(people), min(len(people) + size, count))
            group = [make_one(body, seed, number) for number in numbers]
            noises = [np.random.default_rng([seed, number, 1]) for number in numbers]
            pictures.append(_picture(body, group, len(pictures) + 1, noise, random, noises))
            people += group
            bar.update(len(group))
    annotations = [annotation for picture in pictures for annotation in picture.annotations]
    return pictures, _truth(body, people, annotations)


def make_one(body: Body, seed: int, number: int) -> Figure:
    """Person `number` of a seed doing something; even ones are seen from anywhere."""
    random = np.random.default_rng([seed, number, 3])
    person = sample_person(body, seed, number)
    action = str(random.choice(ACTIONS))
    performance = perform(person, action, random, 1)
    view = sample_view(random, 180.0 if number % 2 == 0 else FRONT_YAW)
    camera = WeakPerspective(1.0, np.zeros(2))
    rotation = view @ performance.turn[0]
    return make_figure(person, action, performance.pose[0], rotation, view[:, 1], camera)


def _picture(
    body: Body,
    group: list[Figure],
    number: int,
    noise: Noise,
    random: np.random.Generator,
    noises: list[np.random.Generator],
) -> Picture:
    size = random.uniform(*PIXELS_PER_METRE) * np.exp(SIZE_SD * random.normal(size=len(group)))
    ground = np.ceil(max(s * np.ptp(p.vertices[:, 1]) for s, p in zip(size, group, strict=True)))
    left, annotations = MARGIN, []
    for pixels_per_metre, person, person_noise in zip(size, group, noises, strict=True):
        low, high = person.vertices.min(0), person.vertices.max(0)
        pelvis = np.array([left, MARGIN + ground]) + pixels_per_metre * np.array([-low[0], low[1]])
        annotations.append(annotate(body, person, pixels_per_metre, pelvis, noise, person_noise))
        left += int(np.ceil(pixels_per_metre * (high[0] - low[0]))) + MARGIN
    return Picture(number, left, int(ground) + 2 * MARGIN, annotations)


def _truth(body: Body, people: list[Figure], annotations: list[Annotation]) -> Truth:
    def stack(records: list, name: str) -> np.ndarray:
        return np.array([getattr(record, name) for record in records])

    seen = {name: stack(annotations, name) for name in ("frame", "scale", "translation")}
    who = [figure.person for figure in people]
    return Truth(
        id=np.arange(1, len(people) + 1),
        **{name: value.astype(np.float32) for name, value in seen.items()},
        **{name: stack(people, name) for name in ("pose", "rotation", "vertices", "joints")},
        **{name: stack(who, name) for name in ("segment_scale", "shape")},
        visible=stack(annotations, "visible"),
        action=np.array([person.action for person in people], dtype=np.str_),
        subject=np.full(len(people), ""),
        camera=np.full(len(people), ""),
        child=stack(who, "child"),
        cut=np.zeros(len(people), np.float32),
        occluded=np.zeros(len(people), np.float32),
        body=body.fingerprint,
    )
