"""How good the map of DensePose's charts to the built-in body is.

    python -m benchmarks.charts UV_Processed.mat
        --template smpl_topology_from_mhr_template.npy   # sides and mirror
        --detections standing.npz                        # how real detections fit
        --table other.npz                                # another map (tools/map_smpl.py --shape)
        --picture charts.png                             # the charts on the body

The files are not part of this project. `standing.npz` has, for each person i, what DensePose shows:
`x_i`, `y_i` picture pixels, `I_i` 1 to 24, `U_i`, `V_i` in [0, 1].
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from bodyreg import ops
from bodyreg.body import Body, CarriedCharts, Charts
from bodyreg.body.landmarks import SMPL_LANDMARK_VERTICES
from bodyreg.body.smpl import SmplVertices
from bodyreg.body.surface import vertex_normals
from bodyreg.body.uv import load_uv
from bodyreg.data import Observations
from bodyreg.npz import load_npz
from bodyreg.registration import register

POINTS = 40_000
FOLDS = 5
FRAME = 256
GROUPS = {
    "torso": (1, 2), "hands": (3, 4), "feet": (5, 6), "upper legs": (7, 8, 9, 10),
    "lower legs": (11, 12, 13, 14), "upper arms": (15, 16, 17, 18), "lower arms": (19, 20, 21, 22),
    "head": (23, 24),
}  # fmt: skip
# Looks at the body: what is drawn (parts of the charts, or all), and the axes that go to the right,
# up and to the viewer, with signs.
FRONT, BACK = ((0, 1), (1, 1), (2, 1)), ((0, -1), (1, 1), (2, -1))
LEFT, TOP, BOTTOM = ((2, -1), (1, 1), (0, 1)), ((0, 1), (2, -1), (1, 1)), ((0, 1), (2, 1), (1, -1))
LARGE, SMALL = 900, 450


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("uv", type=Path, help="DensePose's UV_Processed.mat")
    for name in ("--template", "--detections", "--table", "--picture"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    charts = load_uv(options.uv, len(Body.default().smpl))
    body = Body.default().with_uv(options.uv)
    carried = body.charts_named("densepose")
    round_trip(body, charts, carried)
    seams(body, charts, carried)
    landmarks(body)
    if options.template:
        sides(body, np.load(options.template))
    if options.table:
        other = load_npz(options.table, kind="table")
        compare(body, charts, SmplVertices(other["smpl_vertex"], other["smpl_barycentric"]))
    if options.detections:
        people = load_npz(options.detections, kind="detections")
        print(f"\nheld-out points of real detections, pixels of a {FRAME}-pixel frame")
        for name, there in (("these charts", carried), ("the body's own charts", body.charts)):
            print(f"  {name}: {_percentiles(held_out(body, there, people))}")
    if options.picture:
        cv2.imwrite(str(options.picture), picture(places(body, body.smpl), charts))


def places(body: Body, points: SmplVertices | tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(P, 3) metres."""
    if isinstance(points, SmplVertices):
        points = points.vertex, points.barycentric
    vertex, share = points
    return (body.vertices[vertex].astype(np.float64) * share[..., None]).sum(1)


def spread(body: Body, charts: Charts) -> tuple[np.ndarray, np.ndarray]:
    """Parts and (u, v) of points that are spread over the body."""
    random = np.random.default_rng(0)
    corners = places(body, body.smpl)[charts.vertex[charts.faces]]
    area = np.linalg.norm(np.cross(*(corners[:, i] - corners[:, 0] for i in (1, 2))), axis=1)
    face = random.choice(len(area), POINTS, p=area / area.sum())
    share = random.dirichlet([1, 1, 1], POINTS)[..., None]
    return charts.part[face], (charts.uv[charts.faces[face]].astype(np.float64) * share).sum(1)


