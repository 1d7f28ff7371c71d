"""Penetration depth of limbs in the trunk, the head or other limbs.

A few hundred vertices with normals (probes) represent the skin. A probe of a limb penetrates
another part if it lies behind that part's nearest probe; the depth is measured along that probe's
normal. Neighbours that always touch (upper arm and armpit, thigh and groin, both sides of a bent
joint) are left out.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from bodyreg import ops
from bodyreg.body import JOINT_NAMES, Body
from bodyreg.body.surface import vertex_normals
from bodyreg.synthetic.motions.limbs import LIMBS
from bodyreg.synthetic.people import Person

# Spacing of the probes, metres on the template; slender parts have the finer spacing.
SPACING, FINE_SPACING = 0.055, 0.035
# The first share of an upper arm or a thigh belongs to the trunk and is not tested.
FREE_FROM = 0.45
# A point counts as inside only if it lies under its nearest probe: its sideways distance is at most
# SIDEWAYS metres or its depth. Depths above DEEPEST are impossible and ignored.
SIDEWAYS, DEEPEST = 0.04, 0.13
# Larger than any squared distance, metres squared.
FAR = 100.0

SIDES = ("left", "right")

# Parts of a limb: their segments, and the parts of the same limb that they are not tested against.
ARM_PARTS = {
    "upper_arm": (("shoulder",), ("upper_arm", "forearm", "hand")),
    "forearm": (("elbow",), ("upper_arm", "forearm", "hand")),
    "hand": (("wrist", "hand"), ("forearm", "hand")),
}
LEG_PARTS = {
    "thigh": (("hip",), ("thigh", "shank")),
    "shank": (("knee", "ankle", "foot"), ("thigh", "shank")),
}


@dataclass(frozen=True, eq=False)
class Probes:
    """Vertices that represent the skin.

    Attributes:
        vertex: (n,) vertex numbers of the probes.
        around: (a,) these vertices, followed by the other vertices of the faces around them, which
            the normals need.
        faces: (f, 3) these faces, as indices into `around`.
        owner: (n,) the joint with the largest weight of each probe.
        weights, joint_ids: (n, K) and (2 n, K) skinning of the probes; `joint_ids` repeats for
            their normals.
        limbs: For each limb, the probes of its tested parts.
        mine: (m,) the probes of all limbs, concatenated.
        ends: Five bounds of the limbs in `mine`.
        left: (m, 4 + k) float32, see `right`.
        right: (4 + k, n) float32. `left @ right` gives the squared distance of each of `mine` to
            each probe, up to a constant per row. The first 4 columns hold positions and ones, the
            others which of k sets of probes each of `mine` is not tested against, and FAR for the
            members of these sets.
        bottom: Probes that a body sits or lies on: trunk and upper halves of the thighs.
        spots: Name of a spot that hands touch -> its probe.
    """

    vertex: np.ndarray
    around: np.ndarray
    faces: np.ndarray
    owner: np.ndarray
    weights: np.ndarray
    joint_ids: np.ndarray
    limbs: list[np.ndarray]
    mine: np.ndarray
    ends: list[int]
    left: np.ndarray
    right: np.ndarray
    bottom: np.ndarray
    spots: dict[str, int]


@dataclass(frozen=True, eq=False)
class Depths:
    """The deepest point of each limb in each of N postures.

    Attributes:
        depth: (N, 4) metres; 0 if a limb of `LIMBS` penetrates nothing. The other values are
            undefined then.
        point: (N, 4, 3) the deepest point, metres in model axes.
        normal: (N, 4, 3) direction out of the penetrated part.
        joint: (N, 4) the joint with the largest weight of that point.
    """

    depth: np.ndarray
    point: np.ndarray
    normal: np.ndarray
    joint: np.ndarray


class Skin:
    """The probes of one person, which can be posed."""

    def __init__(self, person: Person) -> None:
        body, probes = person.body, _probes_of(person.template)
        normals = vertex_normals(body.vertices[probes.around], probes.faces)
        # A normal moves like a point without translation. One coordinate at a time, so that NumPy
        # loops over the probes.
        anchors = np.zeros((2, *probes.weights.shape, 4), np.float32)
        for those, vectors in zip(anchors, (body.vertices[probes.vertex], normals), strict=True):
            for axis in range(3):
                along = vectors[: len(probes.vertex), axis, None]
                np.multiply(probes.weights, along, out=those[..., axis])
        anchors[0, ..., 3] = probes.weights
        self.probes = probes
        self._joint_ids = torch.from_numpy(probes.joint_ids)
        self._anchors = torch.from_numpy(anchors).flatten(0, 1)
        # Factors of the product in `_deepest`; the constant columns are filled in.
        self._left, self._right = probes.left.copy(), probes.right.copy()
        self._scale = torch.from_numpy(person.segment_scale)
        self._joints = torch.from_numpy(body.joints)
        self._parents = body.parents

    def place(self, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pose by rotations (N, 24, 3, 3): probes and unit normals (N, n, 3), joints (N, 24, 3)."""
        turns = torch.from_numpy(np.asarray(rotations, np.float32))
        scale = self._scale.expand(len(turns), -1).contiguous()
        transforms, joints = ops.kinematics(turns, scale, self._joints, self._parents)
        both = ops.lbs(transforms, self._joint_ids, self._anchors).numpy()
        points, normals = both[:, : len(self.probes.vertex)], both[:, len(self.probes.vertex) :]
        normals /= np.sqrt(np.einsum("npc,npc->np", normals, normals))[..., None]
        return points, normals, joints.numpy()

    def depths(self, points: np.ndarray, normals: np.ndarray) -> Depths:
        """Penetration depths in N postures, from posed probes and normals (N, n, 3)."""
        found = [self._deepest(*one) for one in zip(points, normals, strict=True)]
        return Depths(*(np.stack(part) for part in zip(*found, strict=True)))

    def _deepest(self, skin: np.ndarray, outward: np.ndarray) -> tuple[np.ndarray, ...]:
        """One row of `Depths`, from posed probes and normals (n, 3)."""
        # Squared distances, up to a constant per row, in one product: faster than a search for
        # candidates.
        mine, left, right = self.probes.mine, self._left, self._right
        limbs = skin[mine]
        np.multiply(limbs, -2, out=left[:, :3])
        right[:3] = skin.T
        np.einsum("nc,nc->n", skin, skin, out=right[3])
        nearest = (left @ right).argmin(1)
        offset, out = limbs - skin[nearest], outward[nearest]
        depth = -np.einsum("pc,pc->p", offset, out)
        apart = np.einsum("pc,pc->p", offset, offset)
        under = apart - depth * depth <= np.maximum(SIDEWAYS, depth) ** 2
        depth[~under | (apart >= DEEPEST**2) | (depth < 0)] = 0
        ends = self.probes.ends
        deepest = [start + depth[start:end].argmax() for start, end in itertools.pairwise(ends)]
        return depth[deepest], limbs[deepest], out[deepest], self.probes.owner[mine[deepest]]


