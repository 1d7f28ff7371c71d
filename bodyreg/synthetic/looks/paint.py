"""Colours of a dressed body: the material of every pixel of its surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodyreg.synthetic.blend import lay_over, threefold
from bodyreg.synthetic.looks import channels
from bodyreg.synthetic.looks.garment_fields import ARMHOLE
from bodyreg.synthetic.looks.hair import head_places, strands
from bodyreg.synthetic.looks.look import Look
from bodyreg.synthetic.looks.measurements import NECK, Measures
from bodyreg.synthetic.looks.patterns import SIDE, Cloth
from bodyreg.synthetic.noise import SIDE as NOISE_SIDE
from bodyreg.synthetic.noise import crease_tile, fractal_tile, sample_tile

# Materials of a pixel; later ones cover earlier ones.
SKIN, SOCK, BOTTOM, BELT, INNER, TOP, YOKE, COLLAR, SHOE, SOLE, HAIR, CAP = range(12)
# Girths of a trunk, a leg and an arm, metres: they set the number of tiles around each.
TRUNK_GIRTH, LEG_GIRTH, ARM_GIRTH = 0.95, 0.5, 0.32
# Trunks are wider than deep.
TRUNK_ASPECT = 1.45
GLOSS = {SKIN: 0.05, HAIR: 0.07, SHOE: 0.1, BELT: 0.12}


@dataclass(frozen=True, eq=False)
class Paint:
    """Materials of P points of a surface.

    Attributes:
        colour: (P, 3) float32 blue, green, red in [0, 255].
        gloss: (P,) strength of specular light.
        relief: (P,) factor on the brightness, from folds and seams.
    """

    colour: np.ndarray
    gloss: np.ndarray
    relief: np.ndarray


def paint(look: Look, points: np.ndarray) -> Paint:
    """Find the materials of points of a person's surface.

    Args:
        look: The person's look.
        points: (13, P) float32, `look.table` interpolated for each point.
    """
    height, arm, upper = points[channels.HEIGHT], points[channels.ARM], points[channels.UPPER]
    m, outfit = look.measures, look.outfit
    top, bottom, shoes = outfit.top, outfit.bottom, outfit.shoes
    made_of = np.zeros(points.shape[1], np.uint8)
    if shoes is not None and shoes.sock is not None:
        made_of[height < shoes.sock_end] = SOCK
    lower = points[channels.LOWER] > 0
    made_of[lower] = BOTTOM
    if bottom.belt is not None:
        made_of[lower & (height > bottom.waist - 0.22)] = BELT
    made_of[upper > 0] = TOP
    if top.yoke is not None:
        chest = m.neck[1] - 0.17 * m.size
        made_of[(upper > 0) & ((points[channels.Y] > chest) | (arm > ARMHOLE))] = YOKE
    if top.inner is not None:
        made_of[(upper > 0) & (points[channels.OPENING] > 0)] = INNER
    if top.collar > 0:
        # A band around the neckline, without the opening.
        wide = np.float32(top.collar * m.size)
        near = np.abs(points[channels.NECKLINE] - 0.2 * wide) < 0.8 * wide
        made_of[near & (arm < ARMHOLE) & (height > 4.4) & (made_of != INNER)] = COLLAR
    if shoes is not None:
        # Long trousers hang over the shoes.
        made_of[(height < shoes.shaft) & (made_of != BOTTOM) & (made_of != TOP)] = SHOE
        made_of[height < 0.22] = SOLE
    head = np.flatnonzero(points[channels.HAIR] > -0.2)
    x, y, z = points[: channels.Z + 1].take(head, 1)
    ragged = np.float32(0.07) * sample_tile(fractal_tile(), 700 * x, 700 * (y + z))
    made_of[head[points[channels.HAIR].take(head) > ragged]] = HAIR
    made_of[points[channels.CAP] > 0] = CAP
    return _fill(look, points, made_of)


def _fill(look: Look, points: np.ndarray, made_of: np.ndarray) -> Paint:
    outfit, hair, m = look.outfit, look.hair, look.measures
    colour = np.empty((points.shape[1], 3), np.float32)
    gloss = np.zeros(points.shape[1], np.float32)
    relief = np.ones(points.shape[1], np.float32)
    present = np.flatnonzero(np.bincount(made_of, minlength=CAP + 1)).tolist()
    cloths = {
        BOTTOM: (outfit.bottom.cloth, outfit.bottom.skirt), TOP: (outfit.top.cloth, True),
        YOKE: (outfit.top.yoke, True), INNER: (outfit.top.inner, True),
        COLLAR: (outfit.top.cloth, True),
    }  # fmt: skip
    shoes = outfit.shoes
    plain = {
        BELT: outfit.bottom.belt, CAP: hair.cap,
        **({} if shoes is None else {SHOE: shoes.colour, SOLE: shoes.sole, SOCK: shoes.sock}),
    }  # fmt: skip
    for kind in present:
        rows = np.flatnonzero(made_of == kind)
        part = points.take(rows, 1)
        gloss[rows] = GLOSS.get(kind, 0.0)
        if kind == SKIN:
            colour[rows] = _skin(look, part)
        elif kind == HAIR:
            colour[rows] = strands(hair, head_places(m, part[: channels.Z + 1]))
        elif kind in cloths:
            cloth, whole = cloths[kind]
            colour[rows] = _woven(cloth, m, part, whole)
            gloss[rows] = cloth.gloss
            if kind != COLLAR:
                relief[rows] = _folds(cloth.folds, m, part)
        else:
            colour[rows] = plain[kind]
        if kind in (TOP, YOKE, INNER, BOTTOM):
            relief[rows] *= _edges(look, part, kind)
    front = np.flatnonzero(
        (made_of == TOP) & (points[channels.FRONT] > 0.2) & (points[channels.ARM] < ARMHOLE)
    )
    if outfit.top.print is not None:
        _press(outfit.top.print, m, points, front, colour)
    if outfit.top.buttoned and outfit.top.open <= 0:
        _button(m, points, front, colour)
    return Paint(colour, gloss, relief)


def _skin(look: Look, points: np.ndarray) -> np.ndarray:
    """Colours of skin: redder at the ends of hands and feet, with the face on the head."""
    x, y, z, front, height, arm = points[: channels.ARM + 1]
    face = look.face
    ends = np.clip(np.maximum(arm - 2.3, 0.5 * (0.8 - height)), 0, 0.5)
    colour = face.skin - threefold(ends) * (face.skin * np.array([0.24, 0.2, 0.02], np.float32))
    rows = np.flatnonzero((height > NECK - 0.1) & (front > 0.05) & (z > look.measures.ear[2]))
    if not len(rows):
        return colour
    x = (x[rows] - np.float32(face.origin[0])) * np.float32(face.scale)
    y = (np.float32(face.origin[1]) - y[rows]) * np.float32(face.scale)
    found = _clamped(face.canvas, x, y).astype(np.float32)
    # The face is projected from the front: fade it out where the normal turns away.
    share = np.clip(4 * front[rows] - 0.2, 0, 1)
    lay_over(found, colour.take(rows, 0), 1 - share)
    colour[rows] = found
    return colour


def _clamped(canvas: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(P, 3) colours of a canvas at pixel positions, clamped to its edge."""
    height, width = canvas.shape[:2]
    return sample_tile(canvas, np.clip(x - 0.5, 0, width - 1), np.clip(y - 0.5, 0, height - 1))


