"""Where SMPL's vertices lie on a body of another mesh, and so what is numbered by them.

SMPL's mesh has 6,890 vertices. DensePose's charts and many files of other tools name places on the
body by their numbers; SMPL itself is not needed to read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bodyreg.body.charts import Charts
from bodyreg.body.landmarks import SMPL_VERTEX_COUNT
from bodyreg.body.nearest import Surface
from bodyreg.errors import UserError
from bodyreg.npz import load_npz

SMPL_TABLE = Path(__file__).with_name("assets") / "smpl.npz"
"""The table of the built-in body; tools/map_smpl.py made it."""

CSE_VERTEX_COUNT = 27554
"""Vertices of DensePose CSE's mesh smpl_27554: SMPL's, then the middles of its 20,664 edges."""


@dataclass(frozen=True, eq=False)
class SmplVertices:
    """SMPL's vertices as points of a body's surface.

    Attributes:
        vertex: (6890, 3) int64 the corners of a triangle of the body.
        barycentric: (6890, 3) float32 shares of the corners; they sum to 1.
    """

    vertex: np.ndarray
    barycentric: np.ndarray

    def __len__(self) -> int:
        return len(self.vertex)

    def of(self, numbers: np.ndarray | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The points of SMPL's vertices with these numbers; see `Body.smpl_points`."""
        numbers = np.asarray(numbers).reshape(-1)
        if numbers.dtype.kind not in "iu" and len(numbers):
            raise UserError(f"vertex numbers are whole numbers, got {numbers.dtype}")
        bad = np.flatnonzero((numbers < 0) | (numbers >= len(self)))
        if len(bad):
            number = int(numbers[bad[0]])
            if SMPL_VERTEX_COUNT <= number < CSE_VERTEX_COUNT:
                raise UserError(
                    f"point {bad[0]}: vertex {number} of smpl_27554 is the middle of an edge, and "
                    f"only the order of the first {SMPL_VERTEX_COUNT} vertices is public; leave "
                    "such points out, or give (I, U, V)"
                )
            raise UserError(f"point {bad[0]}: SMPL has no vertex {number}; it has 0 to 6889")
        numbers = numbers.astype(np.int64)
        return self.vertex[numbers].astype(np.int32), self.barycentric[numbers]

    def arrays(self) -> dict[str, np.ndarray]:
        """Name -> array of a body file, or of `SMPL_TABLE`."""
        return {
            "smpl_vertex": self.vertex.astype(np.uint32),
            "smpl_barycentric": self.barycentric,
        }


def smpl_vertices(known: SmplVertices | None, count: int, body: str) -> SmplVertices:
    """Where SMPL's vertices lie on a body.

    Args:
        known: Where they lie; if None, the body must have SMPL's own mesh.
        count: How many vertices the body has.
        body: The name of the body.

    Raises:
        UserError: it is not known.
    """
    if known is not None:
        return known
    if count == SMPL_VERTEX_COUNT:
        vertex = np.arange(SMPL_VERTEX_COUNT)[:, None].repeat(3, 1)
        return SmplVertices(vertex, np.eye(3, dtype=np.float32)[0][None].repeat(len(vertex), 0))
    raise UserError(
        f"body '{body}': not known where SMPL's vertices lie on it; "
        "find out with `bodyreg make-map`"
    )


def built_in_table() -> SmplVertices:
    """The table of the built-in body."""
    arrays = load_npz(SMPL_TABLE, kind="table")
    return SmplVertices(arrays["smpl_vertex"].astype(np.int64), arrays["smpl_barycentric"])


class CarriedCharts:
    """DensePose's charts on a body of another mesh than SMPL's.

    A point of a chart lies in a triangle of SMPL. On the body the triangle's corners have their
    places, the point has its share of them, and the nearest point of the surface is meant.

    Args:
        charts: DensePose's, on SMPL's vertices.
        smpl: Where these lie on the body.
        vertices: (V, 3) the body's, in its rest pose.
        faces: (F, 3) the body's.

    Attributes:
        name: "densepose".
    """

    def __init__(
        self, charts: Charts, smpl: SmplVertices, vertices: np.ndarray, faces: np.ndarray
    ) -> None:
        self.name, self._charts = charts.name, charts
        self._surface = Surface(vertices, faces)
        corners = self._surface.vertices[smpl.vertex]
        normals = self._surface.normals[smpl.vertex]
        share = smpl.barycentric[..., None].astype(np.float64)
        self._places, self._normals = (corners * share).sum(1), (normals * share).sum(1)
        self._parts: dict[int, tuple[np.ndarray, Surface]] = {}

    def locate(self, part: np.ndarray, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The surface point of each (part, u, v); arguments and results as of `Charts.locate`."""
        face, share = self._charts.find(part, uv)
        corners = self._charts.vertex[self._charts.faces[face]]
        place = (self._places[corners] * share[..., None]).sum(1)
        normal = (self._normals[corners] * share[..., None]).sum(1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        near = self._surface.nearest(place, normal)
        vertex = self._surface.faces[near.face].astype(np.int32)
        return vertex, near.barycentric.astype(np.float32)

    def coordinates(
        self, part: np.ndarray, vertex: np.ndarray, barycentric: np.ndarray
    ) -> np.ndarray:
        """The chart coordinates (P, 2) float64 of surface points in their parts.

        Undoes `locate`. A point beside its part has the coordinates of the part's nearest point.

        Args:
            part: (P,) 1..24.
            vertex: (P, 3) vertices of a triangle of the body, or three times one vertex.
            barycentric: (P, 3) shares of the three vertices; they sum to 1.

        Raises:
            UserError: the charts do not have a part.
        """
        part = np.asarray(part).astype(np.int64).reshape(-1)
        vertex = np.asarray(vertex).astype(np.int64).reshape(-1, 3)
        share = np.asarray(barycentric, np.float64).reshape(-1, 3, 1)
        place = (self._surface.vertices[vertex] * share).sum(1)
        normal = (self._surface.normals[vertex] * share).sum(1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        uv = np.zeros((len(part), 2))
        for number in np.unique(part):
            rows = np.flatnonzero(part == number)
            faces, surface = self._part(int(number))
            near = surface.nearest(place[rows], normal[rows])
            corners = self._charts.uv[self._charts.faces[faces[near.face]]].astype(np.float64)
            uv[rows] = (corners * near.barycentric[..., None]).sum(1)
        return uv

    def _part(self, number: int) -> tuple[np.ndarray, Surface]:
        """The chart triangles of a part, and the surface that they make on the body."""
        if number not in self._parts:
            mine = np.flatnonzero(self._charts.part == number)
            if not len(mine):
                raise UserError(f"charts '{self.name}': part {number} is empty")
            faces = self._charts.vertex[self._charts.faces[mine]]
            self._parts[number] = mine, Surface(self._places, faces)
        return self._parts[number]
