"""How clothes are cut: how far inside of a piece a point of the body lies.

The same fields lift vertices (see `looks`) and paint pixels (see `dressing`), so colour and volume
end together. They are in metres on an adult, roughly; positive is inside.
"""

from __future__ import annotations

import numpy as np

from bodyreg.synthetic.measures import Measures
from bodyreg.synthetic.wardrobe import Bottom, Top

# Metres on an adult from one mark of `height`, of `arm`, to the next.
HEIGHT_STEP, ARM_STEP = 0.38, 0.245
# The neckline is a plane that sinks towards the front, metres per metre.
NECK_SLOPE = 0.42
# The neckline's height below the neck's joint at the neck's axis, metres on an adult.
NECK_DROP = 0.014
# Arms begin here along `arm`.
ARMHOLE = -0.02


def neckline(top: Top, measures: Measures, rest: np.ndarray) -> np.ndarray:
    """(P,) how far below the neckline rest places (3, P) lie."""
    size = measures.size
    forward = rest[2] - measures.neck[2]
    aside = np.abs(rest[0])
    line = measures.neck[1] - NECK_DROP * size - NECK_SLOPE * forward
    # Deeper in front: a V or a bow that ends beside the neck.
    width = (0.075 + top.wide) * size
    dip = np.clip(1 - aside / width, 0, 1) * np.clip(forward / (0.05 * size), 0, 1)
    return (
        line - rest[1] - size * top.neck * dip - top.wide * size * np.clip(2 - aside / width, 0, 1)
    )


def top_field(
    top: Top, measures: Measures, rest: np.ndarray, height: np.ndarray, arm: np.ndarray
) -> np.ndarray:
    """(P,) inside of a top.

    Args:
        top: The top.
        measures: Of whom wears it.
        rest: (3, P) metres.
        height: (P,) as in `Measures`.
        arm: (P,).
    """
    size = measures.size
    hem = (height - top.hem) * (HEIGHT_STEP * size)
    sleeve = (top.sleeve - arm) * (ARM_STEP * size)
    return np.minimum(np.minimum(hem, sleeve), neckline(top, measures, rest))


def bottom_field(
    bottom: Bottom, measures: Measures, rest: np.ndarray, height: np.ndarray, arm: np.ndarray
) -> np.ndarray:
    """(P,) inside of trousers or a skirt; arguments as for `top_field`."""
    size = measures.size
    end = (height - bottom.end) * (HEIGHT_STEP * size)
    waist = (bottom.waist - height) * (0.16 * size)
    trunk = (ARMHOLE - arm) * (ARM_STEP * size)
    return np.minimum(np.minimum(end, waist), trunk)


def opening_field(top: Top, measures: Measures, rest: np.ndarray) -> np.ndarray:
    """(P,) inside of what an open jacket shows of the inner cloth: wider toward the hem."""
    if top.open <= 0:
        return np.full(rest.shape[1], -1, np.float32)
    size = measures.size
    below = (measures.neck[1] - rest[1]) / (0.5 * size)
    half = size * (0.035 + top.open * np.clip(below, 0, 1.4))
    front = rest[2] - measures.neck[2]
    return np.minimum(half - np.abs(rest[0]), front)


def shaft_field(shaft: float, measures: Measures, height: np.ndarray) -> np.ndarray:
    """(P,) inside of shoes or socks that end at the height `shaft`."""
    return (shaft - height) * (0.3 * measures.size)