def _woven(cloth: Cloth, m: Measures, points: np.ndarray, whole: bool) -> np.ndarray:
    """(P, 3) float32 colours of a cloth, wrapped around trunk, legs and arms in whole tiles."""
    x, y, z, _, height, arm = points[: channels.ARM + 1]
    size = cloth.size * m.size
    around = np.arctan2(x / TRUNK_ASPECT, z - m.neck[2]) * _turns(TRUNK_GIRTH, cloth)
    along = y / size
    limb = np.flatnonzero(arm > ARMHOLE)
    turned = np.arctan2(y[limb] - m.arm_axis[0], z[limb] - m.arm_axis[1])
    around[limb] = turned * _turns(ARM_GIRTH, cloth)
    along[limb] = np.abs(x[limb]) / size
    if not whole:
        limb = np.flatnonzero((height < 2.85) & (arm <= ARMHOLE))
        axis = np.where(x[limb] > 0, *m.hips)
        turned = np.arctan2(x[limb] - axis, z[limb] - m.neck[2])
        around[limb] = turned * _turns(LEG_GIRTH, cloth)
    return sample_tile(cloth.tile, SIDE * around, -SIDE * along).astype(np.float32)


def _turns(girth: float, cloth: Cloth) -> np.float32:
    """Tiles per radian, such that a whole number of tiles fits around."""
    return np.float32(max(1, round(girth / cloth.size)) / (2 * np.pi))


