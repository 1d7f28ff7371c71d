"""The objective of one person as a function of the shape, too: its value and normal equations.

A rig point whose influences have weights w_k and rest anchors a_k is posed to

    x = Σ_k s_k A_k (a_k - w_k j_k) + w_k p_k,    p_child = p_k + s_k A_k (j_child - j_k),

with segment scales s, rotations A and rest joints j. Anchors and joints are linear in the shape
coefficients c: a = a0 + Σ_s c_s da_s, j = j0 + Σ_s c_s dj_s. So all derivatives have closed forms.

The terms are those of `losses`, in float64, except facing, visibility, exponential and det, which
change little near a good fit; a fit with all terms follows.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import block_diag
from scipy.spatial.transform import Rotation

from bodyreg.body import JOINT_NAMES, PARENTS, Body, RigPoints
from bodyreg.body.joints import MIRROR_JOINTS
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.reference.projection import NEAR
from bodyreg.registration import schedule
from bodyreg.registration.config import RegistrationConfig
from bodyreg.registration.evidence import gather
from bodyreg.registration.prior import pose_prior

JOINTS = len(JOINT_NAMES)
STEPS, DAMPING = 8, 1e-3
"""Of Levenberg-Marquardt; the damping is a share of the diagonal."""
ENOUGH = 1e-4
"""A step that lowers the objective by a smaller share is the last one."""
TINY = 1e-12
"""Added to the diagonal, for unknowns that nothing depends on."""
MOST = 1.0
"""Of a shape coefficient: the ends of its direction."""
SMALL = 1e-4
"""Radians, below which formulas of turns have their limits."""

POSE, SCALE, TURN, SHIFT = slice(0, 72), slice(72, 96), slice(96, 99), slice(99, 101)
SIZE, SHAPE = 101, slice(102, None)
"""Columns of the unknowns: angles, segment scales, a turn of the camera, its translation, the
logarithm of its scale, shape coefficients."""

BELOW = np.eye(JOINTS)
"""(24, 24) 1 where the joint of the row is the joint of the column, or below it in the tree."""
for _joint, _parent in enumerate(PARENTS[1:], start=1):
    BELOW[_joint] += BELOW[_parent]


class Unknowns(NamedTuple):
    """One person's parameters in float64, and shape coefficients (S,)."""

    pose: np.ndarray
    segment_scale: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    scale: float
    shape: np.ndarray

    @classmethod
    def of(cls, fits: Fits, shape: np.ndarray) -> Unknowns:
        """Those of the only person of `fits`, whose root is not turned."""
        pose, segment_scale, rotation, translation = (
            array[0].astype(np.float64)
            for array in (fits.pose, fits.segment_scale, fits.rotation, fits.translation)
        )
        scale = float(fits.scale[0])
        return cls(pose, segment_scale, rotation, translation, scale, shape.astype(np.float64))

    def moved(self, step: np.ndarray, most: float) -> Unknowns:
        """After a step (102 + S,); shape coefficients stay between -most and most."""
        return Unknowns(
            self.pose + step[POSE].reshape(JOINTS, 3),
            self.segment_scale + step[SCALE],
            Rotation.from_rotvec(step[TURN]).as_matrix() @ self.rotation,
            self.translation + step[SHIFT],
            self.scale * float(np.exp(step[SIZE])),
            np.clip(self.shape + step[SHAPE], -most, most),
        )


class Points(NamedTuple):
    """Rig points with an influence of every joint.

    Attributes:
        weight: (P, 24).
        anchor: (P, 24, 3) of the template.
        direction: (P, 24, S, 3) what a unit of each shape coefficient adds to an anchor.
    """

    weight: np.ndarray
    anchor: np.ndarray
    direction: np.ndarray


class Seen(NamedTuple):
    """What is read of the evidence of one person, see `ops.fit.Evidence`."""

    point_vertex: np.ndarray
    point_barycentric: np.ndarray
    point_xy: np.ndarray
    point_weight: np.ndarray
    keypoint_xy: np.ndarray
    keypoint_weight: np.ndarray
    keypoint_depth: np.ndarray
    depth_weight: np.ndarray


