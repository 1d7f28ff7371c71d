"""A body laid over another surface: first posed and resized, then bent until it lies on it.

The two surfaces may have any meshes. What is found is where each point of one lies on the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from bodyreg.body.joints import JOINT_NAMES, MIRROR_JOINTS
from bodyreg.body.landmarks import Landmark
from bodyreg.body.nearest import Nearest, Surface
from bodyreg.body.rotations import rotation_matrices
from bodyreg.body.surface import vertex_normals

if TYPE_CHECKING:
    from bodyreg.body.body import Body

# Rounds of `settle`: turn of the normals (`Surface.nearest`), distance at which a point counts half
# and farthest distance, metres.
ROUNDS = (
    (0.3, 0.05, 0.15), (0.3, 0.04, 0.10), (0.2, 0.03, 0.08), (0.2, 0.02, 0.08), (0.15, 0.015, 0.06),
    (0.1, 0.01, 0.06), (0.1, 0.008, 0.05), (0.1, 0.008, 0.05), (0.1, 0.008, 0.05),
)  # fmt: skip
# Rounds of `bend`: the same three, then the weights of curvature, of stretching and of the pins.
BENDS = (
    (0.05, 0.02, 0.05, 1e-3, 0.3, 5.0), (0.05, 0.01, 0.04, 3e-4, 0.1, 3.0),
    (0.04, 0.01, 0.04, 1e-4, 0.03, 2.0), (0.03, 0.01, 0.03, 3e-5, 0.01, 1.0),
    (0.02, 0.01, 0.03, 1e-5, 3e-3, 1.0), (0.02, 0.01, 0.03, 3e-6, 1e-3, 1.0),
)  # fmt: skip
SOLVES = 2
"""Times that each round of `bend` looks for nearest points."""
FACING = 0.5
"""Least cosine between the normals of points that meet."""
SLIDING = 0.02
"""Weight of distances along the surface, as a share of those across it."""
SURFACE = 200.0
"""Weight of the mean distance between surfaces, against the pins and the priors of `settle`."""
PIN = 0.01
"""Metres: the distance of a pin that costs 1."""
STIFF = [JOINT_NAMES.index(n) for n in ("spine1", "spine2", "spine3", "neck", "head")] + [
    JOINT_NAMES.index(f"{side}_{n}")
    for side in ("left", "right")
    for n in ("collar", "foot", "hand")
]
"""Joints that bend less than others."""


@dataclass(frozen=True)
class Pins:
    """Points of a body that have a known place on the target.

    Attributes:
        landmarks: P mixes of vertices.
        places: (P, 3).
    """

    landmarks: Sequence[Landmark]
    places: np.ndarray

    def rows(self, count: int) -> Any:
        """(P, count) sparse: the landmarks as mixes of `count` vertices."""
        from scipy import sparse

        rows = sparse.lil_matrix((len(self.landmarks), count))
        for row, landmark in enumerate(self.landmarks):
            rows[row, landmark.vertices] = landmark.weights
        return rows.tocsr()


def settle(
    body: Body,
    target: Surface,
    pins: Pins,
    *,
    joints: np.ndarray | None = None,
    symmetric: bool = False,
) -> np.ndarray:
    """The body's vertices (V, 3) in the pose, size and shape that fit the target best.

    Pose, segment scales and the coefficients of the shape directions are found together (L-BFGS):
    first from the pins, then also from nearest points, in rounds. Points are pulled across the
    surface, hardly along it, so that each keeps its place on the segment.

    Args:
        body: The body.
        target: In metres, upright, its front to +z. If it has no joints it needs pins.
        pins: Where some points of the body are on the target.
        joints: (24, 3) the target's joints, if they are known.
        symmetric: Both sides of the body get mirrored poses and equal scales.
    """
    figure = _Figure(body, symmetric)
    rows = torch.from_numpy(pins.rows(len(body.vertices)).toarray())
    places = torch.from_numpy(np.asarray(pins.places, np.float64))
    known = None if joints is None else torch.from_numpy(np.asarray(joints, np.float64))
    numbers = figure.start((target.vertices.max(0) + target.vertices.min(0)) / 2)
    pairs: list[_Pairs] = []
    for turn, spread, reach in ((0.0, 0.0, 0.0), *ROUNDS):
        if reach:
            pairs = figure.pairs(numbers, target, turn, spread, reach)

        def energy(numbers: list[Tensor], pairs: list[_Pairs] = pairs) -> Tensor:
            vertices, posed = figure.posed(numbers)
            total = figure.prior(numbers)
            # Pins only show the way: their landmarks are not quite the same places on both.
            weight = 0.2 if pairs else 1.0
            total = total + weight * ((rows @ vertices - places) ** 2).sum() / PIN**2
            if known is not None:
                total = total + weight * ((posed - known) ** 2).sum() / PIN**2
            for pair in pairs:
                total = total + SURFACE * pair.cost(vertices)
            return total

        numbers = _minimised(energy, numbers, 40 if pairs else 200)
    return figure.posed(numbers)[0].numpy()


def bend(
    vertices: np.ndarray,
    faces: np.ndarray,
    target: Surface,
    pins: Pins,
    *,
    mirror: np.ndarray | None = None,
    allowed: np.ndarray | None = None,
) -> np.ndarray:
    """Settled vertices (V, 3), moved onto the target by offsets that are smooth on the surface.

    Each round solves one sparse linear system: nearest points across the surface, small curvature
    and stretching of the offsets (cotangent Laplacian), and pins.

    Args:
        vertices: (V, 3), as `settle` gives them.
        faces: (F, 3).
        target: The surface.
        pins: Places that are exactly the same on both.
        mirror: (V,) vertex on the other side, if both sides shall stay mirror images.
        allowed: (V, L) bool, the target's labels that each vertex may meet.
    """
    from scipy import sparse
    from scipy.sparse.linalg import splu

    stretch, area = _laplacian(vertices, faces)
    curvature = stretch @ sparse.diags(1 / area) @ stretch
    rows = pins.rows(len(vertices))
    offset, identity = np.zeros_like(vertices), sparse.identity(3)
    for turn, spread, reach, bending, stretching, pinning in BENDS:
        smooth = bending * curvature + stretching * stretch + pinning * (rows.T @ rows)
        smooth = sparse.kron(smooth, identity).tocsc()
        pulled = pinning * (rows.T @ (pins.places - rows @ vertices))
        for _ in range(SOLVES):
            moved = vertices + offset
            normals = vertex_normals(moved, faces).astype(np.float64)
            near = target.nearest(moved, normals, turn=turn, allowed=allowed)
            along = target.at(near.face, near.barycentric)[1]
            weight = _weights(near, moved, normals, along, spread, reach) * area * 1e4
            across = along[:, :, None] * along[:, None, :] + SLIDING * np.eye(3)
            blocks = weight[:, None, None] * across
            right = pulled + (blocks @ (near.place - vertices)[..., None])[..., 0]
            data = sparse.bsr_matrix(
                (blocks, np.arange(len(vertices)), np.arange(len(vertices) + 1))
            )
            offset = splu((smooth + data).tocsc()).solve(right.reshape(-1)).reshape(-1, 3)
            if mirror is not None:
                offset = (offset + offset[mirror] * [-1, 1, 1]) / 2
    return vertices + offset


def _weights(
    near: Nearest,
    points: np.ndarray,
    normals: np.ndarray,
    along: np.ndarray,
    spread: float,
    reach: float,
) -> np.ndarray:
    """(P,) how much each pair counts: less if it is far across, 0 if it is no pair."""
    away = near.place - points
    meets = ((along * normals).sum(1) > FACING) & np.isfinite(near.cost)
    meets &= np.linalg.norm(away, axis=1) < reach
    return meets / (1 + ((away * along).sum(1) / spread) ** 2)


@dataclass(frozen=True)
class _Pairs:
    """Points of the body and the points of the target that they meet."""

    vertex: Tensor  # (P, 3) corners of a triangle of the body
    share: Tensor  # (P, 3)
    place: Tensor  # (P, 3)
    normal: Tensor  # (P, 3)
    weight: Tensor  # (P,)
    spread: float

    @staticmethod
    def of(
        vertex: np.ndarray,
        share: np.ndarray,
        place: np.ndarray,
        normal: np.ndarray,
        weight: np.ndarray,
        spread: float,
    ) -> _Pairs:
        tensor = torch.from_numpy
        return _Pairs(
            tensor(vertex), tensor(share), tensor(place), tensor(normal), tensor(weight), spread
        )

    def cost(self, vertices: Tensor) -> Tensor:
        away = (vertices[self.vertex] * self.share[..., None]).sum(1) - self.place
        across = (away * self.normal).sum(1) ** 2 + SLIDING * (away**2).sum(1)
        return (self.weight * across).mean() / self.spread**2


class _Figure:
    """The body as a function of pose, log scales, shape coefficients and translation."""

    def __init__(self, body: Body, symmetric: bool) -> None:
        self.body, self.symmetric = body, symmetric
        self.vertices, self.joints, self.weights = (
            torch.from_numpy(a.astype(np.float64))
            for a in (body.vertices, body.joints, body.dense_weights)
        )
        self.parents = torch.tensor([max(parent, 0) for parent in body.parents])
        count = len(body.shape_names)
        self.directions = torch.zeros(count, *self.vertices.shape, dtype=torch.float64)
        self.joint_directions = torch.zeros(count, *self.joints.shape, dtype=torch.float64)
        if body.shape_directions is not None and body.shape_joint_directions is not None:
            self.directions += torch.from_numpy(body.shape_directions)
            self.joint_directions += torch.from_numpy(body.shape_joint_directions)

    def start(self, middle: np.ndarray) -> list[Tensor]:
        """The rest pose, where the middles of the two boxes are one."""
        own = (self.vertices.amax(0) + self.vertices.amin(0)) / 2
        joints, shapes = len(self.joints), len(self.directions)
        return [
            torch.zeros(joints, 3, dtype=torch.float64),
            torch.zeros(joints, dtype=torch.float64),
            torch.zeros(shapes, dtype=torch.float64),
            torch.from_numpy(middle) - own,
        ]

    def posed(self, numbers: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Vertices (V, 3) and joints (24, 3)."""
        from bodyreg import ops

        pose, scale, shape, shift = numbers
        if self.symmetric:
            mirror = list(MIRROR_JOINTS)
            pose = (pose + pose[mirror] * pose.new_tensor([1, -1, -1])) / 2
            scale = (scale + scale[mirror]) / 2
            shift = shift * shift.new_tensor([0, 1, 1])
        vertices = self.vertices + torch.tensordot(shape, self.directions, 1)
        joints = self.joints + torch.tensordot(shape, self.joint_directions, 1)
        transforms, posed = ops.kinematics(
            rotation_matrices(pose[None]), scale.exp()[None], joints[None], self.body.parents
        )
        mixed = (self.weights @ transforms[0].reshape(-1, 12)).reshape(-1, 3, 4)
        vertices = (mixed[..., :3] @ vertices[..., None])[..., 0] + mixed[..., 3]
        return vertices + shift, posed[0] + shift

    def prior(self, numbers: list[Tensor]) -> Tensor:
        """Small bends, scales like those of the parents, shapes within the sliders."""
        pose, scale, shape, _ = numbers
        return (
            (pose[1:] ** 2).sum() / 1.1**2
            + (pose[STIFF] ** 2).sum() / 0.27**2
            + (scale**2).sum() / 0.06**2
            + ((scale - scale[self.parents]) ** 2).sum() / 0.05**2
            + (shape**2).sum() / 0.5**2
        )

    def pairs(
        self, numbers: list[Tensor], target: Surface, turn: float, spread: float, reach: float
    ) -> list[_Pairs]:
        """Nearest points in both directions: of the body's vertices, and of the target's."""
        body = Surface(self.posed(numbers)[0].numpy(), self.body.faces)
        own = np.arange(len(body.vertices))[:, None]
        near = target.nearest(body.vertices, body.normals, turn=turn)
        along = target.at(near.face, near.barycentric)[1]
        weight = _weights(near, body.vertices, body.normals, along, spread, reach)
        onto = _Pairs.of(own, np.ones(own.shape), near.place, along, weight, spread)
        near = body.nearest(target.vertices, target.normals, turn=turn)
        along = body.at(near.face, near.barycentric)[1]
        weight = _weights(near, target.vertices, target.normals, along, spread, reach)
        corners = body.faces[near.face]
        back = _Pairs.of(corners, near.barycentric, target.vertices, target.normals, weight, spread)
        return [onto, back]


