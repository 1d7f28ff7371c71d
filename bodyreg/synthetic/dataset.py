"""A data set of made people: pictures of one to three of them, side by side on level ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from bodyreg.body import Body
from bodyreg.data.densepose_coco import KEYPOINTS
from bodyreg.data.truth import Truth
from bodyreg.synthetic.observe import Annotation, Noise, annotate
from bodyreg.synthetic.people import Person, sample_person

PEOPLE_PER_PICTURE = (1, 3)
# Size of people in a picture, pixels per metre, and how much it differs among them.
PIXELS_PER_METRE = (110, 190)
SIZE_SD = 0.08
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
            group = [sample_person(body, KEYPOINTS, seed, number) for number in numbers]
            noises = [np.random.default_rng([seed, number, 1]) for number in numbers]
            pictures.append(_picture(body, group, len(pictures) + 1, noise, random, noises))
            people += group
            bar.update(len(group))
    annotations = [annotation for picture in pictures for annotation in picture.annotations]
    return pictures, _truth(body, people, annotations)


def _picture(
    body: Body,
    group: list[Person],
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


def _truth(body: Body, people: list[Person], annotations: list[Annotation]) -> Truth:
    def stack(records: list, name: str) -> np.ndarray:
        return np.array([getattr(record, name) for record in records])

    seen = {name: stack(annotations, name) for name in ("frame", "scale", "translation")}
    made = ("pose", "segment_scale", "shape", "rotation", "vertices", "joints")
    return Truth(
        id=np.arange(1, len(people) + 1),
        **{name: value.astype(np.float32) for name, value in seen.items()},
        **{name: stack(people, name) for name in made},
        visible=stack(annotations, "visible"),
        action=np.array([person.activity for person in people], dtype=np.str_),
        subject=np.full(len(people), ""),
        camera=np.full(len(people), ""),
        child=np.array([_is_child(body, person) for person in people]),
        cut=np.zeros(len(people), np.float32),
        occluded=np.zeros(len(people), np.float32),
        body=body.fingerprint,
    )


def _is_child(body: Body, person: Person) -> bool:
    return any(c > 0 for n, c in zip(body.shape_names, person.shape, strict=True) if n == "child")
