"""Hair: the region where it grows, its volume, its colour and its strands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodyreg.synthetic.looks.measurements import Measures
from bodyreg.synthetic.noise import SIDE as NOISE_SIDE
from bodyreg.synthetic.noise import fractal_tile, sample_tile

# Written as red, green, blue; stored as blue, green, red.
COLOURS = np.array(
    [(22, 18, 17), (38, 28, 23), (60, 42, 30), (88, 60, 40), (120, 84, 54), (168, 128, 82),
     (205, 170, 115), (125, 60, 32)], np.float32,
)[:, ::-1]  # fmt: skip
SHARES = (0.26, 0.22, 0.16, 0.12, 0.08, 0.07, 0.05, 0.04)


@dataclass(frozen=True, eq=False)
class Hair:
    """The hair of a person.

    Heights are in heads: 0 between the ears, 1 at the crown.

    Attributes:
        colour: (3,) float32.
        front: Height of the hairline above the forehead.
        sideburn: Lower end in front of the ears.
        nape: Lower end behind: about -0.5 for short hair, -2 on the shoulders.
        bald: The crown is bald down to this height; 1 or more means no baldness.
        volume: Thickness, metres on an adult.
        beard: Opacity of a beard; 0 is none.
        cap: (3,) colour of a cap, or None.
    """

    colour: np.ndarray
    front: float
    sideburn: float
    nape: float
    bald: float
    volume: float
    beard: float
    cap: np.ndarray | None


def sample_hair(
    random: np.random.Generator, sex: float, child: bool, old: float, skin: np.ndarray
) -> Hair:
    """Sample the hair of a person.

    Args:
        random: Source of random numbers.
        sex: -1 woman to 1 man.
        child: Children have no beard and no grey hair.
        old: 0 to 1: greyer and thinner hair.
        skin: (3,) colour of the skin; dark skin comes with dark hair.
    """
    shares = np.array(SHARES) * np.where(np.arange(len(SHARES)) < 3, 1, skin.mean() > 140)
    colour = COLOURS[random.choice(len(COLOURS), p=shares / shares.sum())]
    colour = colour * random.uniform(0.85, 1.15)
    grey = np.clip(old * random.uniform(0.6, 1.5), 0, 1) * (not child)
    colour = colour + grey * (random.uniform(130, 215) - colour)
    long = random.random() < (0.72 if sex < 0 else 0.08)
    fringe = random.random() < (0.35 if long or child else 0.2)
    bald = sex > 0 and not child and random.random() < 0.07 + 0.3 * old
    nape = -0.45
    if long and not bald:
        nape = random.uniform(-2.1, -0.7)
    buzz = random.random() < 0.25
    volume = (
        random.uniform(0.003, 0.008)
        if bald or (buzz and not long)
        else random.uniform(0.012, 0.028)
    )
    bearded = sex > 0 and not child and random.random() < 0.4
    capped = random.random() < 0.09
    return Hair(
        colour=np.clip(colour, 10, 235).astype(np.float32),
        front=random.uniform(0.3, 0.45) if fringe else random.uniform(0.58, 0.74),
        sideburn=random.uniform(-0.3, -0.1) if bearded else random.uniform(-0.05, 0.2),
        nape=nape,
        bald=random.uniform(0.3, 0.6) if bald else 1.0,
        volume=volume,
        beard=float(random.choice([0.35, 0.75, 0.95])) if bearded else 0.0,
        cap=random.uniform(20, 220, 3).astype(np.float32) if capped else None,
    )


def head_places(measures: Measures, rest: np.ndarray | None = None) -> np.ndarray:
    """(3, P) float32 rest positions (3, P), by default the vertices', in heads from the ears."""
    rest = measures.rest if rest is None else rest
    return (rest - measures.ear.astype(np.float32)[:, None]) / np.float32(measures.crown)


def hair_field(hair: Hair, measures: Measures, place: np.ndarray) -> np.ndarray:
    """The field of the hair: (P,) float32 distance inside, in heads; negative outside.

    Args:
        hair: The hair.
        measures: The measures of the same person.
        place: (3, P) from `head_places`.
    """
    # Points far from the head have no hair and are not computed.
    near = np.flatnonzero((place[1] > hair.nape - 1) & (np.abs(place[0]) < 2.6))
    x, y, z = place.take(near, 1)
    x = np.abs(x)
    long = hair.nape < -0.6
    temple = hair.sideburn if not long else min(hair.sideburn, -0.3)
    depths = (-9, -0.12, 0.08, 0.24, 0.42, 0.62, 0.8, 9)
    lines = (
        hair.nape, hair.nape, hair.nape if long else temple, temple + 0.12, 0.42,
        hair.front - 0.02, hair.front + 0.04, hair.front + 0.06,
    )  # fmt: skip
    inside = y - np.interp(z, depths, lines).astype(np.float32)
    # Long hair falls beside the neck, not over the whole shoulders.
    inside = np.minimum(inside, np.interp(y, (-1.2, -0.5), (0.62, 2)) - x)
    if not long:
        ear = measures.ear_side / measures.crown
        away = np.sqrt((y + 0.02) ** 2 + (z - 0.02) ** 2) - 0.3
        inside = np.where(x > ear - 0.12, np.minimum(inside, away), inside)
    if hair.bald < 1:
        # Hair remains around the back, behind the ears.
        inside = np.minimum(np.minimum(inside, hair.bald - y), 0.3 - z)
    everywhere = np.full(place.shape[1], -1, np.float32)
    everywhere[near] = inside
    return everywhere


def cap_field(hair: Hair, place: np.ndarray) -> np.ndarray:
    """The field of a cap: (P,) float32 distance inside, in heads; negative outside."""
    if hair.cap is None:
        return np.full(place.shape[1], -1, np.float32)
    return (place[1] - 0.5 - 0.06 * place[2]).astype(np.float32)


def strands(hair: Hair, place: np.ndarray) -> np.ndarray:
    """(P, 3) float32 colour of hair, 0 to 255, with strands down from the crown."""
    angle = np.arctan2(place[0], place[2] - 0.1) * np.float32(NOISE_SIDE / (2 * np.pi))
    fine = sample_tile(fractal_tile(), 5 * angle + 12 * place[1], 10 * place[1])
    # A parting, and darker towards the ends.
    parting = 1 - 0.35 * np.exp(-(((place[0] - 0.2) / 0.05) ** 2)) * (place[1] > 0.6)
    depth = np.clip(0.85 + 0.25 * place[1], 0.65, 1.05)
    return (
        hair.colour * ((1 + np.float32(0.2) * fine) * parting * depth).astype(np.float32)[:, None]
    )