def round_trip(body: Body, charts: Charts, carried: CarriedCharts) -> None:
    """(part, u, v) -> body -> (part, u, v) -> body."""
    part, uv = spread(body, charts)
    there = carried.locate(part, uv)
    back = carried.locate(part, carried.coordinates(part, *there))
    away = 1000 * np.linalg.norm(places(body, there) - places(body, back), axis=1)
    print(f"round trip, mm: {_percentiles(away)}")
    _by_group(part, away)


def seams(body: Body, charts: Charts, carried: CarriedCharts) -> None:
    """Middles of edges where two parts meet, found through both."""
    edges = np.stack([charts.faces, np.roll(charts.faces, -1, 1)], 2).reshape(-1, 2)
    part = charts.part.repeat(3)
    ends = np.sort(charts.vertex[edges], 1)
    order = np.lexsort((part, ends[:, 1], ends[:, 0]))
    same = (ends[order[1:]] == ends[order[:-1]]).all(1)
    one, other = order[:-1][same], order[1:][same]
    border = part[one] != part[other]
    if not border.any():
        print("seams: no edge is in two parts")
        return
    found = [
        places(body, carried.locate(part[rows], charts.uv[edges[rows]].astype(np.float64).mean(1)))
        for rows in (one[border], other[border])
    ]
    away = 1000 * np.linalg.norm(found[0] - found[1], axis=1)
    print(f"seams ({len(away)}), mm: {_percentiles(away)}")


def landmarks(body: Body) -> None:
    """SMPL's vertices against the body's own landmarks."""
    names = list(SMPL_LANDMARK_VERTICES)
    found = places(body, body.smpl_points([SMPL_LANDMARK_VERTICES[name] for name in names]))
    own = [
        body.landmarks[name].weights @ body.vertices[body.landmarks[name].vertices]
        for name in names
    ]
    away = 1000 * np.linalg.norm(found - own, axis=1)
    print(f"landmarks, mm: {', '.join(f'{n} {d:.0f}' for n, d in zip(names, away, strict=True))}")


def sides(body: Body, template: np.ndarray) -> None:
    """Vertices on the wrong side, and how far pairs of mirrored vertices are from mirror images."""
    from scipy.spatial import cKDTree

    found = places(body, body.smpl)
    aside = np.abs(template[:, 0]) > 0.005
    wrong = aside & (np.sign(template[:, 0]) != np.sign(found[:, 0]))
    apart, pair = cKDTree(template).query(template * [-1, 1, 1])
    paired = (pair[pair] == np.arange(len(pair))) & (apart < 0.001)
    away = 1000 * np.linalg.norm(found[pair] * [-1, 1, 1] - found, axis=1)[paired]
    print(f"on the other side: {wrong.sum()} of {aside.sum()} vertices")
    print(f"mirror ({paired.sum()} vertices whose pairs are within 1 mm), mm: {_percentiles(away)}")


def compare(body: Body, charts: Charts, other: SmplVertices) -> None:
    """The map against another one."""
    away = 1000 * np.linalg.norm(places(body, other) - places(body, body.smpl), axis=1)
    print(f"\nagainst the other map, mm: {_percentiles(away)}")
    _by_group(charts.extended_part, away[charts.vertex])


