"""Errors of fits against the truth of made people."""

from __future__ import annotations

import os
from collections.abc import Container
from typing import TYPE_CHECKING

import numpy as np

from bodyreg.body.landmarks import Landmark, vertex_landmark
from bodyreg.data.frames import overlap
from bodyreg.data.skeletons import LSP_14
from bodyreg.errors import UserError
from bodyreg.metrics.geodesics import BodyGeodesics, GeodesicDistance, spread_vertices
from bodyreg.metrics.gps import gps, gpsm, kappa_of_vertices, mask_iou
from bodyreg.metrics.keypoints import pck
from bodyreg.metrics.pose import (
    bone_mpjpe,
    mpjpe,
    n_mpjpe,
    pa_mpjpe,
    turned_away,
    within_deviation,
)
from bodyreg.metrics.silhouette import silhouettes
from bodyreg.metrics.surface import pixel_error, vertex_error
from bodyreg.metrics.table import Metric

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data import Fits, Truth

MILLIMETRES, PER_CENT = 1000.0, 100.0
SIDE = 256
"""Side of a frame in pixels, for `pixel`, `iou` and `gps`."""
SMALLEST = 1e-6
"""Frame units per metre. A body of a smaller scale is a point."""
SURFACE_POINTS = 512
"""Number of vertices, spread evenly over the body; `gps` compares the visible ones of them."""
AT_ITS_PLACE = 0.03
"""Largest distance between a point and what the truth's own picture shows there: about an edge."""
HEAD_SHARE = 0.5
# Number of people compared at a time.
CHUNK = 64


METRICS: dict[str, Metric] = {
    "pixel": Metric("vertices", "px", f"visible vertices in a {SIDE}-pixel frame"),
    "vertex": Metric("PA vertices", "mm", "vertices after Procrustes"),
    "mpjpe": Metric("MPJPE", "mm", "24 joints from the pelvis, true scale"),
    "bone_mpjpe": Metric("bone MPJPE", "mm", "16 joints of MPII, sum of bones as in truth"),
    "n_mpjpe": Metric("N-MPJPE", "mm", "24 joints from the pelvis, best scale"),
    "pa_mpjpe": Metric("PA-MPJPE", "mm", "24 joints after Procrustes"),
    "pa_mpjpe_14": Metric("PA-MPJPE 14", "mm", "14 joints of LSP after Procrustes"),
    "pckh": Metric("PCKh", "%", "14 joints within half a head, in the picture", best=100),
    "iou": Metric("IoU", "%", "silhouettes' intersection over union", best=100),
    "gps": Metric("GPS", "%", "geodesic point similarity, visible points", best=100),
    "gpsm": Metric("GPSm", "%", "geometric mean of IoU and GPS", best=100),
    "across": Metric("± across", "%", "joints within one deviation across the view", best=100),
    "along": Metric("± along", "%", "joints within one deviation along the view", best=100),
    "reflected": Metric("mirrored", "", "bodies that are mirror images"),
    "turned_away": Metric("turned away", "", "facing more than 90 degrees away"),
}
"""The metrics of `evaluate`, in the order of the tables."""


SAME_CROP = 0.5
"""Intersection over union that most crops of the same people exceed. It is 0.85 in the median of
made people in MPII's and in DensePose's files, and 0.37 if their people are exchanged."""


def evaluate(
    fits: Fits, truth: Truth, body: Body, geodesics: GeodesicDistance | None = None
) -> dict[str, np.ndarray]:
    """Every error of every person.

    Args:
        fits: N fits of `body`.
        truth: The truth of these people and possibly others, matched by id.
        body: The template that was fitted.
        geodesics: Distances along its surface; `BodyGeodesics` by default.

    Returns:
        Name -> (N,), for the names in `METRICS`, which describes them: float64, or bool for a fault
        that a fit may have. Lengths are in millimetres of the truth or in pixels of a 256-pixel
        frame, shares in per cent. NaN if there is nothing to compare: no visible vertex for
        `pixel`, no visible point for `gps` and `gpsm`. Fits without deviations have no `across` and
        no `along`. The reference length of `pckh` is the true length of the head in space, from
        neck to top, at the camera's scale, so a nod does not shorten it. Places in the picture are
        perspective where the fit is, or the truth.

    Raises:
        UserError: the truth lacks a person, or was made from another mesh.
    """
    return Evaluator(body, geodesics)(fits, truth)


