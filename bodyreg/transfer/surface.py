"""What painting needs of a body's surface, whatever its pose."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from scipy import sparse
from scipy.sparse import csgraph, linalg

from bodyreg.body import Body

# Colours go from part to part of a group: a trunk's front stands for its back, but no face for the
# back of a head.
GROUPS = {
    "head": ("neck", "head"),
    "trunk": ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar"),
    **{
        f"{side}_{name}": tuple(f"{side}_{joint}" for joint in joints)
        for side in ("left", "right")
        for name, joints in {
            "upper_arm": ("shoulder",), "lower_arm": ("elbow",), "hand": ("wrist", "hand"),
            "thigh": ("hip",), "shank": ("knee",), "foot": ("ankle", "foot"),
        }.items()
    },
}  # fmt: skip
HEAD = list(GROUPS).index("head")

REACH, REACH_ON_HEAD = 0.15, 0.03
"""How far along the surface something known tells a colour, metres. A head is hair, face and neck
within a hand's breadth."""
# The share of the mean colour in each vertex' mix. It matters where no neighbour has a colour.
PULL = 1e-6
# Weights of smoothness, metres, and of no volume.
SMOOTH, FADE = 0.1, 0.005


class Surface:
    """The surface of a body.

    Attributes:
        body: The body.
        corners: (F, 3) int32, the vertices of each face.
        mirrored: (F, 3) int32, the vertices on the other side of the body, in the same order; None
            if the body does not know them.
        group: (F,) int64, an index into `GROUPS`.
        vertex_face: (V,) int64, a face of each vertex.
        vertex_share: (V, 3) float32, its barycentrics there: one of them is 1.
        vertex_group: (V,) int64, that of each vertex.
    """

    def __init__(self, body: Body) -> None:
        self.body = body
        faces = body.faces.astype(np.int32)
        self.corners = torch.from_numpy(faces)
        mirror = body.mirror_vertices
        self.mirrored = None if mirror is None else torch.from_numpy(mirror.astype(np.int32)[faces])
        names = np.array([_group_of(name) for name in body.joint_names])
        self.group = names[body.dense_weights[faces].sum(1).argmax(1)]
        count = len(body.vertices)
        # The first of a vertex' faces; a vertex without faces is never shown.
        corner = np.full(count, 0)
        corner[faces.reshape(-1)[::-1]] = np.arange(faces.size)[::-1]
        self.vertex_face = corner // 3
        self.vertex_share = np.eye(3, dtype=np.float32)[corner % 3]
        first, second = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).T
        pairs = np.concatenate([first, second]), np.concatenate([second, first])
        graph = sparse.csr_array((np.ones(2 * len(first)), pairs), (count, count))
        row = np.repeat(np.arange(count), np.diff(graph.indptr))
        across = body.vertices[row] - body.vertices[graph.indices]
        # Both faces of an edge have it: its length counts once.
        graph.data = np.maximum(np.linalg.norm(across, axis=1), 1e-6).astype(np.float64)
        self._lengths = graph
        near = graph.copy()
        near.data = 1 / near.data
        total = near.sum(1)
        self._laplacian = (sparse.diags_array(total) - near).tocsc()
        self.vertex_group = names[body.segment]
        self._reach = np.where(self.vertex_group == HEAD, REACH_ON_HEAD, REACH)

    def diffused(
        self, colours: np.ndarray, known: np.ndarray, neutral: float = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Diffuse colours over the surface, from the vertices that have one to all others.

        The others' colours are harmonic: each is the mean of its neighbours', which weigh by the
        inverse of their distance.

        Args:
            colours: (V, C) float32.
            known: (V,) bool: vertices whose colours count.
            neutral: The colour if no vertex has one.

        Returns:
            (V, C) float32, and (V,) bool: vertices with a known one in reach (`REACH`).
        """
        if not known.any():
            return np.full_like(colours, neutral), known
        colours = colours.copy()
        mean = colours[known].mean(0, dtype=np.float64)
        inner = np.flatnonzero(~known)
        if len(inner):
            rows = self._laplacian[:, inner]
            own = rows[inner]
            pull = PULL * own.diagonal()
            toward = pull[:, None] * mean - rows[np.flatnonzero(known)].T @ colours[known]
            colours[inner] = _solve(own + sparse.diags_array(pull), toward)
        way = csgraph.dijkstra(
            self._lengths, indices=np.flatnonzero(known), min_only=True, limit=REACH
        )
        return colours, way <= self._reach

    def smoothed(self, values: np.ndarray, known: np.ndarray) -> np.ndarray:
        """(V,) float32: a smooth function near values (V,) where they are known, 0 far from them.

        It minimises Σ_known (x - value)² + SMOOTH Σ_edges (x_i - x_j)² / length + FADE Σ x².
        """
        count = len(known)
        system = sparse.diags_array(known + FADE) + SMOOTH * self._laplacian
        return _solve(system, np.where(known, values, 0).reshape(count, 1))[:, 0].astype(np.float32)


def _solve(system: sparse.sparray, right: np.ndarray) -> np.ndarray:
    """The solution (n, C) of system x = right; the system (n, n) is positive definite."""
    solver = linalg.splu(
        system.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0,
        options={"SymmetricMode": True},
    )  # fmt: skip
    return solver.solve(right.astype(np.float64))


def _group_of(joint: str) -> int:
    (found,) = (i for i, joints in enumerate(GROUPS.values()) if joint in joints)
    return found


@lru_cache(maxsize=4)
def surface_of(body: Body) -> Surface:
    """The surface of a body, kept for the next call."""
    return Surface(body)