def held_out(
    body: Body, charts: Charts | CarriedCharts, people: dict[str, np.ndarray]
) -> np.ndarray:
    """Distances of points that the fits have not seen, pixels of a frame 256 pixels wide."""
    away = []
    count = sum(name.startswith("I_") for name in people)
    for person in range(count):
        xy = np.stack([people[f"x_{person}"], people[f"y_{person}"]], 1).astype(np.float64)
        uv = np.stack([people[f"U_{person}"], people[f"V_{person}"]], 1)
        vertex, share = charts.locate(people[f"I_{person}"], uv)
        fold = np.random.default_rng(person).permutation(len(xy)) % FOLDS
        low, high = xy.min(0), xy.max(0)
        frame = np.array([[*(low + high) / 2, 0.55 * (high - low).max()]], np.float32)
        for out in range(FOLDS):
            seen, hidden = fold != out, fold == out
            fits = register(
                body,
                Observations(
                    id=np.zeros(1, np.int64),
                    frame=frame,
                    point_start=np.array([0, seen.sum()]),
                    point_xy=xy[seen],
                    point_vertex=vertex[seen],
                    point_barycentric=share[seen],
                    point_weight=np.ones(seen.sum()),
                    keypoint_name=("nose",),
                    keypoint_xy=np.zeros((1, 1, 2)),
                    keypoint_weight=np.zeros((1, 1)),
                    body=body.fingerprint,
                ),
            )
            points_of = partial(
                Body.surface_points, vertex=vertex[hidden], barycentric=share[hidden]
            )
            shown = fits.seen(fits.points(body, points_of))[0, :, :2]
            place = (xy[hidden] - frame[0, :2]) * [1, -1] / frame[0, 2]
            away.append((shown - place) * FRAME / 2)
    return np.linalg.norm(np.concatenate(away), axis=1)


def picture(vertices: np.ndarray, charts: Charts) -> np.ndarray:
    """(H, W, 3) uint8: the charts on the body, chequered in steps of a sixteenth of u and v."""
    whole = [_drawn(vertices, charts, range(1, 25), look, LARGE) for look in (FRONT, BACK)]
    looks = [((23, 24), FRONT), ((23, 24), LEFT), ((4,), TOP), ((4,), BOTTOM)]
    near = [_drawn(vertices, charts, parts, look, SMALL) for parts, look in looks]
    return np.hstack([*whole, np.vstack([np.hstack(near[:2]), np.hstack(near[2:])])])


def _drawn(
    vertices: np.ndarray, charts: Charts, parts: range | tuple, look: tuple, side: int
) -> np.ndarray:
    mine = np.flatnonzero(np.isin(charts.part, parts))
    faces = charts.vertex[charts.faces[mine]]
    axes, signs = zip(*look, strict=True)
    seen = vertices[:, axes] * signs
    low, high = seen[faces].min((0, 1)), seen[faces].max((0, 1))
    scale = 0.94 * side / (high - low)[:2].max()
    pixels = (seen - (low + high) / 2) * scale * [1, -1, 1] + [side / 2, side / 2, 0]
    drawn = ops.raster(
        torch.from_numpy(np.ascontiguousarray(pixels[None], np.float32)),
        torch.from_numpy(np.ascontiguousarray(faces, np.int32)),
        side,
        side,
    )
    face, share = drawn.face[0].numpy(), drawn.barycentric[0].numpy()
    there = face >= 0
    face, share = face[there], share[there][..., None]
    uv = (charts.uv[charts.faces[mine[face]]] * share).sum(1)
    normals = vertex_normals(seen.astype(np.float32), faces)
    facing = np.abs((normals[faces[face]] * share).sum(1)[:, 2:])
    hue = (charts.part[mine[face]] * 7 % 24 * 7.5).astype(np.uint8)
    solid = np.full(len(hue), 150, np.uint8), np.full(len(hue), 255, np.uint8)
    colour = cv2.cvtColor(np.stack([hue, *solid], 1)[None], cv2.COLOR_HSV2BGR)[0]
    chequered = 0.75 + 0.25 * (np.floor(16 * uv).sum(1, keepdims=True) % 2)
    image = np.full((side, side, 3), 255, np.uint8)
    image[there] = colour * chequered * (0.45 + 0.55 * facing)
    return image


def _by_group(part: np.ndarray, away: np.ndarray) -> None:
    for name, parts in GROUPS.items():
        print(f"  {name}: {_percentiles(away[np.isin(part, parts)])}")


def _percentiles(values: np.ndarray) -> str:
    return ", ".join(f"{q} % {np.percentile(values, q):.2f}" for q in (50, 90, 99, 100))


if __name__ == "__main__":
    main()
