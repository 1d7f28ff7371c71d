"""The fingers of a mesh: tips, webs between them, and the vertices of each finger."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import dijkstra

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
# Metres along the surface: from the wrist to the nearest fingertip, and between two tips.
LEAST_REACH, LEAST_GAP = 0.08, 0.015
# Metres along the surface from the tip of the middle finger to the wrist.
HAND = 0.21


@dataclass(frozen=True)
class Hand:
    """The left hand of a mesh.

    Attributes:
        tips: (5,) vertices, from the thumb to the little finger.
        webs: (4,) vertices between neighbouring fingers.
        finger: (V,) the finger of each vertex, -1 for all that are of none.
    """

    tips: np.ndarray
    webs: np.ndarray
    finger: np.ndarray


def find(vertices: np.ndarray, faces: np.ndarray, tips: np.ndarray) -> Hand:
    """The hand with these tips.

    The web between two fingers is where the shortest path between their tips is nearest to the
    wrist. A finger is what is nearer to its tip than its webs are.
    """
    distance, before = along_surface(vertices, faces, tips)
    middle = distance[2]
    wrist = vertices[np.abs(middle - HAND) < 0.02 * HAND].mean(0)
    webs = []
    for finger in range(4):
        path = [tips[finger + 1]]
        while path[-1] != tips[finger]:
            path.append(before[finger, path[-1]])
        outward = vertices[tips[finger : finger + 2]].mean(0) - wrist
        webs.append(path[((vertices[path] - wrist) @ outward).argmin()])
    reach = [
        0.85 * distance[0, webs[0]],  # the web is at the thumb's middle
        distance[1, webs[1]],
        *(distance[k, webs[k - 1 : k + 1]].min() for k in (2, 3)),
        distance[4, webs[3]],
    ]
    nearest = distance.argmin(0)
    own = distance.min(0) < np.take(reach, nearest)
    return Hand(np.asarray(tips), np.array(webs), np.where(own, nearest, -1))


def tips_by_shape(vertices: np.ndarray, faces: np.ndarray, wrist: np.ndarray) -> np.ndarray:
    """(5,) the fingertips of a left hand in the T-pose, palm down, thumb to the front.

    They are the vertices farthest from the wrist along the surface among their neighbours.
    """
    hand = np.flatnonzero(vertices[:, 0] > wrist[0])
    start = hand[np.linalg.norm(vertices[hand] - wrist, axis=1).argmin()]
    away = along_surface(vertices, faces, [start])[0][0]
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    highest = np.zeros(len(vertices))
    np.maximum.at(highest, edges[:, 0], away[edges[:, 1]])
    peaks = hand[(away[hand] >= highest[hand]) & (away[hand] > LEAST_REACH)]
    tips: list[int] = []
    for peak in peaks[np.argsort(-away[peaks], kind="stable")]:
        if all(np.linalg.norm(vertices[peak] - vertices[tip]) > LEAST_GAP for tip in tips):
            tips.append(int(peak))
    tips = sorted(tips[:5], key=lambda tip: -vertices[tip, 2])
    return np.array(tips)


def along_surface(
    vertices: np.ndarray, faces: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(S, V) distances along edges from `starts`, and the vertex before each on the way."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    shape = (len(vertices), len(vertices))
    links = sparse.coo_matrix((length, edges.T), shape).tocsr()
    return dijkstra(links.maximum(links.T), indices=starts, return_predecessors=True)
