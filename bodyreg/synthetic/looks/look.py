"""The look of a person in every picture: skin, face, hair and clothes, laid out on the body."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bodyreg.synthetic.looks import channels
from bodyreg.synthetic.looks.face import Face, sample_skin
from bodyreg.synthetic.looks.garment_fields import (
    bottom_field,
    creasing,
    neckline_field,
    opening_field,
    shaft_field,
    top_field,
)
from bodyreg.synthetic.looks.hair import Hair, cap_field, hair_field, head_places, sample_hair
from bodyreg.synthetic.looks.measurements import Measures, measure
from bodyreg.synthetic.looks.wardrobe import Outfit, sample_outfit
from bodyreg.synthetic.mesh import Mesh
from bodyreg.synthetic.noise import SIDE, fractal_tile
from bodyreg.synthetic.people import Person

# Cloth bridges hollows by smoothing steps; LAST adds steps that turn toes into a shoe. The steps
# differ, and one is above 1, so that few steps remove all roughness: a step scales a component of
# roughness z by 1 - step · z, which is small for one of the steps at every z from 0.5 to 1.5.
BRIDGING, LAST = (0.71, 1.05, 1.54), (0.74, 1.25, 2.0)
# A skirt spans gaps between the legs of up to twice this, metres.
SPAN = 0.05
# A top with its hem below this height is a dress.
LONG = 2.6
# Largest distance between cloth and body, metres.
FARTHEST = 0.035


@dataclass(frozen=True, eq=False)
class Look:
    """The look of a person, and its effect on the body's vertices.

    Attributes:
        measures: Measures of the body.
        outfit: Clothes.
        hair: Hair.
        face: Skin and face.
        bridged: (V, 1) float32 blend from the body's surface, 0, to the smoothed surface, 1.
        rounded: (V, 1) float32 the same for the much smoother surface of shoes and long hair.
        offset: (V, 1) float32 distance of the surface from the body, metres.
        joined: (V, 1) float32 how far a skirt pulls a vertex towards its mirror vertex on the other
            leg: 1 is half the way. None without a skirt.
        mirror: (V,) the vertex on the other side; None if unknown or not needed.
        table: (13, V) float32 inputs of `paint`; its rows are listed in `channels`.
    """

    measures: Measures
    outfit: Outfit
    hair: Hair
    face: Face
    bridged: np.ndarray
    rounded: np.ndarray
    offset: np.ndarray
    joined: np.ndarray | None
    mirror: np.ndarray | None
    table: np.ndarray


@lru_cache(maxsize=8)
def look_of(person: Person) -> Look:
    """The look of a person, from the seed `person.look` and the shape of the body.

    Args:
        person: The person.
    """
    random = [np.random.default_rng([person.look, number]) for number in range(4)]
    sex = _trait(person, "sex") or random[0].choice([-1.0, 1.0])
    old = max(0.0, _trait(person, "old"))
    measures = measure(person.body)
    skin = sample_skin(random[1])
    hair = sample_hair(random[2], sex, person.child, old, skin)
    outfit = sample_outfit(random[3], sex, person.child)
    face = Face(skin, (person.look, 4), measures, hair, old, sex)
    table = _table(measures, outfit, hair)
    bridged, rounded, offset = _volumes(measures, outfit, hair, table)
    mirror = person.body.mirror_vertices
    joined = None if mirror is None else _joined(measures, outfit, table)
    if joined is not None:
        # The two sides of a skirt meet in the middle and must not cross it.
        offset = offset * (1 - joined)
    volumes = bridged, rounded, offset, joined, mirror
    return Look(measures, outfit, hair, face, *volumes, table)


def drape(look: Look, vertices: np.ndarray, mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Put clothes and hair on a posed body, for pictures only: the truth remains the bare body.

    Args:
        look: The person's look.
        vertices: (V, 3) float32 metres.
        mesh: The body's mesh.

    Returns:
        vertices (V, 3) float32 and their normals (V, 3).
    """
    if look.joined is not None:
        # A skirt spans the gap between close legs; it follows each leg when they are apart.
        half = look.joined * (vertices.take(look.mirror, 0) - vertices) / 2
        length = np.sqrt(np.square(half).sum(1, keepdims=True))
        reach = np.float32(SPAN * look.measures.size)
        vertices = vertices + half * np.minimum(1, reach / np.maximum(length, reach))
    smooth = mesh.smooth(vertices, BRIDGING)
    smoother = mesh.smooth(smooth, LAST)
    draped = vertices + look.bridged * (smooth - vertices) + look.rounded * (smoother - vertices)
    draped += look.offset * mesh.normals(draped)
    return draped, mesh.normals(draped)