@lru_cache(maxsize=4)
def _probes_of(template: Body) -> Probes:
    """The probes of a template; all its shapes use the same vertices."""
    names = np.array(JOINT_NAMES)[template.segment]
    kept = {
        spacing: np.unique(np.floor(template.vertices / spacing), axis=0, return_index=True)[1]
        for spacing in (SPACING, FINE_SPACING)
    }
    chosen = np.zeros(len(names), bool)
    chosen[kept[SPACING]] = True
    slender = np.isin(names, [f"{s}_{j}" for s in SIDES for j in ("elbow", "wrist", "hand")])
    chosen[slender] = False
    chosen[kept[FINE_SPACING][slender[kept[FINE_SPACING]]]] = True
    spots = _spots(template, names)
    chosen[list(spots.values())] = True
    vertex = np.flatnonzero(chosen)
    segment = names[vertex]

    def places(side: str, joints: tuple[str, ...]) -> np.ndarray:
        return np.isin(segment, [f"{side}_{joint}" for joint in joints])

    # Arms avoid legs, but legs do not avoid arms.
    arms = np.isin(
        segment, [f"{s}_{j}" for s in SIDES for part in ARM_PARTS.values() for j in part[0]]
    )
    limbs, kinds, barriers = [], [], []
    for name in LIMBS:
        side = name.split("_")[0]
        parts = ARM_PARTS if "arm" in name else LEG_PARTS
        free = []
        for part, (joints, spared) in parts.items():
            mine = places(side, joints) & _is_free(template, side, part, vertex)
            own = np.logical_or.reduce([places(side, parts[other][0]) for other in spared])
            if "leg" in name:
                own |= arms
            free.append(np.flatnonzero(mine))
            kinds += [len(barriers)] * len(free[-1])
            barriers.append(own)
        limbs.append(np.concatenate(free))
    barrier, kind_of = np.unique(barriers, axis=0, return_inverse=True)
    spared = np.eye(len(barrier))[kind_of.reshape(-1)[kinds]]
    is_free = np.isin(np.arange(len(vertex)), np.concatenate(limbs))
    bottom = ~is_free & ~arms & ~np.isin(segment, ("neck", "head"))
    faces = template.faces[chosen[template.faces].any(1)]
    around = np.concatenate([vertex, np.setdiff1d(faces, vertex)])
    numbers = np.zeros(len(names), np.int64)
    numbers[around] = np.arange(len(around))
    return Probes(
        vertex=vertex,
        around=around,
        faces=numbers[faces],
        owner=template.segment[vertex],
        weights=template.weights[vertex],
        joint_ids=np.tile(template.weight_joint_ids[vertex], (2, 1)),
        limbs=limbs,
        mine=np.concatenate(limbs),
        ends=[0, *itertools.accumulate(map(len, limbs))],
        left=np.concatenate([np.ones((len(kinds), 4)), spared], 1, dtype=np.float32),
        right=np.concatenate([np.zeros((4, len(vertex))), FAR * barrier], dtype=np.float32),
        bottom=np.flatnonzero(bottom),
        spots={name: int(np.searchsorted(vertex, v)) for name, v in spots.items()},
    )


