"""Skin and faces: a face is drawn once for a person, from the front, and projected on the head."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

from bodyreg.synthetic.blend import lay_over
from bodyreg.synthetic.looks.hair import Hair
from bodyreg.synthetic.looks.measurements import Measures

# Tones of skin from light to dark in good light, as red, green, blue.
TONES = np.array(
    [(246, 214, 188), (236, 196, 162), (222, 172, 132), (196, 142, 100), (156, 106, 72),
     (116, 76, 52), (78, 52, 38)], np.float32,
)[:, ::-1]  # fmt: skip
EYES = np.array([(70, 45, 25), (50, 32, 18), (110, 85, 50), (90, 120, 140), (95, 115, 85)])[:, ::-1]
# The canvas of a face: pixels per face unit, and its extent to each side, up and down in units.
FINE = 12
ASIDE, UP, DOWN = 3.0, 3.0, 4.5
BITS = 4


@dataclass(frozen=True, eq=False)
class Face:
    """Skin and a face. The face is drawn on first use, because half of all people face away.

    Attributes:
        skin: (3,) float32 blue, green, red.
        seed: Seed of the details.
        measures: The body's measures, with the places of eyes and nose.
        hair: Gives the colour of brows and beard.
        old: 0 to 1: strength of wrinkles.
        sex: -1 woman to 1 man.
    """

    skin: np.ndarray
    seed: tuple[int, ...]
    measures: Measures
    hair: Hair
    old: float
    sex: float

    @property
    def origin(self) -> np.ndarray:
        """(2,) x and y of the canvas' upper left corner in the rest pose, metres."""
        return self.measures.eyes[:2] + self.measures.face_unit * np.array([-ASIDE, UP])

    @property
    def scale(self) -> float:
        """Canvas pixels per metre."""
        return FINE / self.measures.face_unit

    @cached_property
    def canvas(self) -> np.ndarray:
        """(h, w, 3) uint8, the face from the front."""
        return _draw(self)


def sample_skin(random: np.random.Generator) -> np.ndarray:
    """Sample a skin colour, (3,) float32 blue, green, red."""
    tone = random.beta(1.1, 1.5) * (len(TONES) - 1)
    low = min(int(tone), len(TONES) - 2)
    skin = TONES[low] + (tone - low) * (TONES[low + 1] - TONES[low])
    return np.clip(skin * (1 + random.normal(0, 0.02, 3)), 20, 250).astype(np.float32)


def _draw(face: Face) -> np.ndarray:
    random, skin, hair = np.random.default_rng(face.seed), face.skin, face.hair
    old, sex = face.old, face.sex
    eye = face.measures.eye_side / face.measures.face_unit
    # The distance of the eyes is rounded to half pixels, so that few shades need to be cached.
    shades = _shades(round(2 * FINE * eye) / (2 * FINE), sex < 0)
    # OpenCV draws smooth edges only in pictures of bytes.
    pen = _Pen(np.rint(skin * shades).astype(np.uint8), eye)
    if old > 0.3:
        for y, width in ((1.45, 1.2), (1.8, 1.0)):
            pen.line([(-width, y), (0, y + 0.05), (width, y)], 0.82 * skin, 0.07)
        pen.line([(0.5, -1.15), (0.95, -2.0)], 0.75 * skin, 0.09)
        pen.line([(eye - 0.5, -0.45), (eye + 0.5, -0.5)], 0.78 * skin, 0.08)
    lips = skin * np.array([0.62, 0.55, 0.85]) if sex > 0 else skin * np.array([0.55, 0.45, 0.9])
    if sex < 0 and random.random() < 0.35:
        lips = np.array([60, 45, 175]) * random.uniform(0.7, 1.0)
    if hair.beard > 0:
        _beard(pen, hair)
    _mouth(pen, random, lips, sex)
    pen.disc((0.28, -1.18), (0.13, 0.08), 0.35 * skin)
    _eyes(pen, random, skin, sex)
    brow = 0.6 * hair.colour * 0.9 + 0.4 * 0.5 * skin
    thick = random.uniform(0.16, 0.3) if sex > 0 else random.uniform(0.1, 0.18)
    arch = random.uniform(0.0, 0.2)
    pen.line([(eye - 0.5, 0.56), (eye + 0.1, 0.66 + arch), (eye + 0.75, 0.5)], brow, thick)
    if random.random() < (0.3 if old > 0.3 else 0.1):
        _glasses(pen, random)
    return np.concatenate([pen.canvas[:, ::-1], pen.canvas], 1)


def _eyes(pen: _Pen, random: np.random.Generator, skin: np.ndarray, sex: float) -> None:
    eye = pen.eye
    iris = EYES[random.integers(len(EYES))]
    pen.disc((eye, 0), (0.5, 0.27), np.array([222, 226, 230.0]) * 0.7 + 0.3 * skin)
    pen.disc((eye, 0.0), (0.23, 0.23), iris)
    pen.disc((eye, 0.0), (0.1, 0.1), np.array([12, 12, 12]))
    lid = skin * 0.3 if sex < 0 else skin * 0.42
    pen.line([(eye - 0.5, -0.02), (eye, 0.29), (eye + 0.54, 0.03)], lid, 0.14 if sex < 0 else 0.11)
    pen.line([(eye - 0.45, -0.1), (eye, -0.27), (eye + 0.48, -0.05)], 0.66 * skin, 0.07)


