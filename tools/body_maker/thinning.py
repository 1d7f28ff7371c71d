"""Thinning a symmetric mesh to even triangles, by collapsing edges of its left half.

A collapse moves one vertex onto a neighbour, so the remaining vertices are a subset and keep their
data. The cost of a collapse is the edge's length over the wanted length, plus the motion of the
surface (quadrics of Garland and Heckbert 1997).
"""

from __future__ import annotations

import heapq
import math

import numpy as np

# A motion of the surface by this much (metres) costs as much as an edge of the wanted length.
SURFACE_TOLERANCE = 0.003
# Longest edge after a collapse, in wanted lengths, and most neighbours of a vertex.
MAX_LENGTH, MAX_VALENCE = 1.75, 9
# Least quality of a triangle after a collapse (equilateral is 1), unless it was worse before.
MIN_QUALITY = 0.35
# Cosine of the largest rotation of a triangle in one collapse. Collapses of edges shorter than the
# second number, in wanted lengths, may rotate triangles freely: creases such as the lips are finer
# than the mesh.
MIN_TURN, CREASE = 0.5, 0.4


def triangulate_left(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """(F, 3) triangles of the quads with x >= 0, split along their shorter diagonals."""
    quads = quads[(vertices[quads][:, :, 0] > -1e-9).all(1)]
    a, b, c, d = np.moveaxis(vertices[quads], 1, 0)
    first = np.linalg.norm(a - c, axis=1) <= np.linalg.norm(b - d, axis=1)
    ways = quads[:, [[0, 1, 2], [0, 2, 3]]], quads[:, [[0, 1, 3], [1, 2, 3]]]
    return np.where(first[:, None, None], *ways).reshape(-1, 3)


def thin(
    vertices: np.ndarray,
    faces: np.ndarray,
    middle: np.ndarray,
    wanted: np.ndarray,
    target: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Thin one half of a symmetric mesh.

    Args:
        vertices: (V, 3) metres.
        faces: (F, 3) of one half; its only boundary is the middle line.
        middle: (V,) bool, vertices on the middle line; they stay on it.
        wanted: (V,) wanted edge length, metres; it sets the relative density.
        target: Number of vertices of the whole mesh, both halves, at which to stop.

    Returns:
        Faces in the same numbering, and the numbers of the remaining vertices.
    """
    half = _Half(vertices, faces, middle, wanted)
    used = np.unique(faces)
    count = 2 * len(used) - int(middle[used].sum())
    heap = []
    for a, b in half.edges():
        half.push(heap, a, b)
    while count > target and heap:
        _, gone, kept, stamp = heapq.heappop(heap)
        if stamp != half.stamp(gone, kept) or not half.allowed(gone, kept):
            continue
        count -= 1 if half.middle[gone] else 2
        for neighbour in half.collapse(gone, kept):
            for other in half.neighbours(neighbour):
                half.push(heap, neighbour, other)
    half.flip_edges()
    rest = np.array([face for face in half.faces if face is not None])
    return rest, np.unique(rest)


class _Half:
    """A half mesh while its edges are collapsed."""

    def __init__(self, vertices, faces, middle, wanted):
        self.at = [tuple(p) for p in vertices.tolist()]
        self.faces = [tuple(f) for f in faces.tolist()]
        self.around = [set() for _ in self.at]
        self.middle = middle.tolist()
        self.wanted = wanted.tolist()
        self.version = [0] * len(self.at)
        self.quadric = np.zeros((len(self.at), 11))
        for number, face in enumerate(self.faces):
            for v in face:
                self.around[v].add(number)
        corners = vertices[faces]
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.linalg.norm(cross, axis=1) / 2
        normal = cross / np.maximum(2 * area, 1e-20)[:, None]
        plane = np.concatenate([normal, -(normal * corners[:, 0]).sum(1, keepdims=True)], 1)
        upper = np.triu_indices(4)
        products = (plane[:, :, None] * plane[:, None, :])[:, upper[0], upper[1]]
        share = np.concatenate([products * area[:, None], area[:, None]], 1)
        for corner in faces.T:
            np.add.at(self.quadric, corner, share)
        self.quadric = self.quadric.tolist()

    def edges(self):
        return sorted({tuple(sorted((f[i], f[i - 1]))) for f in self.faces for i in range(3)})

    def neighbours(self, v):
        return {w for f in self.around[v] for w in self.faces[f]} - {v}

    def stamp(self, a, b):
        return self.version[a], self.version[b]

    def push(self, heap, a, b):
        options = [(self.cost(a, b), a, b), (self.cost(b, a), b, a)]
        cost, gone, kept = min(options)
        if cost < math.inf:
            heapq.heappush(heap, (cost, gone, kept, self.stamp(gone, kept)))

    def cost(self, gone, kept):
        if self.middle[gone] and not self.middle[kept]:
            return math.inf
        x, y, z = self.at[kept]
        q = self.quadric[gone]
        error = (
            q[0] * x * x + q[4] * y * y + q[7] * z * z + q[9]
            + 2 * (q[1] * x * y + q[2] * x * z + q[3] * x + q[5] * y * z + q[6] * y + q[8] * z)
        )  # fmt: skip
        moved = max(error, 0.0) / q[10] / SURFACE_TOLERANCE**2
        return self.relative_length(gone, kept) ** 2 + moved

    def relative_length(self, a, b):
        return math.dist(self.at[a], self.at[b]) * 2 / (self.wanted[a] + self.wanted[b])

    def allowed(self, gone, kept):
        shared = self.around[gone] & self.around[kept]
        ring, other = self.neighbours(gone), self.neighbours(kept)
        # Two middle vertices may be merged only along the middle line, which has one face here.
        if self.middle[gone] and len(shared) != 1:
            return False
        if len(ring & other) != len(shared):
            return False
        if len(ring | other) - 2 > MAX_VALENCE:
            return False
        if any(self.relative_length(kept, w) > MAX_LENGTH for w in ring - other - {kept}):
            return False
        min_turn = MIN_TURN if self.relative_length(gone, kept) > CREASE else -1.0
        for number in self.around[gone] - shared:
            face = self.faces[number]
            moved = tuple(kept if v == gone else v for v in face)
            before, after = self.normal(face), self.normal(moved)
            size = math.sqrt(_dot(before, before) * _dot(after, after))
            if _dot(before, after) < min_turn * size:
                return False
            if self.quality(moved) < min(MIN_QUALITY, self.quality(face)):
                return False
        return True

    def collapse(self, gone, kept):
        """Move `gone` onto `kept`; returns the vertices with changed neighbours."""
        for number in list(self.around[gone]):
            face = self.faces[number]
            for v in face:
                self.around[v].discard(number)
            if kept in face:
                self.faces[number] = None
                continue
            self.faces[number] = tuple(kept if v == gone else v for v in face)
            for v in self.faces[number]:
                self.around[v].add(number)
        self.quadric[kept] = [
            p + q for p, q in zip(self.quadric[kept], self.quadric[gone], strict=True)
        ]
        self.version[gone] += 1
        changed = {kept, *self.neighbours(kept)}
        for v in changed:
            self.version[v] += 1
        return sorted(changed)

    def flip_edges(self, rounds=5):
        """Flip edges between pairs of triangles if that improves the worse triangle."""
        for _ in range(rounds):
            flips = 0
            live = sorted({tuple(sorted((f[i], f[i - 1]))) for f in self.faces if f
                           for i in range(3)})  # fmt: skip
            for a, b in live:
                pair = sorted(self.around[a] & self.around[b])
                if len(pair) != 2:
                    continue
                first, second = (self.faces[n] for n in pair)
                i = next(i for i in range(3) if {first[i], first[i - 1]} == {a, b})
                a, b = first[i - 1], first[i]
                c = next(v for v in first if v not in (a, b))
                d = next(v for v in second if v not in (a, b))
                if d in self.neighbours(c):
                    continue
                new = ((c, a, d), (d, b, c))
                old_worst = min(self.quality(first), self.quality(second))
                if min(map(self.quality, new)) < old_worst + 0.05:
                    continue
                normals = [self.normal(f) for f in (first, second, *new)]
                if any(_dot(n, m) < 0.9 * math.sqrt(_dot(n, n) * _dot(m, m))
                       for n in normals[:2] for m in normals[2:]):  # fmt: skip
                    continue
                for number, face in zip(pair, new, strict=True):
                    for v in self.faces[number]:
                        self.around[v].discard(number)
                    self.faces[number] = face
                for number, face in zip(pair, new, strict=True):
                    for v in face:
                        self.around[v].add(number)
                flips += 1
            if not flips:
                break

    def normal(self, face):
        (ax, ay, az), (bx, by, bz), (cx, cy, cz) = (self.at[v] for v in face)
        ux, uy, uz, vx, vy, vz = bx - ax, by - ay, bz - az, cx - ax, cy - ay, cz - az
        return uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx

    def quality(self, face):
        a, b, c = (self.at[v] for v in face)
        normal = self.normal(face)
        sides = math.dist(a, b) ** 2 + math.dist(b, c) ** 2 + math.dist(c, a) ** 2
        return 2 * math.sqrt(3 * _dot(normal, normal)) / sides if sides else 0.0


def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
