"""Find where vertices of SMPL and of MHR lie on the built-in body, without any file of SMPL.

    python tools/map_smpl.py mhr_face_mask.ply mhr2smpl_mapping.npz

Both files are of Meta's MHR (https://github.com/facebookresearch/MHR, tools/mhr_smpl_conversion;
Apache License 2.0): MHR's mesh at its level of detail 1, centimetres, and each of SMPL's 6,890
vertices as a triangle and barycentrics on that mesh. The script writes smpl.npz and mhr.npz in
bodyreg/body/assets; the same files give the same bytes. Steps:

1. find the fingers of both bodies: MHR's by the numbers that SMPL's fingertips have, because by
   place alone a finger can be taken for its neighbour (`fingers`);
2. pose and resize the built-in body until it fits MHR's (`wrapping.settle`);
3. bend it onto MHR's surface; fingers meet their own fingers only (`wrapping.bend`);
4. take the nearest point of the bent body for each of SMPL's vertices, and of MHR's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import trimesh
from body_maker import fingers

from bodyreg.body import Body, Landmark
from bodyreg.body.landmarks import SMPL_LANDMARK_VERTICES, vertex_landmark
from bodyreg.body.mhr import MHR_TABLE, MhrVertices
from bodyreg.body.nearest import Nearest, Surface
from bodyreg.body.smpl import SMPL_TABLE, SmplVertices
from bodyreg.body.wrapping import Pins, bend, settle
from bodyreg.npz import load_npz, save_npz

# Vertex numbers of SMPL's left fingertips, thumb first, as smplx's vertex_ids.py lists them.
SMPL_FINGERTIPS = (2746, 2319, 2445, 2556, 2673)
# Landmarks whose definitions agree well enough to show the way.
SHOWING = ("nose", "left_eye", "left_ear", "left_heel", "left_toe")
# Labels of vertices: 0 for most, 1 to 5 for the fingers of the left hand, 6 to 10 of the right one.
FINGER_LABELS = 11
CENTIMETRE = 0.01
# Metres (`Surface.nearest`): the sides of toes are pressed together in MHR's surface, and vertices
# belong to what is outside.
TURN = 0.01


def map_both(
    body: Body,
    vertices: np.ndarray,
    faces: np.ndarray,
    triangle: np.ndarray,
    barycentric: np.ndarray,
) -> tuple[SmplVertices, MhrVertices]:
    """Run all steps; the tables of SMPL's and of MHR's vertices.

    Args:
        body: The built-in body, in any shape.
        vertices: (M, 3) MHR's, metres; its two sides are mirror images.
        faces: (G, 3) MHR's.
        triangle: (6890,) the triangle of MHR that each of SMPL's vertices lies in.
        barycentric: (6890, 3) its place in there.
    """
    own = body.vertices.astype(np.float64)
    places, _ = Surface(vertices, faces).at(triangle, barycentric)
    nearest = [np.linalg.norm(vertices - places[n], axis=1).argmin() for n in SMPL_FINGERTIPS]
    theirs = fingers.find(vertices, faces, np.array(nearest))
    tips = fingers.tips_by_shape(own, body.faces, body.joints[body.joint_names.index("left_wrist")])
    ours = fingers.find(own, body.faces, tips)
    their_labels = _labels(vertices, theirs.finger, _mirror(vertices))
    target = Surface(vertices, faces, their_labels)

    hand = [vertex_landmark(int(v)) for v in (*ours.tips, *ours.webs)]
    hand_places = vertices[[*theirs.tips, *theirs.webs]]
    head = vertices[vertices[:, 1].argmax()] * [0, 1, 1]
    shown = [body.landmarks[name] for name in (*SHOWING, "head_top")]
    shown_places = [*(places[SMPL_LANDMARK_VERTICES[name]] for name in SHOWING), head]
    pins = Pins([*hand, *shown], np.concatenate([hand_places, shown_places]))
    settled = settle(body, target, pins, symmetric=True)

    # The same places on both bodies: fingers, big toes and the nose.
    toe = shown[SHOWING.index("left_toe")], shown_places[SHOWING.index("left_toe")]
    left, left_places = [*hand, toe[0]], np.stack([*hand_places, toe[1]])
    exact = Pins(
        [*left, *_mirrored(left, body), shown[0]],
        np.concatenate([left_places, left_places * [-1, 1, 1], shown_places[:1]]),
    )
    labels = _labels(own, ours.finger, body.mirror_vertices)
    bent = bend(
        settled, body.faces, target, exact, mirror=body.mirror_vertices, allowed=_allowed(labels)
    )
    surface = Surface(bent, body.faces, labels)
    near = _nearest(surface, *target.at(triangle, barycentric), target.face_labels[triangle])
    smpl = SmplVertices(body.faces[near.face], near.barycentric.astype(np.float32))
    near = _nearest(surface, vertices, target.normals, their_labels)
    return smpl, MhrVertices.of(near.face, near.barycentric)


def _nearest(
    surface: Surface, points: np.ndarray, normals: np.ndarray, labels: np.ndarray
) -> Nearest:
    """The nearest point of the bent body for each point of MHR's surface."""
    near = surface.nearest(points, normals, turn=TURN, allowed=_allowed(labels))
    away = 1000 * np.linalg.norm(near.place - points, axis=1)
    share = ", ".join(f"{q} %: {np.percentile(away, q):.2f}" for q in (50, 90, 99, 100))
    print(f"from MHR's surface to the bent body, mm: {share}")
    return near


def _labels(vertices: np.ndarray, finger: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    left = finger + 1
    return np.where(vertices[:, 0] > 0, left, np.where(left[mirror] > 0, left[mirror] + 5, 0))


def _allowed(labels: np.ndarray) -> np.ndarray:
    """(P, 11) bool: a finger meets itself and the palm, the rest meets all."""
    every = np.arange(FINGER_LABELS)
    return (labels[:, None] == 0) | (every == 0) | (labels[:, None] == every)


def _mirror(vertices: np.ndarray) -> np.ndarray:
    from scipy.spatial import cKDTree

    return cKDTree(vertices).query(vertices * [-1, 1, 1])[1]


def _mirrored(landmarks: list[Landmark], body: Body) -> list[Landmark]:
    return [Landmark(body.mirror_vertices[p.vertices], p.weights) for p in landmarks]


def main() -> None:
    """Make the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mesh", type=Path, help="MHR's mhr_face_mask.ply")
    parser.add_argument("mapping", type=Path, help="MHR's mhr2smpl_mapping.npz")
    parser.add_argument(
        "--shape",
        nargs="*",
        default=[],
        metavar="NAME=VALUE",
        help="begin with the built-in body in another shape: how much does the map depend on it?",
    )
    parser.add_argument(
        "--out", type=Path, default=SMPL_TABLE.parent, help="the folder to write both tables to"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # sums in one order
    mesh = trimesh.load(arguments.mesh, process=False)
    mapping = load_npz(arguments.mapping, kind="mapping")
    share = mapping["baryc_coords"].clip(0)
    body = Body.default()
    shape = {name: float(value) for name, value in (item.split("=") for item in arguments.shape)}
    tables = map_both(
        body.with_shape([shape.pop(name, 0.0) for name in body.shape_names]),
        np.asarray(mesh.vertices) * CENTIMETRE,
        np.asarray(mesh.faces),
        mapping["triangle_ids"],
        share / share.sum(1, keepdims=True),
    )
    for path, table in zip((SMPL_TABLE, MHR_TABLE), tables, strict=True):
        out = arguments.out / path.name
        save_npz(out, compressed=True, **table.arrays())
        print(f"{out}: {len(table)} vertices, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
