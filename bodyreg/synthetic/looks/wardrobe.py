"""The clothes of a person, sampled once from the person's look and the same in every pose."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bodyreg.synthetic.looks.patterns import (
    BOTTOMS,
    DRESSES,
    TOPS,
    Cloth,
    pick,
    sample_cloth,
    sample_colour,
    sample_print,
)

# Heights and lengths below are in the coordinates of `Measures`: 1 ankle, 2 knee, 3 hip, 4 waist,
# 5 neck along the body; 0 shoulder, 1 elbow, 2 wrist along an arm.


@dataclass(frozen=True, eq=False)
class Top:
    """A garment of the upper body.

    Attributes:
        cloth: Its material.
        sleeve: End of the sleeves along the arm; below 0 there are none.
        hem: Height of its lower end.
        neck: Depth of the neckline in front below the neck's base, metres on an adult.
        wide: Distance of the neckline from the neck at the sides, metres on an adult.
        loose: Distance from the body, metres.
        print: (64, 64, 4) uint8 on the chest, or None.
        yoke: Cloth above the chest and at the ends of the sleeves; None for the same cloth.
        collar: Height of a collar, metres; 0 is none.
        open: Half the width of a jacket's opening at the hem, metres; 0 is closed.
        inner: Cloth that shows in the opening.
        buttoned: Whether there is a row of buttons in front.
    """

    cloth: Cloth
    sleeve: float
    hem: float
    neck: float
    wide: float
    loose: float
    print: np.ndarray | None = None
    yoke: Cloth | None = None
    collar: float = 0.0
    open: float = 0.0
    inner: Cloth | None = None
    buttoned: bool = False


@dataclass(frozen=True, eq=False)
class Bottom:
    """A garment of the lower body.

    Attributes:
        cloth: Its material.
        waist: Height of its upper end.
        end: Height of its lower end.
        loose: Distance from the body, metres.
        skirt: Whether one piece covers both legs.
        belt: (3,) colour of a belt, or None.
    """

    cloth: Cloth
    waist: float
    end: float
    loose: float
    skirt: bool = False
    belt: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Shoes:
    """Shoes and socks.

    Attributes:
        colour: (3,) colour of the shoes.
        sole: (3,) colour of the soles.
        shaft: Height of the shoes' upper end.
        sock: (3,) colour of socks, or None.
        sock_end: Height of the socks' upper end.
    """

    colour: np.ndarray
    sole: np.ndarray
    shaft: float
    sock: np.ndarray | None
    sock_end: float


@dataclass(frozen=True, eq=False)
class Outfit:
    """All clothes of a person; `shoes` is None for bare feet."""

    top: Top
    bottom: Bottom
    shoes: Shoes | None


def sample_outfit(random: np.random.Generator, sex: float, child: bool) -> Outfit:
    """Sample clothes.

    Args:
        random: Source of random numbers.
        sex: -1 woman to 1 man.
        child: Children wear brighter colours.
    """
    bold = 0.75 if child else 0.55 if sex < 0 else 0.4
    feminine = random.random() < (0.5 - 0.5 * sex) * 0.9
    bottom = _bottom(random, bold, feminine)
    if feminine and random.random() < 0.28:
        top = _dress(random, bold)
        # Mostly the bottom is hidden by the dress.
        if random.random() < 0.7:
            bottom = replace(bottom, end=max(bottom.end, top.hem + 0.15), skirt=False, loose=0.002)
    else:
        tank = 0.12 if feminine else 0.06
        kinds = {_shirt: 0.18, _tee: 0.34, _pullover: 0.2, _tank: tank, _jacket: 0.2}
        top = pick(random, kinds)(random, bold)
    return Outfit(top, bottom, _shoes(random, bold))


def _tee(random: np.random.Generator, bold: float) -> Top:
    cloth = sample_cloth(random, TOPS, bold)
    plain = np.ptp(cloth.tile[::8, ::8].reshape(-1, 3), 0).max() < 60
    chest = random.random() < 0.5 and plain
    return Top(
        cloth=cloth,
        sleeve=random.uniform(0.4, 0.85),
        hem=random.uniform(2.72, 2.95),
        neck=random.choice([0.02, 0.03, 0.09]),
        wide=random.uniform(0.0, 0.01),
        loose=random.uniform(0.006, 0.02),
        print=sample_print(random, cloth.tile[::8, ::8].mean((0, 1))) if chest else None,
        yoke=sample_cloth(random, TOPS, bold) if plain and random.random() < 0.15 else None,
        collar=0.02 if random.random() < 0.2 else 0.0,
    )


def _shirt(random: np.random.Generator, bold: float) -> Top:
    return Top(
        cloth=sample_cloth(random, {"plain": 0.5, "checks": 0.3, "stripes": 0.2}, 0.6 * bold),
        sleeve=float(random.choice([0.75, 1.3, 1.97])),
        hem=random.uniform(2.75, 3.0),
        neck=random.uniform(0.02, 0.06),
        wide=0.0,
        loose=random.uniform(0.008, 0.018),
        collar=0.035,
        buttoned=True,
    )


def _pullover(random: np.random.Generator, bold: float) -> Top:
    cloth = sample_cloth(random, {"knit": 0.4, "plain": 0.3, "melange": 0.2, "stripes": 0.1}, bold)
    return Top(
        cloth=cloth,
        sleeve=random.uniform(1.9, 2.1),
        hem=random.uniform(2.8, 3.0),
        neck=random.choice([-0.02, 0.015, 0.03]),
        wide=0.0,
        loose=random.uniform(0.014, 0.026),
        print=sample_print(random, cloth.tile[::8, ::8].mean((0, 1)))
        if random.random() < 0.2
        else None,
        collar=0.03 if random.random() < 0.3 else 0.0,
    )


def _tank(random: np.random.Generator, bold: float) -> Top:
    return Top(
        cloth=sample_cloth(random, TOPS, bold),
        sleeve=-0.1,
        hem=random.uniform(2.8, 3.3),
        neck=random.uniform(0.06, 0.1),
        wide=random.uniform(0.004, 0.016),
        loose=random.uniform(0.003, 0.012),
    )


def _jacket(random: np.random.Generator, bold: float) -> Top:
    """A jacket over a shirt; the shirt shows in front unless the jacket is closed."""
    return Top(
        cloth=sample_cloth(random, {"plain": 0.6, "denim": 0.2, "melange": 0.2}, 0.7 * bold),
        sleeve=random.uniform(1.85, 2.1),
        hem=random.uniform(2.5, 2.95),
        neck=0.015,
        wide=0.0,
        loose=random.uniform(0.018, 0.03),
        collar=0.05,
        open=random.uniform(0.03, 0.1) if random.random() < 0.75 else 0.0,
        inner=sample_cloth(random, TOPS, bold),
        buttoned=random.random() < 0.5,
    )


def _dress(random: np.random.Generator, bold: float) -> Top:
    return Top(
        cloth=sample_cloth(random, DRESSES, max(bold, 0.6)),
        sleeve=float(random.choice([-0.1, 0.35, 0.7, 1.95])),
        hem=random.uniform(1.5, 2.5),
        neck=random.uniform(0.02, 0.09),
        wide=random.uniform(0.0, 0.02),
        loose=random.uniform(0.004, 0.012),
    )


def _bottom(random: np.random.Generator, bold: float, feminine: bool) -> Bottom:
    waist = random.uniform(3.4, 3.7)
    if feminine and random.random() < 0.3:
        cloth = sample_cloth(random, DRESSES, bold)
        return Bottom(cloth, waist, random.uniform(1.6, 2.55), 0.012, skirt=True)
    cloth = sample_cloth(random, BOTTOMS, 0.5 * bold)
    tight = random.random() < (0.45 if feminine else 0.15)
    end = random.choice([0.72, 0.72, 0.72, 1.45, random.uniform(2.0, 2.6)])
    loose = random.uniform(0.001, 0.005) if tight else random.uniform(0.01, 0.026)
    belt = sample_colour(random, 0.2) * 0.5 if random.random() < 0.3 else None
    return Bottom(cloth, waist, float(end), loose, belt=belt)


def _shoes(random: np.random.Generator, bold: float) -> Shoes | None:
    if random.random() < 0.1:
        return None
    colour = sample_colour(random, 0.35 * bold)
    light = random.random() < 0.4
    return Shoes(
        colour=colour,
        sole=np.full(3, random.uniform(190, 235)) if light else 0.4 * colour,
        shaft=pick(random, {0.85: 0.6, 0.95: 0.25, 1.15: 0.15}),
        sock=sample_colour(random, 0.3) if random.random() < 0.8 else None,
        sock_end=random.uniform(1.05, 1.45),
    )