def _table(m: Measures, outfit: Outfit, hair: Hair) -> np.ndarray:
    place = head_places(m)
    table = np.empty((channels.COUNT, len(m.height)), np.float32)
    table[: channels.Z + 1] = m.rest
    table[channels.FRONT], table[channels.HEIGHT], table[channels.ARM] = m.front, m.height, m.arm
    table[channels.NECKLINE] = neckline_field(outfit.top, m)
    table[channels.UPPER] = top_field(outfit.top, m, table[channels.NECKLINE])
    table[channels.LOWER] = bottom_field(outfit.bottom, m)
    table[channels.OPENING] = opening_field(outfit.top, m)
    table[channels.HAIR] = hair_field(hair, m, place)
    table[channels.CAP] = cap_field(hair, place)
    table[channels.CREASED] = creasing(m)
    return table


def _volumes(
    m: Measures, outfit: Outfit, hair: Hair, fields: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`bridged`, `rounded` and `offset` of a look: smoothness and thickness of clothes and hair."""
    size = m.size
    top = _ramp(fields[channels.UPPER], 0.02 * size)
    bottom = _ramp(fields[channels.LOWER], 0.02 * size)
    # The thickness of loose cloth varies from place to place.
    x, y, z = m.rest
    column, row = ((far * way).astype(np.int32) % SIDE for far, way in ((400, x + z), (250, y)))
    drape = fractal_tile().reshape(-1).take(SIDE * row + column)
    uneven = np.clip(1 + 0.3 * drape, 0.4, 1.7)
    below = np.clip(3 - m.height, 0, 1.5)
    flare = outfit.bottom.skirt * 0.016 * below
    # Loose trousers hang straight from the knee.
    flare += 0.6 * outfit.bottom.loose * np.clip((1.8 - m.height) / 0.8, 0, 1)
    over = np.where(outfit.top.hem < LONG, 0.02 * np.clip(3 - m.height, 0, 1.2), 0)
    offset = np.maximum(
        bottom * (outfit.bottom.loose * uneven + flare + 0.002),
        top * (outfit.top.loose * uneven + over + 0.003),
    )
    # Under a top, the waist of the bottom adds thickness.
    offset += 0.004 * top * bottom
    bridged = 0.9 * np.maximum(top, bottom)
    rounded = 0.35 * np.maximum(
        top * (outfit.top.loose > 0.012), bottom * outfit.bottom.skirt * np.clip(below, 0, 1)
    )
    if outfit.shoes is not None:
        shoe = _ramp(shaft_field(outfit.shoes.shaft, m), 0.01 * size)
        toes = np.clip(1 - m.height / 0.8, 0, 1)
        rounded = np.maximum(rounded, shoe * toes)
        offset = np.maximum(offset, shoe * (0.004 + 0.005 * toes))
        bridged *= 1 - shoe
    hairy = _ramp(fields[channels.HAIR], 0.25)
    under = _ramp(fields[channels.CAP], 0.12)
    offset = offset * (1 - hairy) + np.maximum(hairy * hair.volume, 0.6 * offset * hairy)
    offset = np.maximum(offset, 0.014 * under)
    bridged = np.maximum(bridged, 0.8 * np.maximum(hairy, under))
    rounded = np.maximum(rounded, 0.8 * hairy * (hair.nape < -0.6))
    offset = np.minimum(offset, FARTHEST) * size
    return tuple(np.clip(v, -1, 1).astype(np.float32)[:, None] for v in (bridged, rounded, offset))


def _joined(m: Measures, outfit: Outfit, fields: np.ndarray) -> np.ndarray | None:
    skirt = fields[channels.LOWER] if outfit.bottom.skirt else np.full(len(m.height), -1.0)
    if outfit.top.hem < LONG:
        skirt = np.maximum(skirt, fields[channels.UPPER])
    if skirt.max() <= 0:
        return None
    # The inner sides of the legs, from a little below the hips downwards.
    legs = _ramp(np.minimum(skirt, 0.3 * (2.95 - m.height)), 0.03 * m.size)
    inner = np.clip((m.hips[0] - np.abs(m.rest[0])) / (0.05 * m.size), 0, 1)
    # Stop short of the middle: faces that meet there would have no area.
    return (0.9 * legs * inner).astype(np.float32)[:, None]


def _ramp(field: np.ndarray, width: float) -> np.ndarray:
    """A smooth step: 0 outside, 1 at `width` and more inside."""
    share = np.clip(field / width, 0, 1)
    return share * share * (3 - 2 * share)


def _trait(person: Person, name: str) -> float:
    """A shape coefficient by its name; 0 for a body without this direction."""
    names = person.body.shape_names
    return float(person.shape[names.index(name)]) if name in names else 0.0
