"""Cutting a mesh into islands that are discs, and flattening a disc without folds.

A disc does not fold if its rim is pinned to a convex curve and each inner vertex is a positive mean
of its neighbours (Tutte 1963). The means use Floater's mean-value weights (2003), which keep the
shapes of triangles well.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve

# The rim of an island: a square with its corners moved in by this much, which makes the sides
# strictly convex. 0.146 would be a circle.
CORNER_INSET = 0.09
MAX_ROUNDS = 50


def face_neighbours(faces: np.ndarray) -> np.ndarray:
    """(F, 3) the neighbour across each edge (corner i to i + 1), -1 at the boundary."""
    edges = np.stack([faces, np.roll(faces, -1, 1)], 2).reshape(-1, 2)
    number = {edge: i for i, edge in enumerate(map(tuple, edges.tolist()))}
    across = [number.get((b, a), -1) for a, b in edges.tolist()]
    return np.where(np.array(across) >= 0, np.array(across) // 3, -1).reshape(-1, 3)


def make_discs(labels: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Smooth the labels of faces until every label is one patch without pinched vertices.

    Args:
        labels: (F,) 0, 1, 2 ...
        faces: (F, 3).

    Raises:
        RuntimeError: the labels do not settle.
    """
    labels = labels.copy()
    neighbours = face_neighbours(faces)
    for _ in range(3):
        labels = _vote(labels, neighbours, np.ones(len(faces), bool), own=1.5)
    for _ in range(MAX_ROUNDS):
        stray = _outside_largest_patch(labels, neighbours) | _pinched(labels, faces, neighbours)
        if not stray.any():
            return labels
        labels = _vote(labels, neighbours, stray, own=0)
    raise RuntimeError("the labels of the charts do not settle into discs")


def _vote(labels: np.ndarray, neighbours: np.ndarray, voters: np.ndarray, own: float) -> np.ndarray:
    """Give each voter the most common label around it; `own` is the weight of its present label."""
    votes = np.zeros((len(labels), labels.max() + 1))
    votes[np.arange(len(labels)), labels] = own
    for column in neighbours.T:
        known = column >= 0
        votes[known, labels[column[known]]] += 1
        if own == 0:
            votes[known, labels[known]] = 0
    return np.where(voters & (votes.sum(1) > 0), votes.argmax(1), labels)


