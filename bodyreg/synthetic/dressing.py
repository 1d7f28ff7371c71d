"""Colours of a dressed body: what a pixel of its surface is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodyreg.synthetic.cut import (
    ARMHOLE,
    bottom_field,
    neckline,
    opening_field,
    shaft_field,
    top_field,
)
from bodyreg.synthetic.hair import capped, hairiness, head_places, strands
from bodyreg.synthetic.looks import Look
from bodyreg.synthetic.measures import ELBOW, KNEE, NECK, Measures
from bodyreg.synthetic.noise import SIDE as NOISE_SIDE
from bodyreg.synthetic.noise import fractal_tile, sample_tile
from bodyreg.synthetic.patterns import SIDE, Cloth

# What a pixel may be; later ones lie over earlier ones.
SKIN, SOCK, BOTTOM, BELT, INNER, TOP, YOKE, COLLAR, SHOE, SOLE, HAIR, CAP = range(12)
# Metres round a trunk, a leg and an arm, for the count of tiles that close a ring.
TRUNK_GIRTH, LEG_GIRTH, ARM_GIRTH = 0.95, 0.5, 0.32
# Trunks are wider than deep.
TRUNK_ASPECT = 1.45
GLOSS = {SKIN: 0.05, HAIR: 0.07, SHOE: 0.1, BELT: 0.12}


@dataclass(frozen=True, eq=False)
class Paint:
    """Of P points of a surface.

    Attributes:
        colour: (P, 3) float32 blue, green, red in [0, 255].
        gloss: (P,) share of mirrored light.
        relief: (P,) factor of brightness: folds, seams.
    """

    colour: np.ndarray
    gloss: np.ndarray
    relief: np.ndarray


def paint(look: Look, points: np.ndarray) -> Paint:
    """Colours of points of a person's surface.

    Args:
        look: Whose.
        points: (P, 8) float32, `look.table` mixed for each point.
    """
    rest, height, arm = points[:, :3], points[:, 3], points[:, 4]
    m, outfit, hair = look.measures, look.outfit, look.hair
    top, bottom = outfit.top, outfit.bottom
    made_of = np.zeros(len(points), np.uint8)
    if outfit.shoes is not None and outfit.shoes.sock is not None:
        made_of[height < outfit.shoes.sock_end] = SOCK
    lower = bottom_field(bottom, m, rest, height, arm)
    made_of[lower > 0] = BOTTOM
    if bottom.belt is not None:
        made_of[(lower > 0) & (bottom.waist - height < 0.22)] = BELT
    upper = top_field(top, m, rest, height, arm)
    made_of[upper > 0] = TOP
    if top.yoke is not None:
        chest = m.neck[1] - 0.17 * m.size
        made_of[(upper > 0) & ((rest[:, 1] > chest) | (arm > ARMHOLE))] = YOKE
    if top.inner is not None:
        made_of[(upper > 0) & (opening_field(top, m, rest) > 0)] = INNER
    if top.collar > 0:
        near = neckline(top, m, rest)
        made_of[
            (near > -0.6 * top.collar * m.size)
            & (near < top.collar * m.size)
            & (arm < ARMHOLE)
            & (made_of != INNER)
            & (height > 4.4)
        ] = COLLAR
    if outfit.shoes is not None:
        made_of[shaft_field(outfit.shoes.shaft, m, height) > 0] = SHOE
        made_of[height < 0.22] = SOLE
    head = np.flatnonzero(height > 4.3)
    place = head_places(m, rest[head])
    ragged = sample_tile(fractal_tile(), 700 * rest[head, 0], 700 * (rest[head, 1] + rest[head, 2]))
    made_of[head[hairiness(hair, m, place) > 0.05 * ragged]] = HAIR
    made_of[head[capped(hair, place) > 0]] = CAP
    return _fill(look, points, made_of)


def _fill(look: Look, points: np.ndarray, made_of: np.ndarray) -> Paint:
    rest, height, arm = points[:, :3], points[:, 3], points[:, 4]
    outfit, hair, m = look.outfit, look.hair, look.measures
    colour = np.empty((len(points), 3), np.float32)
    gloss = np.zeros(len(points), np.float32)
    relief = np.ones(len(points), np.float32)
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
        gloss[rows] = GLOSS.get(kind, 0.0)
        if kind == SKIN:
            colour[rows] = _skin(look, points[rows])
        elif kind == HAIR:
            colour[rows] = strands(hair, head_places(m, rest[rows]))
        elif kind in cloths:
            cloth, whole = cloths[kind]
            colour[rows] = _woven(cloth, m, rest[rows], height[rows], arm[rows], whole)
            gloss[rows] = cloth.gloss
            if kind != COLLAR:
                relief[rows] = _folds(cloth.folds, m, rest[rows], height[rows], arm[rows])
        else:
            colour[rows] = plain[kind]
    _trim(look, points, made_of, colour, relief)
    return Paint(colour, gloss, relief)


def _skin(look: Look, points: np.ndarray) -> np.ndarray:
    """Skin, blotchy and redder at the hands' and feet's ends, with the face where it is."""
    rest, height, arm, front = points[:, :3], points[:, 3], points[:, 4], points[:, 7]
    face = look.face
    blotch = sample_tile(fractal_tile(), 900 * (rest[:, 0] + rest[:, 2]), 900 * rest[:, 1])
    colour = face.skin * (1 + np.float32(0.025) * blotch)[:, None]
    ends = np.clip(np.maximum(arm - 2.3, 0.5 * (0.8 - height)), 0, 0.5)[:, None]
    colour *= 1 - ends * np.array([0.24, 0.2, 0.02], np.float32)
    rows = np.flatnonzero(
        (height > NECK - 0.1) & (front > 0.05) & (rest[:, 2] > look.measures.ear[2])
    )
    x, y = ((rest[rows, :2] - face.origin.astype(np.float32)) * np.float32(face.scale)).T
    found = _clamped(face.canvas, x, -y).astype(np.float32)
    # The face's canvas is seen from the front: it fades where the head turns away from there.
    share = np.clip(4 * front[rows] - 0.2, 0, 1)[:, None]
    colour[rows] += share * (found - colour[rows])
    return colour


def _clamped(canvas: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(P, 3) colours of a canvas at places in its pixels; beyond its edge its edge."""
    height, width = canvas.shape[:2]
    return sample_tile(canvas, np.clip(x - 0.5, 0, width - 1), np.clip(y - 0.5, 0, height - 1))