def _folds(depth: float, m: Measures, points: np.ndarray) -> np.ndarray:
    """(P,) factors on the brightness of creased cloth, stronger near joints."""
    x, y, z = points[: channels.Z + 1] / np.float32(m.size)
    sleeve = points[channels.ARM] > ARMHOLE
    along = np.where(sleeve, np.abs(x), y)
    around = np.where(sleeve, z + y, x + z)
    # Creases run around a limb, at a slant.
    unit = np.float32(NOISE_SIDE)
    light = sample_tile(
        crease_tile(), unit * (0.8 * around + 0.3 * along), unit * (1.2 * along + 0.9 * around)
    )
    return 1 + np.float32(depth) * (0.03 + 0.075 * points[channels.CREASED]) * light


def _edges(look: Look, points: np.ndarray, kind: int) -> np.ndarray:
    """(P,) factors on the brightness near hems and openings: their thickness and their shadow."""
    size = look.measures.size
    if kind == BOTTOM:
        return _shaded(points[channels.LOWER], 0.015 * size)
    if kind == INNER:
        return _shaded(points[channels.OPENING], 0.03 * size)
    brightness = _shaded(points[channels.UPPER], 0.012 * size)
    if look.outfit.top.open > 0:
        brightness *= _shaded(-points[channels.OPENING], 0.012 * size)
    return brightness


def _shaded(inside: np.ndarray, width: float) -> np.ndarray:
    return 0.7 + 0.3 * np.clip(inside * np.float32(1 / width), 0, 1)


def _button(m: Measures, points: np.ndarray, rows: np.ndarray, colour: np.ndarray) -> None:
    """Draw a row of buttons down the front, and their strip, in place."""
    x, y = points[:2].take(rows, 1) / m.size
    strip = rows[np.abs(np.abs(x) - 0.018) < 0.003]
    colour[strip] *= 0.75
    button = rows[x**2 + ((y % 0.09) - 0.045) ** 2 < 0.0075**2]
    # Dark on light cloth, light on dark.
    colour[button] = np.where(colour[button] > 90, 0.35 * colour[button], colour[button] + 120)


def _press(
    image: np.ndarray, m: Measures, points: np.ndarray, rows: np.ndarray, colour: np.ndarray
) -> None:
    """Draw a print (h, w, 4) on the chest, in place."""
    side = 0.26 * m.size
    left, top = -side / 2, m.neck[1] - 0.13 * m.size
    x = (points[0, rows] - left) / side * image.shape[1]
    y = (top - points[1, rows]) / side * image.shape[0]
    hit = (x > 0) & (x < image.shape[1]) & (y > 0) & (y < image.shape[0])
    rows = rows[hit]
    found = _clamped(image, x[hit], y[hit]).astype(np.float32)
    share = found[:, 3:] / 255
    colour[rows] += share * (found[:, :3] - colour[rows])