def _outside_largest_patch(labels: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    face = np.repeat(np.arange(len(labels)), 3)
    other = neighbours.reshape(-1)
    joined = (other >= 0) & (labels[face] == labels[other])
    graph = sparse.coo_matrix(
        (np.ones(joined.sum()), (face[joined], other[joined])), (len(labels),) * 2
    )
    patch = connected_components(graph, directed=False)[1]
    size = np.bincount(patch)[patch]
    largest = np.zeros(labels.max() + 1, np.int64)
    np.maximum.at(largest, labels, size)
    return size < largest[labels]


def _pinched(labels: np.ndarray, faces: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """(F,) faces of the smaller fan where two fans of a label meet in a single vertex."""
    around: dict[tuple[int, int], list[int]] = {}
    for face, (corners, label) in enumerate(zip(faces.tolist(), labels.tolist(), strict=True)):
        for vertex in corners:
            around.setdefault((label, vertex), []).append(face)
    pinched = np.zeros(len(faces), bool)
    for members in around.values():
        fans: list[set[int]] = []
        for face in members:
            touching = [fan for fan in fans if fan & set(neighbours[face].tolist())]
            fans = [fan for fan in fans if fan not in touching] + [set().union({face}, *touching)]
        for fan in sorted(fans, key=len)[:-1]:
            pinched[list(fan)] = True
    return pinched


def rim(faces: np.ndarray) -> np.ndarray:
    """The loop of vertices around a disc.

    Raises:
        RuntimeError: the faces are not a disc.
    """
    edges = np.stack([faces, np.roll(faces, -1, 1)], 2).reshape(-1, 2)
    present = set(map(tuple, edges.tolist()))
    follow = {a: b for a, b in present if (b, a) not in present}
    loop = [min(follow)]
    while follow[loop[-1]] != loop[0]:
        loop.append(follow[loop[-1]])
    euler = len(np.unique(faces)) - (len(present) + len(follow)) // 2 + len(faces)
    if len(loop) != len(follow) or euler != 1:
        raise RuntimeError(f"an island is no disc: rim {len(loop)} of {len(follow)}, Euler {euler}")
    return np.array(loop)


def flatten(
    vertices: np.ndarray, faces: np.ndarray, across: np.ndarray, along: np.ndarray
) -> np.ndarray:
    """Flatten a disc into the unit square.

    Args:
        vertices: (V, 3), all of them used.
        faces: (F, 3).
        across: Direction that u should follow.
        along: Direction that v should follow.

    Returns:
        (V, 2) in [0, 1].
    """
    loop = rim(faces)
    flat = np.zeros((len(vertices), 2))
    flat[loop] = _pin(vertices[loop], across, along)
    weights = _mean_value_weights(vertices, faces)
    inner = np.setdiff1d(np.arange(len(vertices)), loop)
    system = sparse.identity(len(inner)) - weights[inner][:, inner]
    flat[inner] = spsolve(system.tocsc(), weights[inner][:, loop] @ flat[loop])
    return flat


def _pin(loop: np.ndarray, across: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Places of the rim on the rounded square; corners of the rim go to corners of the square."""
    a, b = loop @ across, loop @ along
    a, b = (2 * (x - x.min()) / np.ptp(x) - 1 for x in (a, b))
    corners = [int((sa * a + sb * b).argmax()) for sa, sb in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    turns = np.diff([*corners, corners[0]]) % len(loop)
    backwards = turns.sum() > len(loop)
    if backwards:
        loop, corners = loop[::-1], [len(loop) - 1 - c for c in corners]
        turns = np.diff([*corners, corners[0]]) % len(loop)
    if turns.sum() != len(loop) or turns.min() == 0:
        raise RuntimeError(f"the rim of an island has no four corners in order: {corners}")
    steps = np.linalg.norm(np.roll(loop, -1, 0) - loop, axis=1)
    places = np.zeros((len(loop), 2))
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (1 - 2 * CORNER_INSET) + CORNER_INSET
    outward = np.array([[0, -1], [1, 0], [0, 1], [-1, 0]])
    for side in range(4):
        ids = (corners[side] + np.arange(turns[side])) % len(loop)
        t = np.concatenate([[0], np.cumsum(steps[ids])[:-1]]) / steps[ids].sum()
        start, end = square[side], square[(side + 1) % 4]
        bulge = 4 * CORNER_INSET * t * (1 - t)
        places[ids] = start + t[:, None] * (end - start) + bulge[:, None] * outward[side]
    return places[::-1] if backwards else places


def _mean_value_weights(vertices: np.ndarray, faces: np.ndarray) -> sparse.csr_matrix:
    """(V, V) mean-value weights, rows sum to 1: tan of half the angles beside an edge / length."""
    rows, columns, values = [], [], []
    for i in range(3):
        here, left, right = faces[:, i], faces[:, (i + 1) % 3], faces[:, (i + 2) % 3]
        to_left, to_right = vertices[left] - vertices[here], vertices[right] - vertices[here]
        length_left = np.linalg.norm(to_left, axis=1)
        length_right = np.linalg.norm(to_right, axis=1)
        sine = np.linalg.norm(np.cross(to_left, to_right), axis=1)
        cosine = (to_left * to_right).sum(1)
        half_tangent = sine / (length_left * length_right + cosine)
        for other, length in ((left, length_left), (right, length_right)):
            rows.append(here)
            columns.append(other)
            values.append(half_tangent / length)
    weights = sparse.coo_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        (len(vertices),) * 2,
    ).tocsr()
    return sparse.diags(1 / np.asarray(weights.sum(1)).ravel()) @ weights