class Evaluator:
    """`evaluate` for one body; many calls share what depends on the body alone."""

    def __init__(self, body: Body, geodesics: GeodesicDistance | None = None) -> None:
        self.body = body
        self._geodesics = geodesics or BodyGeodesics(body)
        self._points = spread_vertices(body.vertices, SURFACE_POINTS)
        self._kappa = kappa_of_vertices(body)[self._points]
        self._head_top = head_top(body)
        self._names = (*body.joint_names, "head_top")
        self._common = [self._names.index(name) for name in LSP_14.joints]

    def __call__(self, fits: Fits, truth: Truth) -> dict[str, np.ndarray]:
        """Every error of every person, as in `evaluate`."""
        require_made_from(self.body, truth.body)
        position = {person: row for row, person in enumerate(truth.id.tolist())}
        require_people(fits.id, position, "the truth")
        truth = truth.select(np.array([position[person] for person in fits.id.tolist()], int))
        parts = [
            self._of(fits.select(some), truth.select(some))
            for some in np.array_split(np.arange(len(fits)), max(1, -(-len(fits) // CHUNK)))
        ]
        return {
            name: np.concatenate([part[name] for part in parts])
            for name in METRICS
            if name in parts[0]
        }

    def _of(self, fits: Fits, truth: Truth) -> dict[str, np.ndarray]:
        # Truth and fit may have different frames.
        fits = fits.in_frames(truth.frame)
        vertices, joints = fits.vertices(self.body), fits.joints(self.body)
        points = _with_head_top(joints, vertices, self._head_top)
        true_points = _with_head_top(truth.joints, truth.vertices, self._head_top)
        common, true_common = points[:, self._common], true_points[:, self._common]
        seen = fits.seen(vertices)
        return {
            "pixel": pixel_error(
                seen[..., :2], truth.in_frame(truth.vertices), truth.visible, SIDE
            ),
            "vertex": MILLIMETRES * vertex_error(vertices, truth.vertices),
            "mpjpe": MILLIMETRES * mpjpe(joints / truth.scale[:, None, None], truth.joints),
            "bone_mpjpe": MILLIMETRES * bone_mpjpe(points, true_points, self._names),
            "n_mpjpe": MILLIMETRES * n_mpjpe(joints, truth.joints),
            "pa_mpjpe": MILLIMETRES * pa_mpjpe(joints, truth.joints),
            "pa_mpjpe_14": MILLIMETRES * pa_mpjpe(common, true_common),
            "pckh": PER_CENT * self._pckh(fits.seen(common), true_common, truth),
            **self._surface(seen, truth),
            **self._within(fits, joints, truth),
            "reflected": fits.mirrored,
            "turned_away": turned_away(joints, truth.joints, self.body.joint_names),
        }

    def _within(self, fits: Fits, joints: np.ndarray, truth: Truth) -> dict[str, np.ndarray]:
        if fits.joint_deviation is None:
            return {}
        size = MILLIMETRES / np.maximum(np.abs(fits.scale), SMALLEST)[:, None, None]
        true = truth.placed(truth.joints)
        across, along = within_deviation(size * joints, size * true, fits.joint_deviation).T
        return {"across": PER_CENT * across, "along": PER_CENT * along}

    def _pckh(self, seen: np.ndarray, true_common: np.ndarray, truth: Truth) -> np.ndarray:
        neck, top = (true_common[:, LSP_14.joints.index(name)] for name in ("neck", "head_top"))
        head = truth.scale * np.linalg.norm(top - neck, axis=1)
        present = np.ones(seen.shape[:2], bool)
        return pck(seen[..., :2], truth.in_frame(true_common), head, HEAD_SHARE, present)

    def _surface(self, seen: np.ndarray, truth: Truth) -> dict[str, np.ndarray]:
        """Compare what the fit shows at the pixels of the truth's points."""
        true_seen = truth.seen(truth.placed(truth.vertices))
        shown = silhouettes(seen, self.body, SIDE)
        true = silhouettes(true_seen, self.body, SIDE)
        places = true_seen[:, self._points, :2]
        # On the outline, even the truth may show the background or another limb.
        at_its_place = self._distance(true.at(places)) <= AT_ITS_PLACE
        visible = truth.visible[:, self._points] & at_its_place
        similarity = gps(self._distance(shown.at(places)), visible, self._kappa)
        overlap = mask_iou(shown.mask, true.mask)
        return {
            "iou": PER_CENT * overlap,
            "gps": PER_CENT * similarity,
            "gpsm": PER_CENT * gpsm(similarity, overlap),
        }

    def _distance(self, taken_for: np.ndarray) -> np.ndarray:
        """(N, P) metres from the points compared to the vertices they were taken for."""
        hit = taken_for >= 0
        distance = np.full(hit.shape, np.inf)
        distance[hit] = self._geodesics(self._points[np.nonzero(hit)[1]], taken_for[hit])
        return distance


def joint_errors(fits: Fits, joints: np.ndarray, body: Body) -> dict[str, np.ndarray]:
    """`bone_mpjpe` and `pa_mpjpe` of `evaluate`, which need no mesh.

    Args:
        fits: N fits of `body`.
        joints: (N, 25, 3) of these people, as of `true_joints`.
        body: The template that was fitted.
    """
    names = (*body.joint_names, "head_top")
    found = fits.keypoints(body.with_landmarks({"head_top": head_top(body)}), names)
    return {
        "bone_mpjpe": MILLIMETRES * bone_mpjpe(found, joints, names),
        "pa_mpjpe": MILLIMETRES * pa_mpjpe(found[:, :-1], joints[:, :-1]),
    }


def true_joints(truth: Truth, body: Body) -> np.ndarray:
    """(N, 25, 3) float32 metres in camera axes: the true joints, and the top of the head.

    Raises:
        UserError: the truth was made from another mesh.
    """
    require_made_from(body, truth.body)
    return _with_head_top(truth.joints, truth.vertices, head_top(body))


def head_top(body: Body) -> Landmark:
    """The body's own landmark on the mesh, or its highest vertex."""
    own = body.landmarks.get("head_top")
    if own is not None and not own.places:
        return own
    return vertex_landmark(int(body.vertices[:, 1].argmax()))


def _with_head_top(joints: np.ndarray, vertices: np.ndarray, top: Landmark) -> np.ndarray:
    point = np.tensordot(vertices[:, top.vertices], top.weights, (1, 0))
    return np.concatenate([joints, point[:, None]], axis=1)


def require_made_from(body: Body, fingerprint: str) -> None:
    """Refuse a truth of another body than the fitted one."""
    if fingerprint != body.fingerprint:
        raise UserError(
            f"the truth was made from body {fingerprint}, these are fits of '{body.name}' "
            f"({body.fingerprint}); evaluate with the body it was made from"
        )


def require_people(ids: np.ndarray, known: Container[int], source: str | os.PathLike) -> None:
    """Refuse fits of people that are not in the truth; `source` is its file, for messages."""
    for person in ids.tolist():
        if person not in known:
            raise UserError(
                f"{source}: holds no person {person}; give the truth of the fitted people"
            )


def require_same_pictures(frames: np.ndarray, known: np.ndarray, source: str | os.PathLike) -> None:
    """Refuse what belongs to other pictures than the fits, although the ids are the same.

    Two data sets give a person somewhat different crops, and very different ones if the picture
    cuts the person. But most crops of the same people overlap by more than `SAME_CROP`.

    Args:
        frames: (N, 3) the crops of the fits.
        known: (N, 3) the crops of the same ids in the file that the fits are compared with.
        source: That file.
    """
    apart = overlap(frames, known) < SAME_CROP
    # One person of few may be cut by the picture.
    if apart.sum() > 1 + len(apart) / 2:
        raise UserError(
            f"{source}: {apart.sum():,} of {len(apart):,} people are at other places of their "
            "pictures than their fits, so it is of other pictures; give the file of the fitted ones"
        )
