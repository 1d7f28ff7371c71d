"""Stools, boxes and chairs under sitting people; they belong to the background."""

from __future__ import annotations

from itertools import product

import numpy as np

from bodyreg.body.joints import JOINT_NAMES
from bodyreg.synthetic.blend import lay_over, threefold
from bodyreg.synthetic.figure import Figure
from bodyreg.synthetic.light import Light
from bodyreg.synthetic.places.occluders import PAINTS, WOODS, filled

# A figure sits if the hips are at least LEAST_SEAT above the ground and at most MOST_RISE above the
# knees, and the neck is at least LEAST_TRUNK above the hips, metres.
LEAST_SEAT, MOST_RISE, LEAST_TRUNK = 0.22, 0.2, 0.25
# Height of the hips' joints above the seat, and half the seat's width and depth, metres.
CUSHION, HALF_WIDTH, HALF_DEPTH = 0.085, 0.21, 0.2

_HIPS, _KNEES = (
    [JOINT_NAMES.index(f"{side}_{name}") for side in ("left", "right")] for name in ("hip", "knee")
)
_NECK = JOINT_NAMES.index("neck")

# The six sides of a block: axis, end (0 or 1) along it, and corners. The corner at ends a, b and c
# of the three axes has the number 4 a + 2 b + c.
_TURNS = ((0, 0), (0, 1), (1, 1), (1, 0))
_SIDES = tuple(
    (axis, end, [np.dot([*turn[:axis], end, *turn[axis:]], (4, 2, 1)) for turn in _TURNS])
    for axis in range(3)
    for end in (0, 1)
)


def paint_seat(
    random: np.random.Generator, picture: np.ndarray, figure: Figure, light: Light
) -> None:
    """Draw a seat under a figure that sits; other figures get none.

    Args:
        random: Chooses kind and colour; every call draws the same count of numbers.
        picture: (H, W, 3) float32 in [0, 255], changed in place.
        figure: The figure.
        light: Light of the picture.
    """
    palette = WOODS + PAINTS
    colour = np.array(palette[random.integers(len(palette))]) * random.uniform(0.6, 1.2)
    kind = random.integers(3)
    axes = _seat_axes(figure)
    if axes is None:
        return
    side, front, middle, top = axes
    up, ground = light.up.astype(np.float64), figure.ground
    frame = np.stack([side, up, front])

    def block(low: tuple[float, float, float], high: tuple[float, float, float]):
        """A block by its ends along the side, up from the ground, and along the front."""
        return np.array([low, high]) + np.array([0, ground, 0])

    wide, deep, tall = HALF_WIDTH, HALF_DEPTH, top - ground
    slab = block((-wide, tall - 0.06, -deep), (wide, tall, deep))
    if kind == 0:
        blocks = [block((-wide, 0, -deep), (wide, tall, deep))]
    else:
        legs = [
            block((x, 0, z), (x + 0.04, tall - 0.06, z + 0.04))
            for x in (-wide, wide - 0.04)
            for z in (-deep, deep - 0.04)
        ]
        blocks = [*legs, slab]
    if kind == 2 and front[2] > 0.2:
        # No back for a figure that is seen from behind: it would hide the figure.
        blocks.append(block((-wide, tall, -deep - 0.04), (wide, tall + 0.42, -deep)))
    base = middle - up * (middle @ up)
    _darken(picture, figure, base, frame, ground)
    for ends in sorted(blocks, key=lambda ends: float(ends.mean(0) @ frame[:, 2])):
        _paint_block(picture, figure, base, frame, ends, colour, light)


def _seat_axes(figure: Figure) -> tuple[np.ndarray, np.ndarray, np.ndarray, float] | None:
    """Axes to the side and to the front, the seat's middle and height; None if not sitting."""
    joints, up = figure.joints.astype(np.float64), figure.up.astype(np.float64)
    hips, knees = joints[_HIPS], joints[_KNEES]
    height = hips.mean(0) @ up
    rise, trunk = height - (knees @ up).min(), joints[_NECK] @ up - height
    if height - figure.ground < LEAST_SEAT + CUSHION or rise > MOST_RISE or trunk < LEAST_TRUNK:
        return None
    forward = knees.mean(0) - hips.mean(0)
    forward -= up * (forward @ up)
    length = np.linalg.norm(forward)
    if length < 0.15:
        return None
    front = forward / length
    return np.cross(up, front), front, hips.mean(0) + 0.04 * front, height - CUSHION


def _paint_block(
    picture: np.ndarray, figure: Figure, base: np.ndarray, frame: np.ndarray, ends: np.ndarray,
    colour: np.ndarray, light: Light,
) -> None:  # fmt: skip
    height, width = picture.shape[:2]
    places = base + np.array(list(product(*ends.T.tolist()))) @ frame
    flat = figure.project(places)[:, :2]
    middle = places.mean(0)
    for axis, end, corners in _SIDES:
        normal = frame[axis] * (2 * end - 1)
        # Direction to the viewer.
        toward = np.array([0.0, 0, 1])
        if figure.camera.perspective:
            toward = -(middle + normal * (ends[1, axis] - ends[0, axis]) / 2 + figure.camera.pelvis)
        if normal @ toward <= 0:
            continue
        above, lit = (max(float(normal @ v), 0) for v in (light.up, light.direction))
        shade = 0.5 + 0.3 * above + 0.4 * lit
        window, share = filled(flat[corners], height, width)
        lay_over(picture[window], np.minimum(shade * colour, 255).astype(np.float32), share)


def _darken(
    picture: np.ndarray, figure: Figure, base: np.ndarray, frame: np.ndarray, ground: float
) -> None:
    """Draw the shadow below a seat."""
    height, width = picture.shape[:2]
    turns = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    corners = np.array([[x * HALF_WIDTH, z * HALF_DEPTH] for x, z in turns])
    # Darker towards the middle, in steps.
    steps = np.linspace(1.3, 0.7, 5)[:, None, None]
    places = base + ground * frame[1] + steps * (corners @ frame[[0, 2]])
    for outline in figure.project(places)[..., :2]:
        window, inside = filled(outline, height, width)
        region = picture[window]
        region *= threefold(1 - np.float32(0.14) * inside)
