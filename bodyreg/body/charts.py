"""Charts: 24 flat maps of the surface, in which (part, u, v) is a point of the body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np

from bodyreg.body.surface import barycentric_coordinates
from bodyreg.errors import UserError

PART_COUNT = 24
DENSEPOSE_CHARTS = "densepose"
"""The name of the charts in DensePose's UV_Processed.mat."""
# DensePose's maps store u and v in 8 bits, so a table of this side is exact.
TABLE_SIDE = 256
# Cells per side of the grid that finds candidate triangles. A triangle covers a few of them.
GRID_SIDE = 32
# Points outside of all triangles that are moved inside in one step.
SNAPPED = 1024
# Letters of a name of charts, which may come from a damaged file, in messages.
LONGEST_NAME = 60
# A point this far outside a triangle, in barycentric units, lies on its edge up to rounding.
EDGE_TOLERANCE = 1e-6


class Named(Protocol):
    """Charts of any kind."""

    @property
    def name(self) -> str:
        """What they are called."""


AnyCharts = TypeVar("AnyCharts", bound=Named)


@dataclass(frozen=True, eq=False)
class Charts:
    """24 charts in DensePose's part order, each with its own u and v in [0, 1].

    A vertex on the seam between charts is repeated for each chart: these are "extended" vertices.

    Attributes:
        name: "densepose" or "makehuman-24". The same (part, u, v) are different points in the two.
        uv: (E, 2) float32 chart coordinates of the extended vertices.
        vertex: (E,) body vertex of each extended vertex.
        faces: (F, 3) triangles of extended vertices.
        part: (F,) part of each triangle, 1..24.
    """

    name: str
    uv: np.ndarray
    vertex: np.ndarray
    faces: np.ndarray
    part: np.ndarray
    _tables: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    def arrays(self) -> dict[str, np.ndarray]:
        """Name -> array of a body file."""
        return {
            "chart_name": np.array(self.name),
            "chart_uv": self.uv,
            "chart_vertex": self.vertex.astype(np.uint32),
            "chart_faces": self.faces.astype(np.uint32),
            "chart_part": self.part.astype(np.uint8),
        }

    def locate(self, part: np.ndarray, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The surface point of each (part, u, v).

        The triangle of the part that contains the point gives three vertices and barycentric
        coordinates. A point outside of all triangles is moved to the nearest point inside one.

        Args:
            part: (P,) 1..24.
            uv: (P, 2) in [0, 1].

        Returns:
            vertex (P, 3) int32 body vertices, barycentric (P, 3) float32 that sum to 1.

        Raises:
            UserError: a part is not in 1..24 or empty, or a coordinate is not finite.
        """
        face, barycentric = self.find(part, uv)
        return self.vertex[self.faces[face]].astype(np.int32), barycentric.astype(np.float32)

    def find(self, part: np.ndarray, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The chart triangle (P,) of each (part, u, v), and barycentrics (P, 3) float64.

        Arguments and errors are those of `locate`.
        """
        part = np.asarray(part).astype(np.int64).reshape(-1)
        uv = np.asarray(uv, np.float64).reshape(-1, 2)
        _check_queries(part, uv)
        face, barycentric = self._containing(part, uv)
        outside = np.flatnonzero(face < 0)
        for number in np.unique(part[outside]):
            rows = outside[part[outside] == number]
            for some in np.split(rows, range(SNAPPED, len(rows), SNAPPED)):
                face[some], barycentric[some] = self._snapped(number, uv[some])
        return face, barycentric

    def coordinates(
        self, part: np.ndarray, vertex: np.ndarray, barycentric: np.ndarray
    ) -> np.ndarray:
        """The chart coordinates of surface points in their parts; the inverse of `locate`.

        Args:
            part: (P,) 1..24.
            vertex: (P, 3) body vertices of a triangle of the part, or three times one vertex.
            barycentric: (P, 3) shares of the three vertices; they sum to 1.

        Returns:
            uv (P, 2) float64. If the part does not have the triangle, only the corners that the
            part has count.

        Raises:
            UserError: the part has no corner of a point's triangle.
        """
        part = np.asarray(part).astype(np.int64).reshape(-1)
        vertex = np.asarray(vertex).astype(np.int64).reshape(-1, 3)
        order = np.argsort(vertex, axis=1)
        corners = np.take_along_axis(vertex, order, 1)
        share = np.take_along_axis(np.asarray(barycentric, np.float64).reshape(-1, 3), order, 1)
        keys, faces = self._faces_by_corners
        wanted = self._key(part, corners)
        row = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        extended = np.where((keys[row] == wanted)[:, None], faces[row], -1)
        rest = np.flatnonzero(extended[:, 0] < 0)
        extended[rest] = self._extended_vertices(part[rest, None], corners[rest])
        share = np.where(extended < 0, 0, share)
        total = share.sum(1, keepdims=True)
        if (total <= 0).any():
            bad = int((total <= 0).argmax())
            raise UserError(
                f"point {bad}: part {part[bad]} of '{self.name}' has none of its corners"
            )
        return ((share / total)[..., None] * self.uv[extended].astype(np.float64)).sum(1)

    def _key(self, part: np.ndarray, corners: np.ndarray) -> np.ndarray:
        """One number for a part (P,) and the vertices (P, 3) of a triangle, sorted."""
        base = int(self.vertex.max()) + 1
        return ((part * base + corners[:, 0]) * base + corners[:, 1]) * base + corners[:, 2]

    @cached_property
    def _faces_by_corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Keys of the triangles (F,), sorted, and the extended vertices (F, 3) of the triangles."""
        corners = self.vertex[self.faces].astype(np.int64)
        order = np.argsort(corners, axis=1)
        keys = self._key(self.part.astype(np.int64), np.take_along_axis(corners, order, 1))
        rising = np.argsort(keys, kind="stable")
        return keys[rising], np.take_along_axis(self.faces, order, 1)[rising]

    def _extended_vertices(self, part: np.ndarray, vertex: np.ndarray) -> np.ndarray:
        """An extended vertex of each body vertex in a part; -1 if there is none."""
        base = PART_COUNT + 1
        keys = self.vertex.astype(np.int64) * base + self.extended_part
        rising = np.argsort(keys, kind="stable")
        wanted = vertex * base + part
        row = rising[np.searchsorted(keys, wanted, sorter=rising).clip(max=len(keys) - 1)]
        return np.where(keys[row] == wanted, row, -1)

    def table(self, part: int) -> np.ndarray:
        """(256, 256) int32: the part's nearest vertex, indexed by [round 255 v, round 255 u]."""
        if not 1 <= part <= PART_COUNT:
            raise ValueError(f"part: expected 1..{PART_COUNT}, got {part}")
        from scipy.spatial import cKDTree

        if part not in self._tables:
            steps = np.arange(TABLE_SIDE) / (TABLE_SIDE - 1)
            v, u = np.meshgrid(steps, steps, indexing="ij")
            members = np.flatnonzero(self.extended_part == part)
            if not len(members):
                raise UserError(f"charts '{self.name}': part {part} is empty")
            nearest = cKDTree(self.uv[members]).query(np.stack([u, v], -1).reshape(-1, 2))[1]
            table = self.vertex[members[nearest]].astype(np.int32)
            self._tables[part] = table.reshape(TABLE_SIDE, TABLE_SIDE)
        return self._tables[part]

    @cached_property
    def extended_part(self) -> np.ndarray:
        """(E,) part of each extended vertex; 0 if no triangle uses the vertex."""
        part = np.zeros(len(self.uv), np.int64)
        part[self.faces.reshape(-1)] = np.repeat(self.part, 3)
        return part

    def _snapped(self, part: int, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The points on the border of a part that are nearest to uv (P, 2), as `find` gives them.

        Outside of a flat figure, the nearest point of it lies on its border.
        """
        face, corner = self._borders[part - 1]
        if not len(face):
            raise UserError(f"charts '{self.name}': part {part} is empty; it cannot hold a point")
        ends = np.stack([corner, (corner + 1) % 3], 1)
        start, end = self.uv.astype(np.float64)[self.faces[face[:, None], ends].T]
        along = end - start
        share = ((uv[:, None] - start) * along).sum(2) / np.maximum((along**2).sum(1), 1e-24)
        share = share.clip(0, 1)
        away = ((start + share[..., None] * along - uv[:, None]) ** 2).sum(2)
        best = away.argmin(1)
        share = np.take_along_axis(share, best[:, None], 1)
        barycentric = np.zeros((len(uv), 3))
        np.put_along_axis(barycentric, ends[best], np.hstack([1 - share, share]), 1)
        return face[best], barycentric

    @cached_property
    def _borders(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each part: the edges of its border, as faces (B,) and the corners that begin them."""
        edges = np.sort(np.stack([self.faces, np.roll(self.faces, -1, 1)], 2).reshape(-1, 2), 1)
        _, number, count = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
        face, corner = np.divmod(np.flatnonzero(count[number.reshape(-1)] == 1), 3)
        return [
            (face[self.part[face] == part], corner[self.part[face] == part])
            for part in range(1, PART_COUNT + 1)
        ]

    @cached_property
    def _grid(self) -> tuple[np.ndarray, np.ndarray]:
        """`start` (cells + 1,) and `triangle`: cell i has triangle[start[i] : start[i + 1]]."""
        corners = self.uv[self.faces]
        low, high = _cell(corners.min(1)), _cell(corners.max(1))
        size = high - low + 1
        count = size.prod(1)
        triangle = np.repeat(np.arange(len(self.faces)), count)
        within = np.arange(len(triangle)) - np.repeat(np.cumsum(count) - count, count)
        column = low[triangle, 0] + within % size[triangle, 0]
        row = low[triangle, 1] + within // size[triangle, 0]
        cell = _cell_id(self.part[triangle], column, row)
        order = np.argsort(cell, kind="stable")
        cells = PART_COUNT * GRID_SIDE * GRID_SIDE
        return np.searchsorted(cell[order], np.arange(cells + 1)), triangle[order]

    def _containing(self, part: np.ndarray, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The face (P,) that contains each point, -1 if none does, and barycentrics (P, 3)."""
        start, triangle = self._grid
        corners = self.uv.astype(np.float64)[self.faces]
        cell = _cell_id(part, *_cell(uv).T)
        face = np.full(len(part), -1)
        barycentric = np.zeros((len(part), 3))
        best = np.full(len(part), -EDGE_TOLERANCE)
        candidate, end = start[cell], start[cell + 1]
        rows = np.flatnonzero(candidate < end)
        while len(rows):
            trial = triangle[candidate[rows]]
            coordinates = barycentric_coordinates(corners[trial], uv[rows])
            inside = coordinates.min(1)
            # In a fold or on an edge, the triangle wins in which the point is farthest inside; of
            # equal ones, the first.
            better = inside > best[rows]
            winners = rows[better]
            best[winners] = inside[better]
            face[winners] = trial[better]
            barycentric[winners] = coordinates[better]
            candidate[rows] += 1
            rows = rows[candidate[rows] < end[rows]]
        barycentric = np.maximum(barycentric, 0)
        return face, barycentric / np.maximum(barycentric.sum(1, keepdims=True), 1e-12)


def choose_charts(there: Sequence[AnyCharts], name: str, body: str) -> AnyCharts:
    """Those of a body's charts that are called so.

    Args:
        there: All charts of the body.
        name: The name of the charts.
        body: The name of the body.

    Raises:
        UserError: the body does not have them; the message says how to get them.
    """
    for charts in there:
        if charts.name == name:
            return charts
    has = " and ".join(f"'{charts.name}'" for charts in there) or "none"
    name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
    needs = (
        "give DensePose's UV_Processed.mat (--uv)"
        if name == DENSEPOSE_CHARTS
        else f"use the body that has '{name}'"
    )
    raise UserError(f"its points lie in the charts '{name}', body '{body}' has {has}; {needs}")


def _check_queries(part: np.ndarray, uv: np.ndarray) -> None:
    if len(part) != len(uv):
        raise ValueError(f"part and uv: expected equal lengths, got {len(part)} and {len(uv)}")
    bad = np.flatnonzero((part < 1) | (part > PART_COUNT))
    if len(bad):
        raise UserError(f"point {bad[0]}: part {part[bad[0]]} is not in 1..{PART_COUNT}")
    bad = np.flatnonzero(~np.isfinite(uv).all(1))
    if len(bad):
        raise UserError(f"point {bad[0]}: its u or v is not a finite number")


def _cell(uv: np.ndarray) -> np.ndarray:
    return np.clip((uv * GRID_SIDE).astype(np.int64), 0, GRID_SIDE - 1)


def _cell_id(part: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    return ((part - 1) * GRID_SIDE + row) * GRID_SIDE + column