class Normal(NamedTuple):
    """The objective near some unknowns, by Gauss and Newton: value + 2 gradient·d + d·matrix d."""

    value: float
    gradient: np.ndarray
    matrix: np.ndarray


class ShapeSystem:
    """The objective of one person.

    Args:
        body: The template.
        observations: One person.
        fits: The person's fit, which has the camera.
        config: The weights of the terms.
    """

    def __init__(
        self, body: Body, observations: Observations, fits: Fits, config: RegistrationConfig
    ) -> None:
        weights = schedule.final_setting(config).weights
        self._body, self._config = body, config
        self._weight = weights
        evidence = gather(observations, config, torch.device("cpu"), torch.float64)
        self._seen = Seen(*(getattr(evidence, name).numpy() for name in Seen._fields))
        self._perspective = fits.perspective[0].astype(np.float64)
        self._pelvis = len(self._seen.point_vertex)
        keypoints = _keypoints(body, observations.keypoint_name)
        surface = _surface(body, self._seen.point_vertex, self._seen.point_barycentric)
        pairs = zip(surface, keypoints, strict=True)
        self._points = Points(*(np.concatenate(pair) for pair in pairs))
        self._prior, self._usual = pose_prior(), np.ones(JOINTS)
        if body.proportions is not None:
            self._usual = body.proportions.astype(np.float64)
        self._of_pose, self._of_scale = _pose_matrix(weights), _scale_matrix(weights)

    def normal(self, at: Unknowns) -> Normal:
        """Value and normal equations at these unknowns."""
        x, slopes = self._posed(at)
        placed = at.scale * x @ at.rotation.T
        moved = at.scale * np.einsum("ab,pbn->pan", at.rotation, slopes)
        # A turn about an axis moves a point by the cross product of the axis and its place.
        moved[:, :, TURN] = _cross_matrix(-placed)
        moved[:, :2, SHIFT] = np.eye(2)
        moved[:, :, SIZE] = placed
        near = self._perspective[0] * placed[:, 2]
        size = near / np.maximum(1 - near, NEAR)
        growth = np.where(1 - near > NEAR, (1 + size) ** 2, 1 / NEAR) * self._perspective[0]
        xy = placed[:, :2] + at.translation
        beside = xy - self._perspective[1:]
        seen = xy + size[:, None] * beside
        shown = (1 + size)[:, None, None] * moved[:, :2]
        shown += beside[:, :, None] * (growth[:, None] * moved[:, 2])[:, None]

        value, gradient, matrix = self._of_priors(at)
        for residual, slope, weight, width in self._residuals(seen, shown, placed[:, 2], moved):
            square = (residual**2).sum(1)
            robust = 1.0 if np.isinf(width) else width**2 / (width**2 + square)
            value += (weight * square * robust).sum()
            each = np.repeat(weight * robust**2, residual.shape[1])
            flat = slope.reshape(-1, len(gradient))
            gradient += flat.T @ (each * residual.reshape(-1))
            matrix += flat.T @ (each[:, None] * flat)
        return Normal(float(value), gradient, matrix)

    def _residuals(
        self, seen: np.ndarray, shown: np.ndarray, depth: np.ndarray, moved: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
        """Residuals (P, n) with their slopes (P, n, U), weights (P,) and robust widths."""
        evidence, weight = self._seen, self._weight
        pelvis = self._pelvis
        keypoints = slice(pelvis + 1, None)
        used = evidence.keypoint_weight[0] > 0
        return [
            (
                seen[:pelvis] - evidence.point_xy,
                shown[:pelvis],
                weight.get("dense", 0.0) * evidence.point_weight,
                self._config.dense_width,
            ),
            (
                np.where(used[:, None], seen[keypoints] - evidence.keypoint_xy[0], 0),
                shown[keypoints],
                weight.get("keypoint", 0.0) * evidence.keypoint_weight[0],
                np.inf,
            ),
            (
                (depth[keypoints] - depth[pelvis] - evidence.keypoint_depth[0])[:, None],
                moved[keypoints, 2:] - moved[pelvis, 2:],
                weight.get("depth", 0.0) * evidence.depth_weight[0],
                np.inf,
            ),
        ]

    def _posed(self, at: Unknowns) -> tuple[np.ndarray, np.ndarray]:
        """(P, 3) posed points, metres, and (P, 3, U) their slopes by angles, scales and shape."""
        body, points, scale = self._body, self._points, at.segment_scale
        assert body.shape_joint_directions is not None
        change = body.shape_joint_directions.astype(np.float64).swapaxes(0, 1)  # (24, S, 3)
        joints = body.joints + np.tensordot(change, at.shape, ([1], [0]))
        turns = Rotation.from_rotvec(at.pose).as_matrix()
        axes, place = np.empty((JOINTS, 3, 3)), np.empty((JOINTS, 3))
        by_scale = np.zeros((JOINTS, JOINTS, 3))
        by_shape = np.empty(change.shape)
        axes[0], place[0], by_shape[0] = turns[0], joints[0], change[0]
        for k, q in enumerate(PARENTS[1:], start=1):
            bone = axes[q] @ (joints[k] - joints[q])
            place[k] = place[q] + scale[q] * bone
            by_scale[k] = by_scale[q]
            by_scale[k, q] = bone
            by_shape[k] = by_shape[q] + scale[q] * (change[k] - change[q]) @ axes[q].T
            axes[k] = axes[q] @ turns[k]

        weight = points.weight
        anchor = points.anchor + np.tensordot(points.direction, at.shape, ([2], [0]))
        own = np.einsum("jab,pjb->pja", axes, anchor - weight[..., None] * joints)
        share = scale[:, None] * own + weight[..., None] * place
        slopes = np.zeros((len(weight), 3, 102 + len(at.shape)))
        # What is below a joint turns about its place.
        arm = np.einsum("kj,pka->pja", BELOW, share) - (weight @ BELOW)[..., None] * place
        about = axes @ _right_jacobian(at.pose)
        for axis in range(3):
            turned = np.cross(about[None, :, :, axis], arm)
            slopes[:, :, axis:72:3] = turned.swapaxes(1, 2)
        slopes[:, :, :3] = 0  # the root stays
        slopes[:, :, SCALE] = (own + np.einsum("pk,kma->pma", weight, by_scale)).swapaxes(1, 2)
        grown = points.direction - weight[..., None, None] * change
        slopes[:, :, SHAPE] = np.einsum("jab,pjsb->pas", scale[:, None, None] * axes, grown)
        slopes[:, :, SHAPE] += np.einsum("pk,ksa->pas", weight, by_shape)
        return share.sum(1), slopes

    def _of_priors(self, at: Unknowns) -> Normal:
        """The terms of angles, segment scales, the camera's lean and the shape."""
        config, prior = self._config, self._prior
        limit, joint, over_limit, upright = (
            self._weight.get(name, 0.0) for name in ("limit", "joint", "scale_limit", "upright")
        )
        angles, apart = at.pose.reshape(-1), (at.pose - prior.mean).reshape(-1)
        beyond = (at.pose - np.clip(at.pose, prior.low, prior.high)).reshape(-1)
        usual = 1 / self._usual
        scale = at.segment_scale * usual
        change = scale - 1
        over = scale - np.clip(scale, config.scale_low, config.scale_high)
        lean = at.rotation[2, 1]
        leaning = np.array([at.rotation[1, 1], -at.rotation[0, 1], 0])
        gradient = np.concatenate([
            self._of_pose @ apart + joint * angles + limit * beyond,
            (self._of_scale @ change + over_limit * over) * usual,
            upright * lean * leaning,
            np.zeros(3),
            config.shape_weight * at.shape,
        ])  # fmt: skip
        matrix = block_diag(
            self._of_pose + np.diag(joint + limit * (beyond != 0)),
            (self._of_scale + np.diag(over_limit * (over != 0))) * np.outer(usual, usual),
            upright * np.outer(leaning, leaning),
            np.zeros((3, 3)),
            config.shape_weight * np.eye(len(at.shape)),
        )
        value = (
            apart @ self._of_pose @ apart
            + joint * angles @ angles
            + limit * beyond @ beyond
            + change @ self._of_scale @ change
            + over_limit * over @ over
            + upright * lean**2
            + config.shape_weight * at.shape @ at.shape
        )
        return Normal(float(value), gradient, matrix)


def minimum(system: ShapeSystem, start: Unknowns) -> Unknowns:
    """The unknowns near `start` for which the objective is lowest, by Levenberg-Marquardt."""
    at, normal, damping = start, system.normal(start), DAMPING
    for _ in range(STEPS):
        diagonal = np.diagonal(normal.matrix)
        damped = normal.matrix + np.diag(damping * diagonal + TINY)
        new = at.moved(-np.linalg.solve(damped, normal.gradient), MOST)
        found = system.normal(new)
        if not found.value < normal.value:  # nor NaN
            damping *= 4
            continue
        done = found.value > (1 - ENOUGH) * normal.value
        at, normal, damping = new, found, damping / 4
        if done:
            break
    return at


def _surface(body: Body, vertex: np.ndarray, barycentric: np.ndarray) -> Points:
    """Points inside triangles."""
    assert body.shape_directions is not None
    share = barycentric[..., None] * body.dense_weights[vertex].astype(np.float64)
    corners, directions = body.vertices[vertex], body.shape_directions[:, vertex]
    return Points(
        share.sum(1),
        np.einsum("pij,pic->pjc", share, corners.astype(np.float64)),
        np.einsum("pij,spic->pjsc", share, directions.astype(np.float64)),
    )


@lru_cache(maxsize=8)
def _keypoints(body: Body, names: tuple[str, ...]) -> Points:
    """The pelvis and the keypoints.

    The offsets of landmarks grow with the stature, which is taken to be linear in the shape.
    """

    def dense(own: Body) -> np.ndarray:
        return _of_every_joint(own.keypoints((own.joint_names[0], *names)))

    rest, units = dense(body), np.eye(len(body.shape_names), dtype=np.float32)
    changes = [dense(body.with_shape(unit))[..., :3] - rest[..., :3] for unit in units]
    return Points(rest[..., 3], rest[..., :3], np.stack(changes, 2))


def _of_every_joint(points: RigPoints) -> np.ndarray:
    """(P, 24, 4) anchors, 0 of joints that have no influence; weights sum to 1."""
    dense = np.zeros((len(points), JOINTS, 4))
    row = np.arange(len(points))[:, None]
    np.add.at(dense, (row, points.joint_ids.numpy()), points.anchors.numpy().astype(np.float64))
    return dense / dense[..., 3].sum(1)[:, None, None]


def _pose_matrix(weights: dict[str, float]) -> np.ndarray:
    """(72, 72) of the anatomical prior."""
    prior = pose_prior()
    inverse_spread = 1 / prior.spread
    inverse_spread[0] = 0
    mode = prior.mode.reshape(POSE.stop, -1)
    single = np.diag(inverse_spread.reshape(-1) ** 2)
    return weights.get("prior", 0.0) * (single + (mode * prior.mode_weight) @ mode.T)


def _scale_matrix(weights: dict[str, float]) -> np.ndarray:
    """(24, 24) of the terms that are squares of differences of segment scales from 1."""
    eye = np.eye(JOINTS)
    pairs = [(k, other) for k, other in enumerate(MIRROR_JOINTS) if k < other]
    rows = {
        "scale_smoothness": eye[1:] - eye[list(PARENTS[1:])],
        "scale_symmetry": np.stack([eye[k] - eye[other] for k, other in pairs]),
        "scale_deviation": eye - 1 / JOINTS,
        "scale_level": eye,
    }
    parts = [weights.get(name, 0.0) * row.T @ row for name, row in rows.items()]
    return np.sum(parts, axis=0)


def _right_jacobian(vectors: np.ndarray) -> np.ndarray:
    """(J, 3, 3): a change d of an axis-angle vector v turns exp(v) by the vector exp(v) J(v) d."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    cross, safe = _cross_matrix(vectors), np.maximum(angle, SMALL)
    first = np.where(angle < SMALL, 1 / 2, (1 - np.cos(safe)) / safe**2)
    second = np.where(angle < SMALL, 1 / 6, (safe - np.sin(safe)) / safe**3)
    return np.eye(3) - first * cross + second * cross @ cross


def _cross_matrix(vectors: np.ndarray) -> np.ndarray:
    """(N, 3, 3): the cross products v × u of vectors (N, 3), as matrices."""
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
