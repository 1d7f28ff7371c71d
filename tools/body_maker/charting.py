"""DensePose-like charts: 24 parts in DensePose's order, each flattened without folds.

| parts | what | cut |
|---|---|---|
| 1, 2 | torso back, front | normal z |
| 3, 4 | right, left hand | two islands: palm (u < 1/2) and back of the hand |
| 5, 6 | left, right foot | two islands: inner (u < 1/2) and outer half |
| 7, 9 / 8, 10 | right / left upper leg back, front | normal z |
| 11, 13 / 12, 14 | right / left lower leg back, front | normal z |
| 15, 17 / 16, 18 | left / right upper arm inner, outer | normal y: inner is below in the T-pose |
| 19, 21 / 20, 22 | left / right lower arm inner, outer | the same |
| 23, 24 | head right, left | x = 0 |

v increases towards the head or the trunk, u runs across. Mirrored points of the two sides have the
same (u, v); the torso's charts are symmetric about u = 1/2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from body_maker.islands import flatten, make_discs
from bodyreg.body.charts import Charts
from bodyreg.body.joints import JOINT_NAMES
from bodyreg.body.surface import vertex_normals

X, Y, Z = np.eye(3)
# Empty space between two islands of one chart.
GAP = 0.02


@dataclass(frozen=True)
class Region:
    """A left or central region of the body, cut in two by the sign of a normal.

    Attributes:
        joints: Segments of the region.
        cut: Axis of the normal that decides.
        smoothing: Rounds of smoothing of the normals before the cut.
        across: Direction of u on the left side, in the T-pose.
        along: Direction of v.
        parts: Parts on the left: of the negative and of the positive half.
        right_parts: The same on the right; None for a central region.
    """

    joints: tuple[str, ...]
    cut: np.ndarray
    smoothing: int
    across: np.ndarray
    along: np.ndarray
    parts: tuple[int, int]
    right_parts: tuple[int, int] | None


TORSO = ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar")
REGIONS = (
    Region(TORSO, Z, 30, X, Y, (1, 2), None),
    Region(("left_wrist", "left_hand"), Y, 2, Z, -X, (4, 4), (3, 3)),
    Region(("left_ankle", "left_foot"), X, 0, Z, Y, (5, 5), (6, 6)),
    Region(("left_hip",), Z, 10, X, Y, (8, 10), (7, 9)),
    Region(("left_knee",), Z, 10, X, Y, (12, 14), (11, 13)),
    Region(("left_shoulder",), Y, 6, Z, -X, (15, 17), (16, 18)),
    Region(("left_elbow",), Y, 6, Z, -X, (19, 21), (20, 22)),
    Region(("neck", "head"), X, 0, Z, Y, (24, 24), (23, 23)),
)
FOOT = REGIONS[2]


def make_charts(
    vertices: np.ndarray,
    faces: np.ndarray,
    weights: np.ndarray,
    joints: np.ndarray,
    mirror: np.ndarray,
) -> Charts:
    """Cut a symmetric T-posed body into 24 parts and flatten them.

    Args:
        vertices: (V, 3).
        faces: (F, 3): the left half first, then its mirror image in the same order.
        weights: (V, 24).
        joints: (24, 3).
        mirror: (V,) vertex on the other side.
    """
    left = faces[: len(faces) // 2]
    labels = make_discs(_label(vertices, faces, weights, joints)[: len(left)], left)
    charts = _Pieces([], [], [], [])
    for region_number, region in enumerate(REGIONS):
        for half in (0, 1):
            members = left[labels == 2 * region_number + half]
            if not len(members):
                continue
            if region.right_parts is None:
                members = np.concatenate([members, mirror[members][:, ::-1]])
            ids, local = np.unique(members, return_inverse=True)
            local = local.reshape(-1, 3)
            flat = flatten(vertices[ids], local, region.across, region.along)
            if region.right_parts is None:
                reflected = flat[np.searchsorted(ids, mirror[ids])] * [-1, 1] + [1, 0]
                flat = (flat + reflected) / 2
            elif region.parts[0] == region.parts[1] and (labels == 2 * region_number).any():
                flat = flat * [(1 - GAP) / 2, 1] + [half * (1 + GAP) / 2, 0]
            charts.add(flat, ids, local, region.parts[half])
            if region.right_parts is not None:
                charts.add(flat, mirror[ids], local[:, ::-1], region.right_parts[half])
    return charts.joined()


@dataclass
class _Pieces:
    """Collects islands into charts."""

    uv: list[np.ndarray]
    vertex: list[np.ndarray]
    faces: list[np.ndarray]
    part: list[np.ndarray]

    def add(self, flat: np.ndarray, ids: np.ndarray, local: np.ndarray, part: int) -> None:
        self.faces.append(local + sum(map(len, self.uv)))
        self.uv.append(flat)
        self.vertex.append(ids)
        self.part.append(np.full(len(local), part))

    def joined(self) -> Charts:
        uv, vertex, faces, part = map(np.concatenate, (self.uv, self.vertex, self.faces, self.part))
        return Charts("makehuman-24", uv.astype(np.float32), vertex, faces, part)


def _label(
    vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray, joints: np.ndarray
) -> np.ndarray:
    """(F,) 2 · region + half of each face."""
    groups = [[JOINT_NAMES.index(name) for name in region.joints] for region in REGIONS]
    share = np.stack([weights[:, group].sum(1) for group in groups], 1)
    region = share[faces].sum(1).argmax(1)
    normals = vertex_normals(vertices, faces).astype(np.float64)
    positive = np.zeros(len(faces), bool)
    for number, spec in enumerate(REGIONS):
        field = _smooth(normals, faces, spec.smoothing) @ spec.cut
        if spec is FOOT:
            field = _side_of_foot(vertices, joints)
        elif number == len(REGIONS) - 1:
            field = vertices[:, 0]
        mine = region == number
        positive[mine] = field[faces[mine]].mean(1) > 0
    return 2 * region + positive


def _smooth(values: np.ndarray, faces: np.ndarray, rounds: int) -> np.ndarray:
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    ones = np.ones(len(edges))
    links = sparse.coo_matrix((ones, edges.T), (len(values),) * 2).tocsr()
    links = ((links + links.T) > 0).astype(float) + sparse.identity(len(values))
    mean = sparse.diags(1 / np.asarray(links.sum(1)).ravel()) @ links
    for _ in range(rounds):
        values = mean @ values
    return values


def _side_of_foot(vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(V,) distance from the vertical plane along the left foot, positive on the outer side."""
    ankle, ball = (joints[JOINT_NAMES.index(f"left_{name}")] for name in ("ankle", "foot"))
    outward = np.cross(Y, ball - ankle)
    return (vertices - ankle) @ (outward / np.linalg.norm(outward))
