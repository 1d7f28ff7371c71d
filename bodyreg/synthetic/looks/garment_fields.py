"""Fields that cut clothes: how far inside each garment the vertices of a body lie.

The same numbers lift the vertices (`look`) and, interpolated for every pixel, choose its paint
(`paint`), so that colour and volume end at the same line. They are roughly metres; positive is
inside.
"""

from __future__ import annotations

import numpy as np

from bodyreg.synthetic.looks.measurements import ELBOW, KNEE, Measures
from bodyreg.synthetic.looks.wardrobe import Bottom, Top

# Metres on an adult per unit of `height` and of `arm`; per unit of `height` at waist and ankles.
HEIGHT_STEP, ARM_STEP, WAIST_STEP, ANKLE_STEP = 0.38, 0.245, 0.16, 0.3
# The neckline is a plane: its slope down towards the front, and its distance below the neck's
# joint, metres on an adult.
NECK_SLOPE, NECK_DROP = 0.42, 0.014
# Where arms begin, in units of `arm`.
ARMHOLE = -0.02


def neckline_field(top: Top, m: Measures) -> np.ndarray:
    """(V,) distance of vertices below the neckline."""
    size, (x, y, z) = m.size, m.rest
    forward, aside = z - m.neck[2], np.abs(x)
    line = m.neck[1] - NECK_DROP * size - NECK_SLOPE * forward
    # Deeper in front: a V or a curve that ends beside the neck.
    width = (0.075 + top.wide) * size
    dip = np.clip(1 - aside / width, 0, 1) * np.clip(forward / (0.05 * size), 0, 1)
    return line - y - size * (top.neck * dip + top.wide * np.clip(2 - aside / width, 0, 1))


def top_field(top: Top, m: Measures, neckline: np.ndarray) -> np.ndarray:
    """(V,) field of a top; `neckline` is its `neckline_field`."""
    hem = (m.height - top.hem) * (HEIGHT_STEP * m.size)
    sleeve = (top.sleeve - m.arm) * (ARM_STEP * m.size)
    return np.minimum(np.minimum(hem, sleeve), neckline)


def bottom_field(bottom: Bottom, m: Measures) -> np.ndarray:
    """(V,) field of trousers or a skirt."""
    end = (m.height - bottom.end) * (HEIGHT_STEP * m.size)
    waist = (bottom.waist - m.height) * (WAIST_STEP * m.size)
    trunk = (ARMHOLE - m.arm) * (ARM_STEP * m.size)
    return np.minimum(np.minimum(end, waist), trunk)


def opening_field(top: Top, m: Measures) -> np.ndarray:
    """(V,) field of the opening of a jacket, which shows the inner cloth: wider toward the hem."""
    if top.open <= 0:
        return np.full(len(m.height), -1, np.float32)
    below = (m.neck[1] - m.rest[1]) / (0.5 * m.size)
    half = m.size * (0.035 + top.open * np.clip(below, 0, 1.4))
    return np.minimum(half - np.abs(m.rest[0]), m.rest[2] - m.neck[2])


def shaft_field(shaft: float, m: Measures) -> np.ndarray:
    """(V,) field of a shoe that ends at the height `shaft`."""
    return (shaft - m.height) * (ANKLE_STEP * m.size)


def creasing(m: Measures) -> np.ndarray:
    """(V,) in [0, 1]: strength of creases, near elbows, knees, armpits, hips and ankles."""
    bumps = (
        (1, m.arm - ELBOW, 7), (1, m.height - KNEE, 9), (0.8, m.height - 2.9, 14),
        (0.7, m.arm + 0.1, 16), (0.7, m.height - 1.1, 20),
    )  # fmt: skip
    return np.minimum(sum(much * np.exp(-width * away**2) for much, away, width in bumps), 1)