def _woven(
    cloth: Cloth, m: Measures, rest: np.ndarray, height: np.ndarray, arm: np.ndarray, whole: bool
) -> np.ndarray:
    """(P, 3) float32 a cloth's colours: wound round trunk, legs and arms in whole tiles."""
    size = cloth.size * m.size
    x, y, z = rest.T
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
    """Tiles per radian, so that a whole number of them goes round."""
    return np.float32(max(1, round(girth / cloth.size)) / (2 * np.pi))


def _folds(
    depth: float, m: Measures, rest: np.ndarray, height: np.ndarray, arm: np.ndarray
) -> np.ndarray:
    """(P,) brightness of creased cloth: rings about elbows and knees, slants on the trunk."""
    x, y, z = (rest / np.float32(m.size)).T
    bend = np.exp(-7 * (arm - ELBOW) ** 2) + np.exp(-9 * (height - KNEE) ** 2)
    bend += 0.6 * np.exp(-14 * (height - 3.0) ** 2) + 0.7 * np.exp(-16 * (arm + 0.1) ** 2)
    bend += 0.5 * np.exp(-20 * (height - 1.05) ** 2)
    strength = np.float32(depth) * (0.06 + 0.13 * np.minimum(bend, 1))
    sleeve = arm > ARMHOLE
    along = np.where(sleeve, np.abs(x), y)
    around = np.where(sleeve, z + y, x + z)
    unit = np.float32(NOISE_SIDE)
    wave = sample_tile(
        fractal_tile(), unit * (0.9 * around + 0.5 * along), unit * (1.5 * along + 0.3 * around)
    )
    # Folds are ridges with sharp valleys.
    return 1 + strength * (1.2 * (0.8 - np.abs(wave)) + 0.5 * wave)


def _trim(
    look: Look, points: np.ndarray, made_of: np.ndarray, colour: np.ndarray, relief: np.ndarray
) -> None:
    """Hems, buttons, collars' edges and prints, in place."""
    rest, height, arm = points[:, :3], points[:, 3], points[:, 4]
    m, top, bottom = look.measures, look.outfit.top, look.outfit.bottom
    upper = np.flatnonzero((made_of == TOP) | (made_of == YOKE))
    if len(upper):
        inside = top_field(top, m, rest[upper], height[upper], arm[upper])
        relief[upper] *= 0.72 + 0.28 * np.clip(inside / (0.012 * m.size), 0, 1)
        if top.open > 0:
            edge = -opening_field(top, m, rest[upper])
            relief[upper] *= 0.7 + 0.3 * np.clip(edge / (0.012 * m.size), 0, 1)
        front = upper[(points[upper, 7] > 0.2) & (arm[upper] < ARMHOLE)]
        if top.print is not None:
            _press(top.print, m, rest, front, colour)
        if top.buttoned and top.open <= 0:
            x, y = rest[front, 0] / m.size, rest[front, 1] / m.size
            relief[front] *= np.where(np.abs(np.abs(x) - 0.018) < 0.003, 0.75, 1)
            button = x**2 + ((y % 0.09) - 0.045) ** 2 < 0.0075**2
            colour[front[button]] = 0.35 * colour[front[button]] + (
                0 if colour[front].mean() > 90 else 130
            )
    low = np.flatnonzero(made_of == BOTTOM)
    if len(low):
        inside = bottom_field(bottom, m, rest[low], height[low], arm[low])
        relief[low] *= 0.75 + 0.25 * np.clip(inside / (0.015 * m.size), 0, 1)
    inner = np.flatnonzero(made_of == INNER)
    if len(inner):
        edge = opening_field(top, m, rest[inner])
        relief[inner] *= 0.6 + 0.4 * np.clip(edge / (0.03 * m.size), 0, 1)


def _press(
    image: np.ndarray, m: Measures, rest: np.ndarray, rows: np.ndarray, colour: np.ndarray
) -> None:
    """Lay a print (h, w, 4) on the chest, in place."""
    side = 0.26 * m.size
    left, top = -side / 2, m.neck[1] - 0.13 * m.size
    x = (rest[rows, 0] - left) / side * image.shape[1]
    y = (top - rest[rows, 1]) / side * image.shape[0]
    hit = (x > 0) & (x < image.shape[1]) & (y > 0) & (y < image.shape[0])
    rows = rows[hit]
    found = _clamped(image, x[hit], y[hit]).astype(np.float32)
    share = found[:, 3:] / 255
    colour[rows] += share * (found[:, :3] - colour[rows])