def _spots(body: Body, names: np.ndarray) -> dict[str, int]:
    """Vertices that hands touch; none for a body without landmarks of the face."""
    if not {"nose", "left_ear", "right_ear", "left_eye", "right_eye"} <= set(body.landmarks):
        return {}

    def nearest(point: np.ndarray, *segments: str) -> int:
        inside = np.flatnonzero(np.isin(names, segments))
        return int(inside[((body.vertices[inside] - point) ** 2).sum(1).argmin()])

    def landmark(name: str) -> np.ndarray:
        mark = body.landmarks[name]
        return mark.weights @ body.vertices[mark.vertices]

    joint = dict(zip(JOINT_NAMES, body.joints, strict=True))
    spots = {
        "mouth": nearest(landmark("nose") + np.array([0, -0.045, 0]), "head"),
        "chin": nearest(landmark("nose") + np.array([0, -0.085, 0]), "head"),
    }
    for side, sign in (("left", 1), ("right", -1)):
        spots[f"{side}_ear"] = nearest(landmark(f"{side}_ear"), "head")
        temple = 0.85 * landmark(f"{side}_eye") + 0.15 * landmark(f"{side}_ear")
        spots[f"{side}_temple"] = nearest(temple, "head")
        spots[f"{side}_nape"] = nearest(joint["head"] + [sign * 0.04, 0.05, -0.15], "head")
        waist = joint["spine1"] * [0, 1, 1] + [sign * 0.3, 0.02, 0.02]
        spots[f"{side}_waist"] = nearest(waist, "pelvis", "spine1", "spine2")
        lap = 0.35 * joint[f"{side}_hip"] + 0.65 * joint[f"{side}_knee"]
        spots[f"{side}_lap"] = nearest(lap + np.array([0, 0, 0.2]), f"{side}_hip")
        spots[f"{side}_knee"] = nearest(joint[f"{side}_knee"] + [0, 0.03, 0.2], f"{side}_hip")
    return spots


def _is_free(body: Body, side: str, part: str, vertices: np.ndarray) -> np.ndarray:
    ends = {"upper_arm": ("shoulder", "elbow"), "thigh": ("hip", "knee")}.get(part)
    if ends is None:
        return np.ones(len(vertices), bool)
    first, last = (body.joints[JOINT_NAMES.index(f"{side}_{end}")] for end in ends)
    along = (body.vertices[vertices] - first) @ (last - first) / ((last - first) ** 2).sum()
    return along > FREE_FROM
