"""People made from the body: everything about a person that is the same in every pose.

Person i of a seed does not depend on the number of people or on their order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodyreg.body import Body

# Standard deviation of a segment's scale about 1, and the correlation between neighbours. Left and
# right segments are equal.
SEGMENT_SCALE_SD, NEIGHBOURS = 0.06, 0.8
# Shape coefficients run from -1 to 1 between the extremes of MakeHuman's sliders. People vary less:
# these standard deviations give men a stature of 1.77 m and women one of 1.63 m, each with sd 0.07,
# and limbs that differ by a few per cent. All other coefficients vary by OTHER_SHAPE_SD.
SHAPE_SD = {
    "height": 0.25,
    "hips": 0.25,
    "shoulders": 0.25,
    "torso_length": 0.15,
    "leg_length": 0.12,
    "arm_length": 0.15,
}
OTHER_SHAPE_SD = 0.35
# Shares of children and of old people, and the range of each one's coefficient.
AGES = {"child": (0.17, 0.15, 1.0), "old": (0.2, 0.2, 1.0)}


@dataclass(frozen=True, eq=False)
class Person:
    """A person, independent of the pose.

    Attributes:
        number: Index of the person in the seed's sequence.
        shape: (S,) float32, coefficients of the body's shape directions.
        segment_scale: (24,) float32.
        child: Whether this is a child.
        look: Seed of skin, hair and clothes.
        body: The template with this shape applied.
        template: The body that all people are made from.
    """

    number: int
    shape: np.ndarray
    segment_scale: np.ndarray
    child: bool
    look: int
    body: Body
    template: Body


def sample_person(body: Body, seed: int, number: int) -> Person:
    """Sample person `number` of a seed.

    Args:
        body: The template; its shape directions, if any, vary the person.
        seed: The data set's seed.
        number: The person's number.
    """
    random = np.random.default_rng([seed, number, 0])
    look = int(random.integers(2**63))
    segment_scale = sample_segment_scale(random, body)
    shape = sample_shape(random, body.shape_names).astype(np.float32)
    return Person(
        number=number,
        shape=shape,
        segment_scale=segment_scale.astype(np.float32),
        child=bool(dict(zip(body.shape_names, shape, strict=True)).get("child", 0) > 0),
        look=look,
        body=body.with_shape(shape) if body.shape_directions is not None else body,
        template=body,
    )


def sample_segment_scale(random: np.random.Generator, body: Body) -> np.ndarray:
    """Sample segment scales (24,): equal on both sides, similar between neighbours, of mean 1."""
    scale = random.normal(size=len(body.parents)).tolist()
    for joint, (parent, other) in enumerate(zip(body.parents, body.mirror_joints, strict=True)):
        if parent >= 0:
            scale[joint] = NEIGHBOURS * scale[parent] + (1 - NEIGHBOURS**2) ** 0.5 * scale[joint]
        scale[joint] = scale[min(joint, other)]
    return 1 + SEGMENT_SCALE_SD * (np.array(scale) - np.mean(scale))


def sample_shape(random: np.random.Generator, names: tuple[str, ...]) -> np.ndarray:
    """Sample coefficients (S,) in [-1, 1] of shape directions by their names.

    "sex" is -1 or 1. Most ages are those of adults. A direction named "first_second" holds what two
    other directions change only together, so its coefficient is their product.
    """
    values: dict[str, float] = {}
    for name in names:
        draw, number = random.random(2)
        if name == "sex":
            values[name] = 1.0 if draw < 0.5 else -1.0
        elif name in AGES:
            share, low, high = AGES[name]
            values[name] = low + (high - low) * number if draw < share else 0.0
        else:
            sd = SHAPE_SD.get(name, OTHER_SHAPE_SD)
            values[name] = min(max(sd * random.normal(), -1.0), 1.0)
    if values.get("child"):
        values |= {"old": 0.0}
    for name in names:
        first, _, second = name.partition("_")
        if first in values and second in values:
            values[name] = values[first] * values[second]
    return np.array([values[name] for name in names])
