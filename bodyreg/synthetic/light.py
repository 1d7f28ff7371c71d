"""Light on bodies and the ground: a key light with shadows, and ambient light from sky and ground.

Colours are multiplied in linear light, which a square and a square root approximate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch

from bodyreg.ops import raster
from bodyreg.synthetic.blend import threefold
from bodyreg.synthetic.figure import Figure
from bodyreg.synthetic.looks.paint import Paint
from bodyreg.synthetic.mesh import Mesh

# Texels of a shadow map's side, and metres that a surface must lie behind another to be in shadow.
MAP_SIDE, BIAS = 144, 0.02
# Side of the cells of ground shadows, and the height below which a vertex darkens the ground right
# under it, metres.
CELL, NEAR = 0.03, 0.3
# A crease is fully dark if its surroundings are nearer by this much on average, metres.
CREASE_DEPTH = 0.05


@dataclass(frozen=True, eq=False)
class Light:
    """The light of a picture; vectors are in camera axes (x right, y up, z toward the viewer).

    Attributes:
        direction: (3,) float32 unit, toward the key light.
        key: (3,) float32 its colour, blue, green, red; 1 is white in good light.
        sky: (3,) float32 light from above.
        ground: (3,) float32 light from below.
        up: (3,) float32 unit.
        soft: Width of the shadows' edges, metres at a distance of one metre.
    """

    direction: np.ndarray
    key: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    up: np.ndarray
    soft: float

    @cached_property
    def axes(self) -> np.ndarray:
        """(3, 3) float32 rows: right, up and toward the light, as seen from the light."""
        aside = np.cross(self.up, self.direction)
        aside /= np.linalg.norm(aside)
        return np.stack([aside, np.cross(self.direction, aside), self.direction])


def sample_light(random: np.random.Generator, up: np.ndarray, outdoors: bool) -> Light:
    """Sample the light of a picture.

    Args:
        random: Source of random numbers.
        up: (3,) the world's up in camera axes.
        outdoors: True for sun, clouds or dusk; False for lamps and windows.
    """
    # Mostly over the viewer's shoulder, sometimes from behind.
    azimuth = random.normal(0, 55) if random.random() < 0.85 else random.uniform(90, 270)
    elevation = np.radians(random.uniform(32, 72))
    level = np.array([np.sin(np.radians(azimuth)), 0, np.cos(np.radians(azimuth))])
    level -= up * (level @ up)
    direction = np.cos(elevation) * level / np.linalg.norm(level) + np.sin(elevation) * up
    warmth = random.normal(0, 0.05) + (0.03 if outdoors else 0.07)
    tint = np.array([1 - 2 * warmth, 1 - 0.3 * warmth, 1 + warmth])
    cool = np.array([1.08, 1.0, 0.94]) if outdoors else np.array([1.0, 1.0, 1.0])
    bright = random.beta(2, 1.6)
    key = (0.3 + 0.75 * bright) * tint
    sky = (0.85 - 0.45 * bright) * cool
    ground = (0.4 - 0.12 * bright) * np.array([0.85, 0.97, 1.05])
    soft = random.uniform(0.03, 0.1) if outdoors and bright > 0.5 else random.uniform(0.12, 0.4)
    vectors = (np.asarray(v, np.float32) for v in (direction, key, sky, ground, up))
    return Light(*vectors, soft=float(soft))


def shade(
    light: Light, paint: Paint, normal: np.ndarray, lit: np.ndarray, open_: np.ndarray
) -> np.ndarray:
    """Shade points.

    Args:
        light: The light.
        paint: Materials of the points.
        normal: (3, P) unit, camera axes.
        lit: (P,) share of the key light that arrives.
        open_: (P,) share of the sky that is not blocked.

    Returns:
        (P, 3) float32 colours in [0, 255].
    """
    toward = light.direction @ normal
    half = light.direction + np.array([0, 0, 1], np.float32)
    mirrored = (half / np.linalg.norm(half)) @ normal
    high = 0.5 + 0.5 * (light.up @ normal)
    shares = np.empty((3, len(lit)), np.float32)
    shares[0] = high * open_
    shares[1] = open_ - shares[0]
    shares[2] = np.maximum((toward + np.float32(0.12)) * np.float32(1 / 1.12), 0) * lit
    arriving = shares.T @ np.stack([light.sky, light.ground, light.key])
    gloss = np.square(np.square(np.square(np.maximum(mirrored, 0)))) * paint.gloss * lit
    colour = paint.colour * threefold(paint.relief * np.float32(1 / 255))
    colour *= colour
    colour *= arriving
    colour += threefold(gloss * light.key.mean())
    np.minimum(colour, 1, out=colour)
    np.sqrt(colour, out=colour)
    colour *= 255
    return colour


def shadow_map_places(light: Light, vertices: np.ndarray) -> np.ndarray:
    """Vertices as seen by the key light: (3, V) float32 texels x, y of its shadow map, and depth.

    Args:
        light: The light.
        vertices: (V, 3) metres in camera axes.
    """
    seen = light.axes @ vertices.T
    low, high = seen[:2].min(1, keepdims=True), seen[:2].max(1, keepdims=True)
    seen[:2] = 2 + (seen[:2] - low) * ((MAP_SIDE - 4) / (high - low).max())
    return seen


def lit_share(places: np.ndarray, mesh: Mesh, at: np.ndarray) -> np.ndarray:
    """(P,) float32 share of the key light that the body itself does not block.

    Args:
        places: (3, V) from `shadow_map_places`.
        mesh: The body's mesh.
        at: (3, P) the points, in the same coordinates.
    """
    seen = torch.from_numpy(cv2.transpose(places))
    drawn = raster(seen[None], mesh.faces, MAP_SIDE, MAP_SIDE, cull=True)
    depth = drawn.depth[0].numpy().reshape(-1)
    limit = at[2] + np.float32(BIAS)
    # The four texels about each point.
    column, row = (at[:2] - np.float32(0.5)).astype(np.int32)
    first = row * np.int32(MAP_SIDE) + column
    total = np.zeros(len(limit), np.uint8)
    for step in (0, 1, MAP_SIDE, MAP_SIDE + 1):
        total += depth.take(first + np.int32(step)) < limit
    return total * np.float32(1 / 4)


def soften(values: np.ndarray, known: np.ndarray, reach: float) -> np.ndarray:
    """Blur the known values: a box of `reach` pixels to each side.

    Args:
        values: (H, W) float32; 0 where unknown.
        known: (H, W) float32, 1 or 0.
        reach: Pixels.

    Returns:
        (H, W) float32.
    """
    side = 2 * max(1, round(reach)) + 1
    total, count = (cv2.blur(part, (side, side)) for part in (values, known))
    return total / np.maximum(count, np.float32(1e-3))


def openness(depth: np.ndarray, known: np.ndarray, pixels_per_metre: float) -> np.ndarray:
    """Ambient visibility: the share of the sky that creases leave visible.

    Args:
        depth: (H, W) metres, larger is nearer; -inf where unknown.
        known: (H, W) float32, 1 or 0.
        pixels_per_metre: Scale of the picture.

    Returns:
        (H, W) float32; 1 on a flat surface.
    """
    height, width = depth.shape
    small = max(1, width // 2), max(1, height // 2)
    # Depths relative to the nearest point: small numbers keep their precision in the blur.
    masked = np.maximum(depth - depth.max(), np.float32(-100)) * known
    total, count = (
        cv2.resize(part, small, interpolation=cv2.INTER_LINEAR) for part in (masked, known)
    )
    side = 2 * max(1, round(0.03 * pixels_per_metre)) + 1
    total, count = (cv2.blur(cv2.blur(v, (side, side)), (side, side)) for v in (total, count))
    mean = cv2.resize(total / np.maximum(count, np.float32(1e-3)), (width, height))
    return 1 - np.float32(0.6) * np.clip((mean - masked) * np.float32(1 / CREASE_DEPTH), 0, 1)


def ground_shadow(
    figure: Figure, vertices: np.ndarray, light: Light, height: int, width: int
) -> np.ndarray:
    """The shadow of a figure on the ground that it stands on.

    Shadows are soft, so vertices instead of faces are cast, on a coarse grid.

    Args:
        figure: The figure.
        vertices: (V, 3) float32 of the dressed body, metres in camera axes.
        light: The light.
        height: Height of the picture.
        width: Width of the picture.

    Returns:
        (H, W) float32 in [0, 1].
    """
    # Every second vertex is enough: the others lie close to these.
    vertices = vertices[::2]
    rise = vertices @ light.up
    rise -= rise.min()
    scale = figure.camera.weak().pixels_per_metre
    rows, columns = (max(1, round(side / (CELL * scale))) for side in (height, width))

    def cast(grains: np.ndarray, edge: float) -> np.ndarray:
        """Cast points (n, 3) on the ground as a shadow on the grid, blurred by `edge` metres."""
        x, y, depth = figure.project(grains).T
        x, y = x * (columns / width), y * (rows / height)
        inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
        if figure.camera.perspective:
            inside &= depth < 0
        dark = np.zeros((rows, columns), np.float32)
        dark[y[inside].astype(np.int64), x[inside].astype(np.int64)] = 1
        # Close the gaps between points.
        full = np.minimum(cv2.blur(dark, (3, 3)) * 2, 1)
        return cv2.GaussianBlur(full, (0, 0), max(0.6, edge / CELL))

    away = light.direction / (light.direction @ light.up)
    key = cast(vertices - rise[:, None] * away, 0.35 * light.soft)
    # The ground close below a body is dark in any light.
    low = np.flatnonzero(rise < NEAR)
    below = cast(vertices[low] - rise[low, None] * light.up, 0.03)
    share = float(light.key.mean() / (light.key + light.sky).mean())
    total = 1 - (1 - np.float32(share) * key) * (1 - np.float32(0.7) * below)
    return cv2.resize(total, (width, height), interpolation=cv2.INTER_LINEAR)