def _mouth(pen: _Pen, random: np.random.Generator, lips: np.ndarray, sex: float) -> None:
    y, width = -2.15, random.uniform(0.7, 0.95)
    smile = random.uniform(-0.05, 0.16)
    full = random.uniform(0.12, 0.2) * (1.25 if sex < 0 else 1)
    pen.disc((0, y - 0.16), (0.8 * width, full), lips * 1.05)
    pen.disc((0, y + 0.1), (0.85 * width, 0.75 * full), lips * 0.85)
    if smile > 0.08 and random.random() < 0.5:
        teeth = np.array([225, 232, 238])
        pen.line([(-0.6 * width, y), (0, y - 0.06), (0.6 * width, y)], teeth, 0.17)
    else:
        pen.line([(-width, y + smile), (0, y), (width, y + smile)], lips * 0.45, 0.09)


def _beard(pen: _Pen, hair: Hair) -> None:
    """Draw stubble to a full beard, with a moustache and soft edges."""
    outline = [(2.35, 0.2), (2.05, -0.9), (1.35, -1.75), (0.9, -1.62), (0.4, -1.5), (0, -1.55)]
    outline += [(0, -2.0), (0, -4.5), (2.9, -4.5)]
    mask = np.zeros(pen.canvas.shape[:2], np.uint8)
    cv2.fillPoly(mask, [pen.corners(outline)], 255, shift=BITS)
    soft = cv2.GaussianBlur(mask, (0, 0), 0.12 * FINE).astype(np.float32) / 255
    # Grey beards look darker than grey hair, because skin shows through.
    pen.blend(hair.beard * soft, np.minimum(0.85 * hair.colour, 120))


def _glasses(pen: _Pen, random: np.random.Generator) -> None:
    frame = np.array([30, 30, 35]) + random.uniform(0, 60)
    thick = max(1, round(0.12 * FINE))
    pen.disc((pen.eye, -0.08), (0.72, 0.55), frame, thick)
    pen.line([(-0.35, 0.05), (0.35, 0.05)], frame, 0.12)
    pen.line([(pen.eye + 0.7, 0.05), (2.6, 0.1)], frame, 0.12)


class _Pen:
    """Draws one half of a face, in face units from the point between the eyes, y up."""

    def __init__(self, canvas: np.ndarray, eye: float):
        self.canvas, self.eye = canvas, eye

    def corners(self, places: list[tuple[float, float]]) -> np.ndarray:
        """(n, 2) int32 pixels in OpenCV's fixed point."""
        return np.array([[round(v * (1 << BITS)) for v in _at(*p)] for p in places], np.int32)

    def blend(self, share: np.ndarray, colour: np.ndarray) -> None:
        """Blend a colour over the canvas, with the opacity (h, w) of every pixel."""
        mixed = self.canvas.astype(np.float32)
        lay_over(mixed, colour.astype(np.float32), share)
        self.canvas[:] = np.rint(mixed)

    def disc(
        self, place: tuple[float, float], axes: tuple[float, float], colour: np.ndarray,
        thick: int = -1,
    ) -> None:  # fmt: skip
        """Draw an ellipse: filled, or an outline `thick` pixels wide."""
        numbers = (*_at(*place), FINE * axes[0], FINE * axes[1])
        x, y, a, b = (round(v * (1 << BITS)) for v in numbers)
        colours = _held(colour)
        cv2.ellipse(self.canvas, (x, y), (a, b), 0, 0, 360, colours, thick, cv2.LINE_AA, BITS)

    def line(self, places: list[tuple[float, float]], colour: np.ndarray, thick: float) -> None:
        """Draw a line through places."""
        wide, corners = max(1, round(thick * FINE)), [self.corners(places)]
        cv2.polylines(self.canvas, corners, False, _held(colour), wide, cv2.LINE_AA, BITS)


def _held(colour: np.ndarray) -> list[float]:
    return [min(max(c, 0.0), 255.0) for c in colour.tolist()]


def _at(x: float, y: float) -> tuple[float, float]:
    """Canvas pixels of a place in face units; OpenCV's pixel centres are integers."""
    return FINE * x - 0.5, FINE * (UP - y) - 0.5


@lru_cache(maxsize=64)
def _shades(eye: float, rosy: bool) -> np.ndarray:
    """(h, w, 3) float32 factors on the skin's colour, for half a face."""
    shades = np.ones((round((UP + DOWN) * FINE), round(ASIDE * FINE), 3), np.float32)
    rows, columns = shades.shape[:2]
    warm = (0.78, 0.8, 1.04)
    # Cheeks and nose are redder; eye sockets and the areas under nose, lip and chin are darker.
    for place, size, colour, strength in (
        ((eye * 1.35, -1.35), 0.75, warm, 0.45 if rosy else 0.35),
        ((0, -1.05), 0.4, warm, 0.3),
        ((eye, 0.05), 0.75, 0.72, 0.55),
        ((0, -1.42), 0.42, 0.68, 0.6),
        ((0, -3.0), 0.4, 0.8, 0.45),
        ((0.34, -0.55), 0.3, 0.85, 0.4),
    ):
        spot = np.float32(strength) * _glow(size)
        x, y = (round(v) - len(spot) // 2 for v in _at(*place))
        top, left = max(y, 0), max(x, 0)
        spot = spot[top - y : rows - y, left - x : columns - x]
        window = shades[top : top + spot.shape[0], left : left + spot.shape[1]]
        lay_over(window, np.float32(colour), spot)
    return shades


def _glow(size: float) -> np.ndarray:
    """(n, n) float32 spot: 1 in the middle, falling smoothly to 0 at 1.5 `size` face units."""
    reach = round(1.5 * size * FINE)
    place = np.arange(-reach, reach + 1, dtype=np.float32) / max(reach, 1)
    return np.square(np.maximum(1 - place**2 - place[:, None] ** 2, 0))
