"""The outer skin of the base mesh: closed, smooth, each vertex a fixed mix of MakeHuman's vertices.

The data of a MakeHuman vertex (its positions under morphs, its skinning weights) mix linearly. So a
mesh of fixed mixes of vertices inherits all these data through one sparse matrix.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from body_maker.makehuman import EYES, BaseMesh
from body_maker.painter import paint_faces
from bodyreg.body.surface import visible_faces

# Helpers in front of cavities: faces that only these helpers hide are inside a cavity.
OCCLUDERS = (*EYES, "helper-upper-teeth", "helper-lower-teeth", "helper-tongue")
# An opening this close to the centre of an eyeball (metres, between centres) is that of the lids.
EYE_REACH = 0.03
# Half the width of the rendered head, metres, and the side of the picture in pixels.
HEAD_RADIUS, PICTURE_SIDE = 0.17, 1600
# Smaller hidden patches are folds of the skin, such as those behind the ears.
MIN_CAVITY_FACES = 50


def closed_skin(base: BaseMesh, vertices: np.ndarray, head: int) -> list[np.ndarray]:
    """Polygons of the body without the cavities of mouth, nose and eyes; their openings are closed.

    Args:
        base: The base mesh.
        vertices: (19158, 3) a person, to find hidden faces.
        head: The head's joint.

    Returns:
        Polygons over the vertices and over one more vertex per opening; see `with_centres`.
    """
    quads = base.quads[~_cavities(base, vertices, head)]
    polygons = list(quads)
    for number, loop in enumerate(_boundary_loops(quads)):
        centre = base.body_count + number
        polygons += [np.array([a, b, centre]) for a, b in zip(loop, np.roll(loop, -1), strict=True)]
    return polygons


def with_centres(
    base: BaseMesh, polygons: list[np.ndarray], vertices: np.ndarray
) -> sparse.csr_matrix:
    """The vertices of `closed_skin` as mixes of the base mesh: vertices, then centres of openings.

    The centre of an opening is the mean of its rim; the lids close at the front of the eyeball.

    Args:
        base: The base mesh.
        polygons: From `closed_skin`.
        vertices: (19158, 3) the person given to `closed_skin`.

    Returns:
        (V', 19158) rows sum to 1.
    """
    count = max(int(p.max()) for p in polygons) + 1
    eyes = [np.unique(base.helpers[name]) for name in EYES]
    fronts = [ids[vertices[ids, 2].argmax()] for ids in eyes]
    rows, columns = list(range(base.body_count)), list(range(base.body_count))
    values = [1.0] * base.body_count
    for centre in range(base.body_count, count):
        rim = np.unique([v for p in polygons if centre in p for v in p if v != centre])
        middle = vertices[rim].mean(0)
        for ids, front in zip(eyes, fronts, strict=True):
            if np.linalg.norm(vertices[ids].mean(0) - middle) < EYE_REACH:
                rim = np.array([front])
        rows += [centre] * len(rim)
        columns += rim.tolist()
        values += [1 / len(rim)] * len(rim)
    return sparse.csr_matrix((values, (rows, columns)), (count, len(vertices)))


def _cavities(base: BaseMesh, vertices: np.ndarray, head: int) -> np.ndarray:
    """(Q,) quads of the head that are hidden in all views from outside."""
    parts = [base.quads, *(base.helpers[name] for name in OCCLUDERS)]
    quads = np.concatenate(parts)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    of_head = (base.weights[:, head] > 0.5)[base.quads].all(1)
    centred = (vertices - vertices[base.weights[:, head] > 0.5].mean(0)) * (
        PICTURE_SIDE / 2 / HEAD_RADIUS
    )
    seen = np.zeros(len(triangles), bool)
    for pitch in np.radians([-60, -30, 0, 30, 60]):
        for yaw in np.radians(np.arange(-90, 91, 30)):
            turned = centred @ _turn(yaw, pitch).T
            xy = turned[:, :2] * [1, -1] + PICTURE_SIDE / 2
            picture = paint_faces(xy, turned[:, 2], triangles, PICTURE_SIDE)
            seen |= visible_faces(picture, len(triangles))
    seen = seen.reshape(2, -1).any(0)[: len(base.quads)]
    seen |= seen[_mirror_quads(base)]
    hidden = np.flatnonzero(of_head & ~seen)
    patch = _patches(base.quads[hidden])
    skin = np.ones(len(base.quads), bool)
    skin[hidden[np.bincount(patch)[patch] >= MIN_CAVITY_FACES]] = False
    # Small pieces of a cavity that were visible through an opening are islands now.
    patch = _patches(base.quads[skin])
    skin[skin] = patch == np.bincount(patch).argmax()
    return ~skin


def _mirror_quads(base: BaseMesh) -> np.ndarray:
    """(Q,) the quad on the other side."""
    number = {tuple(sorted(quad)): i for i, quad in enumerate(base.quads.tolist())}
    return np.array([number[tuple(sorted(quad))] for quad in base.mirror[base.quads].tolist()])


def _turn(yaw: float, pitch: float) -> np.ndarray:
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    )
    return about_x @ about_y


def _patches(quads: np.ndarray) -> np.ndarray:
    """(Q,) patch number of each quad; quads of a patch are connected through edges."""
    edges = np.sort(np.stack([quads, np.roll(quads, -1, 1)], 2).reshape(-1, 2), 1)
    owner = np.repeat(np.arange(len(quads)), 4)
    order = np.lexsort(edges.T)
    same = (edges[order][1:] == edges[order][:-1]).all(1)
    links = (owner[order][:-1][same], owner[order][1:][same])
    graph = sparse.coo_matrix((np.ones(same.sum()), links), (len(quads), len(quads)))
    return connected_components(graph, directed=False)[1]


def _boundary_loops(quads: np.ndarray) -> list[np.ndarray]:
    """Loops of vertices around the openings, in the orientation of a closing face."""
    edges = np.stack([quads, np.roll(quads, -1, 1)], 2).reshape(-1, 2)
    present = set(map(tuple, edges.tolist()))
    # An opening's edge has the opposite direction in its only face.
    follow = {b: a for a, b in present if (b, a) not in present}
    loops = []
    while follow:
        loop = [min(follow)]
        while loop[-1] in follow:
            loop.append(follow.pop(loop[-1]))
        loops.append(np.array(loop[:-1]))
    return loops


def subdivide(
    polygons: list[np.ndarray], vertex_count: int
) -> tuple[np.ndarray, sparse.csr_matrix]:
    """One step of Catmull and Clark (1978) on a closed mesh.

    Args:
        polygons: Faces of any number of corners.
        vertex_count: V'.

    Returns:
        quads (Q, 4), and (V'', V') mixes: smoothed vertices, then face points, then edge points.
    """
    size = np.array([len(p) for p in polygons])
    corner = np.concatenate(polygons)
    following = np.concatenate([np.roll(p, -1) for p in polygons])
    preceding_corner = np.concatenate(
        [np.roll(np.arange(n), 1) + start for n, start in
         zip(size, np.cumsum(size) - size, strict=True)]
    )  # fmt: skip
    face = np.repeat(np.arange(len(polygons)), size)
    ends, edge = np.unique(
        np.sort(np.stack([corner, following], 1), 1), axis=0, return_inverse=True
    )

    def matrix(rows, columns, values, shape):
        return sparse.csr_matrix((np.broadcast_to(values, rows.shape), (rows, columns)), shape)

    faces, edges = len(polygons), len(ends)
    face_points = matrix(face, corner, 1 / size[face], (faces, vertex_count))
    middles = matrix(np.repeat(np.arange(edges), 2), ends.reshape(-1), 0.5, (edges, vertex_count))
    faces_of_edge = matrix(edge, face, 0.5, (edges, faces))
    edge_points = (middles + faces_of_edge @ face_points) / 2
    valence = np.maximum(np.bincount(corner, minlength=vertex_count), 1)
    mean_face = matrix(corner, face, 1 / valence[corner], (vertex_count, faces)) @ face_points
    mean_middle = (
        matrix(ends.reshape(-1), np.repeat(np.arange(edges), 2), 1.0, (vertex_count, edges))
        @ middles
    )
    own = sparse.diags((valence - 3) / valence)
    smoothed = own + sparse.diags(1 / valence) @ mean_face
    smoothed = smoothed + sparse.diags(2 / valence**2) @ mean_middle
    quads = np.stack(
        [
            corner,
            vertex_count + faces + edge,
            vertex_count + face,
            vertex_count + faces + edge[preceding_corner],
        ],
        1,
    )
    return quads, sparse.vstack([smoothed, face_points, edge_points]).tocsr()
