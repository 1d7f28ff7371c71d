"""Shape directions: how the T-posed body and its joints change with MakeHuman's sliders.

A direction is half the difference between the two ends of a slider (for one-sided sliders, the
difference between the end and the middle), so a coefficient of ±1 gives an end. Directions add up
linearly. Important products of two sliders (a heavy woman differs from a heavy man) are directions
of their own; their coefficient is the product of the two sliders' coefficients.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from body_maker.makehuman import BaseMesh, person

Shape = tuple[np.ndarray, np.ndarray]  # vertices (V, 3), joints (24, 3)

# Sliders with two ends: name -> (slider, low, high).
SLIDERS = {
    "sex": ("gender", 0.0, 1.0),
    "weight": ("weight", 0.0, 1.0),
    "muscle": ("muscle", 0.0, 1.0),
    "height": ("height", 0.3, 0.7),
    "proportions": ("proportions", 0.0, 1.0),
}
# One-sided ages, from the young adult in the middle: about six, and about eighty years.
AGES = {"child": 0.12, "old": 0.9}
PRODUCTS = {
    "sex_weight": ("sex", "weight"),
    "sex_muscle": ("sex", "muscle"),
    "child_weight": ("child", "weight"),
}
# Details: name -> targets. "{end}" becomes incr at 1 and decr at -1; "{side}" becomes both sides.
DETAILS = {
    "belly": ("stomach/stomach-pregnant-{end}",),
    "hips": ("hip/hip-scale-horiz-{end}", "hip/hip-scale-depth-{end}"),
    "shoulders": ("torso/torso-vshape-{end}", "torso/measure-shoulder-dist-{end}"),
    "torso_length": ("torso/torso-scale-vert-{end}",),
    "leg_length": ("legs/upperlegs-height-{end}", "legs/lowerlegs-height-{end}"),
    "arm_length": (
        "arms/measure-upperarm-length-{end}", "arms/measure-lowerarm-length-{end}",
    ),
    "limb_girth": tuple(
        f"{limb}s/{{side}}-{half}{limb}-fat-{{end}}" for limb in ("arm", "leg")
        for half in ("upper", "lower")
    ),
    "head_size": tuple(f"head/head-scale-{axis}-{{end}}" for axis in ("depth", "horiz", "vert")),
}  # fmt: skip


def directions(
    base: BaseMesh, baked: Callable[[np.ndarray], Shape]
) -> tuple[tuple[str, ...], list[Shape]]:
    """Compute all directions, with their names.

    Args:
        base: The base mesh.
        baked: Function from a person (19158, 3) to the T-posed skin and its joints.
    """

    def shape(details: dict[str, float] | None = None, **sliders: float) -> Shape:
        return baked(person(base, sliders, details or {}))

    middle = shape()
    found: dict[str, Shape] = {}
    for name, age in AGES.items():
        found[name] = _mix((1, shape(age=age)), (-1, middle))
    for name, (slider, low, high) in SLIDERS.items():
        found[name] = _mix((0.5, shape(**{slider: high})), (-0.5, shape(**{slider: low})))
    for name, (first, second) in PRODUCTS.items():
        found[name] = _product(shape, first, second)
    for name in DETAILS:
        found[name] = _mix((0.5, shape(_detail(name, 1))), (-0.5, shape(_detail(name, -1))))
    return tuple(found), list(found.values())


def _product(shape: Callable[..., Shape], first: str, second: str) -> Shape:
    """The mixed second difference of two sliders."""
    slider, low, high = SLIDERS[second]
    if first in AGES:
        ends = {"age": AGES[first]}, {}
        share = 0.5
    else:
        ends = {SLIDERS[first][0]: SLIDERS[first][2]}, {SLIDERS[first][0]: SLIDERS[first][1]}
        share = 0.25
    return _mix(
        (share, shape(**ends[0], **{slider: high})),
        (-share, shape(**ends[0], **{slider: low})),
        (-share, shape(**ends[1], **{slider: high})),
        (share, shape(**ends[1], **{slider: low})),
    )


def _detail(name: str, amount: int) -> dict[str, float]:
    end = "incr" if amount > 0 else "decr"
    return {
        target.format(end=end, side=side): 1.0 for target in DETAILS[name] for side in ("l", "r")
    }


def _mix(*parts: tuple[float, Shape]) -> Shape:
    vertices = sum(share * shape[0] for share, shape in parts)
    joints = sum(share * shape[1] for share, shape in parts)
    return vertices, joints
