"""Landmarks: points of the head and the feet that data sets annotate, found on the mesh."""

from __future__ import annotations

import numpy as np

from body_maker.makehuman import BaseMesh
from body_maker.skin import Skin
from bodyreg.body.landmarks import LANDMARK_NAMES, Landmark

# Vertices of a foot below this height (metres above the ground) belong to heel and toes.
SOLE_HEIGHT = 0.05
# Distance from the centre of the eyeball to the opening of the lids, metres.
EYE_TO_SKIN = np.array([0, 0, 0.015])


def find(
    base: BaseMesh, person: np.ndarray, skin: Skin, vertices: np.ndarray
) -> dict[str, Landmark]:
    """Find landmarks as weighted means of a triangle's vertices; right ones mirror the left ones.

    Args:
        base: The base mesh; its cubes mark the eyes.
        person: (19158, 3) in the A-pose, metres.
        skin: The thinned skin.
        vertices: (V, 3) the skin in the T-pose.
    """
    posed = skin.mix @ person
    left = vertices[:, 0] > 0
    foot = np.flatnonzero(left & (vertices[:, 1] < vertices[:, 1].min() + SOLE_HEIGHT))
    head = posed[:, 1] > base.cube(person, "joint-head")[1]
    ear = head & left & (posed[:, 0] > 0.93 * posed[head, 0].max())
    eye = base.cube(person, "joint-l-eye")
    nose = np.flatnonzero(head & (np.abs(posed[:, 0]) < 1e-6))
    points = {
        "nose": posed[nose[posed[nose, 2].argmax()]],
        "left_eye": eye + EYE_TO_SKIN,
        "left_ear": posed[ear].mean(0),
        "head_top": posed[posed[:, 1].argmax()] * [0, 1, 1],
        "left_heel": posed[foot[vertices[foot, 2].argmin()]],
        "left_toe": posed[foot[vertices[foot, 2].argmax()]],
    }
    found = {name: _closest(point, posed, skin.faces) for name, point in points.items()}
    for name in list(found):
        if name.startswith("left_"):
            landmark = found[name]
            found[name.replace("left_", "right_")] = Landmark(
                skin.mirror[landmark.vertices], landmark.weights
            )
    return {name: found[name] for name in LANDMARK_NAMES}


def _closest(point: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> Landmark:
    """The point of the surface nearest to `point`."""
    from trimesh.triangles import closest_point, points_to_barycentric

    triangles = vertices[faces]
    near = closest_point(triangles, np.broadcast_to(point, (len(faces), 3)))
    face = int(np.linalg.norm(near - point, axis=1).argmin())
    share = points_to_barycentric(triangles[face][None], near[face][None])[0]
    share = np.maximum(share, 0)
    used = share > 1e-6
    share = share[used] / share[used].sum()
    return Landmark(faces[face][used].astype(np.int64), share.astype(np.float32))