def _minimised(
    energy: Callable[[list[Tensor]], Tensor], numbers: list[Tensor], iterations: int
) -> list[Tensor]:
    numbers = [part.clone().requires_grad_() for part in numbers]
    solver = torch.optim.LBFGS(
        numbers,
        max_iter=iterations,
        history_size=20,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-9,
        tolerance_change=1e-12,
    )

    def closure() -> Tensor:
        solver.zero_grad()
        value = energy(numbers)
        value.backward()
        return value

    solver.step(closure)
    return [part.detach() for part in numbers]


def _laplacian(vertices: np.ndarray, faces: np.ndarray) -> tuple[Any, np.ndarray]:
    """The cotangent Laplacian (V, V), sparse, and each vertex's share of the area (V,)."""
    from scipy import sparse

    count = len(vertices)
    start = faces.reshape(-1)
    end, top = np.roll(faces, -1, 1).reshape(-1), np.roll(faces, -2, 1).reshape(-1)
    one, other = vertices[start] - vertices[top], vertices[end] - vertices[top]
    across = np.linalg.norm(np.cross(one, other), axis=1)
    # Needles have enormous cotangents, and obtuse angles negative ones.
    weight = ((one * other).sum(1) / np.maximum(across, 1e-9) / 2).clip(0.02, 3)
    link = sparse.coo_matrix((weight, (start, end)), (count, count)).tocsr()
    link = link + link.T
    area = np.bincount(start, across / 6, count)
    degree = np.asarray(link.sum(1)).reshape(-1)
    return sparse.diags(degree) - link, np.maximum(area, 1e-9)
