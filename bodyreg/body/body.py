"""Body: a template mesh, its 24-joint rig, charts and landmarks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bodyreg.body.charts import Charts
from bodyreg.body.joints import JOINT_NAMES, MIRROR_JOINTS, PARENTS
from bodyreg.body.landmarks import Landmark
from bodyreg.body.rig import RigPoints
from bodyreg.body.rotations import rotation_matrices
from bodyreg.body.surface import face_normals, sample_normals, vertex_normals
from bodyreg.errors import UserError

DEFAULT_BODY = Path(__file__).with_name("assets") / "default.npz"


@dataclass(frozen=True, eq=False)
class Body:
    """A body in its rest pose: arms along ±x, legs down. Metres; x to its left, y up, z front.

    Attributes:
        name: What the body is called in messages.
        vertices: (V, 3) float32.
        faces: (F, 3) int64, counter-clockwise seen from outside.
        joints: (24, 3) float32 rest positions.
        weight_joint_ids: (V, K) int32 joints that move each vertex, the strongest first.
        weights: (V, K) float32 skinning weights; rows sum to 1.
        parents: Parent of each joint, -1 for the root.
        joint_names: Names of the joints.
        charts: The surface's 24 charts, or None.
        mirror_vertices: (V,) int64 the vertex on the other side, or None.
        landmarks: Name -> mix of vertices.
        shape_names: What each shape direction changes. See `with_shape`.
        shape_directions: (S, V, 3) float32 metres per unit of coefficient, or None.
        shape_joint_directions: (S, 24, 3) float32, the joints' share of it, or None.
    """

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    joints: np.ndarray
    weight_joint_ids: np.ndarray
    weights: np.ndarray
    parents: tuple[int, ...] = PARENTS
    joint_names: tuple[str, ...] = JOINT_NAMES
    charts: Charts | None = None
    mirror_vertices: np.ndarray | None = None
    landmarks: dict[str, Landmark] = field(default_factory=dict)
    shape_names: tuple[str, ...] = ()
    shape_directions: np.ndarray | None = None
    shape_joint_directions: np.ndarray | None = None

    @staticmethod
    def default() -> Body:
        """The body that comes with the package, made from MakeHuman's CC0 base mesh."""
        return _default()

    @staticmethod
    def load(
        path: str | os.PathLike,
        uv: str | os.PathLike | None = None,
        regressor: str | os.PathLike | None = None,
    ) -> Body:
        """Read a body: SMPL's .npz or .pkl, or the project's own .npz.

        Args:
            path: The body file.
            uv: DensePose's UV_Processed.mat, which gives SMPL its charts.
            regressor: A (J', V) joint regressor, .npy or .npz, dense or SciPy-sparse. Its rows
                become landmarks "regressor_0", "regressor_1" ..., or what its `names` array says.

        Raises:
            UserError: a file is missing, malformed, or does not fit the others.
        """
        from bodyreg.body.storage import load_body

        return load_body(
            Path(path),
            None if uv is None else Path(uv),
            None if regressor is None else Path(regressor),
        )

    def save(self, path: str | os.PathLike) -> None:
        """Write the project's own .npz: SMPL's keys, plus charts, landmarks and shapes."""
        from bodyreg.body.storage import save_body

        save_body(self, path)

    @cached_property
    def fingerprint(self) -> str:
        """12 hexadecimal digits that name these vertices, faces and weights."""
        digest = hashlib.sha256()
        for array in (self.vertices, self.faces, self.weight_joint_ids, self.weights):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:12]

    @property
    def mirror_joints(self) -> tuple[int, ...]:
        """The joint on the other side, for each joint."""
        return MIRROR_JOINTS

    @cached_property
    def segment(self) -> np.ndarray:
        """(V,) int64: the joint that moves each vertex most; the lower of equals."""
        return self.dense_weights.argmax(1)

    @cached_property
    def dense_weights(self) -> np.ndarray:
        """(V, 24) float32 skinning weights, as SMPL stores them."""
        dense = np.zeros((len(self.vertices), len(self.parents)), np.float32)
        np.add.at(dense, (np.arange(len(dense))[:, None], self.weight_joint_ids), self.weights)
        return dense

    @cached_property
    def vertex_normals(self) -> np.ndarray:
        """(V, 3) float32 unit normals, the area-weighted mean over each vertex's faces."""
        return vertex_normals(self.vertices, self.faces)

    def with_shape(self, coefficients: np.ndarray | Tensor | list[float]) -> Body:
        """The body with its shape directions applied to vertices and joints.

        The default body's directions are half the way between the ends of MakeHuman's sliders, so
        coefficients of -1 and 1 give the ends and draws of standard deviation 0.5 look human.
        "child" and "old" start at a young adult and have one end only: draw them from 0 to 1 (a
        child of 1 is about six years old). "sex" is -1 for a woman and 1 for a man. "sex_weight",
        "sex_muscle" and "child_weight" correct the sum of two directions; give them the product of
        the two coefficients.

        Args:
            coefficients: (S,), in the order of `shape_names`.

        Raises:
            UserError: the body has no shape directions, or another number of them.
        """
        coefficients = np.asarray(coefficients, np.float32)
        directions, joints = self.shape_directions, self.shape_joint_directions
        if coefficients.shape != (len(self.shape_names),) or directions is None or joints is None:
            raise UserError(
                f"body '{self.name}' has {len(self.shape_names)} shape directions "
                f"({', '.join(self.shape_names) or 'none'}); got {coefficients.size} coefficients"
            )
        return replace(
            self,
            vertices=self.vertices + np.tensordot(coefficients, directions, 1),
            joints=self.joints + np.tensordot(coefficients, joints, 1),
        )

    def vertex_points(self, *, normals: bool = True) -> RigPoints:
        """All V vertices as rig points, with their normals unless they are not wanted."""
        return self._vertex_points_with_normals if normals else self._vertex_points

    @cached_property
    def _vertex_points(self) -> RigPoints:
        # By coordinates: loops over the vertices, not over their four numbers.
        anchors = np.empty((*self.weights.shape, 4), self.weights.dtype)
        for axis, along in enumerate(self.vertices.T):
            np.multiply(self.weights, along[:, None], out=anchors[..., axis])
        anchors[..., 3] = self.weights
        return RigPoints(torch.from_numpy(self.weight_joint_ids), torch.from_numpy(anchors))

    @cached_property
    def _vertex_points_with_normals(self) -> RigPoints:
        return replace(self._vertex_points, normals=torch.from_numpy(self.vertex_normals))

    def surface_points(
        self, vertex: np.ndarray | Tensor, barycentric: np.ndarray | Tensor
    ) -> RigPoints:
        """Points inside triangles as rig points, with interpolated normals.

        Posing one gives what mixing the three posed vertices gives, for any pose and scales.

        Args:
            vertex: (P, 3) vertex numbers.
            barycentric: (P, 3) shares of the three, summing to 1.

        Raises:
            UserError: a vertex number the body does not have.
        """
        vertex = np.asarray(vertex).reshape(-1, 3)
        barycentric = np.asarray(barycentric, np.float64).reshape(-1, 3)
        bad = np.flatnonzero(((vertex < 0) | (vertex >= len(self.vertices))).any(1))
        if len(bad):
            raise UserError(
                f"point {bad[0]}: vertices {vertex[bad[0]].tolist()}, but body '{self.name}' has "
                f"{len(self.vertices)}; use the body the points were made for"
            )
        return self.vertex_points().mix(vertex, barycentric)

    def check_keypoints(self, names: Sequence[str]) -> None:
        """Refuse a name that is neither a joint nor a landmark of this body.

        Raises:
            UserError: naming the first such name, and the known ones.
        """
        for name in names:
            if name not in self.joint_names and name not in self.landmarks:
                known = ", ".join((*self.joint_names, *self.landmarks))
                raise UserError(
                    f"body '{self.name}' has no joint or landmark '{name}'; it has {known}"
                )

    def keypoints(self, names: Sequence[str]) -> RigPoints:
        """Joints and landmarks as rig points, in the order of `names`.

        Raises:
            UserError: as `check_keypoints`.
        """
        self.check_keypoints(names)
        numbers, points = self._named_points
        points = points.select(torch.tensor([numbers[name] for name in names], dtype=torch.int64))
        slots = max(1, int((points.anchors != 0).any(2).sum(1).max())) if names else 1
        return RigPoints(
            points.joint_ids[:, :slots].contiguous(), points.anchors[:, :slots].contiguous()
        )

    @cached_property
    def _named_points(self) -> tuple[dict[str, int], RigPoints]:
        """All joints and landmarks as rig points, and which is whose. A joint goes before."""
        joints = torch.from_numpy(np.pad(self.joints, ((0, 0), (0, 1)), constant_values=1))
        ids = torch.arange(len(joints), dtype=torch.int32)
        # All landmarks at once: the shorter mixes get shares of nothing.
        longest = max((len(p.vertices) for p in self.landmarks.values()), default=0)
        index = np.zeros((len(self.landmarks), longest), np.int64)
        shares = np.zeros((len(self.landmarks), longest), np.float32)
        for row, landmark in enumerate(self.landmarks.values()):
            index[row, : len(landmark.vertices)] = landmark.vertices
            shares[row, : len(landmark.vertices)] = landmark.weights
        points = [
            RigPoints(ids[:, None], joints[:, None]),
            self._vertex_points.mix(index, shares),
        ]
        slots = max(p.joint_ids.shape[1] for p in points)
        points = [p.pad_to(slots) for p in points]
        names = (*self.joint_names, *self.landmarks)
        return {name: i for i, name in reversed(list(enumerate(names)))}, RigPoints(
            torch.cat([p.joint_ids for p in points]), torch.cat([p.anchors for p in points])
        )

    def pose(self, pose: Tensor, segment_scale: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Joint transforms of poses, by the rule that a scale moves children and not sizes them.

        Args:
            pose: (N, 24, 3) axis-angle, radians; the root's slot included.
            segment_scale: (N, 24); ones when left out.

        Returns:
            transforms (N, 24, 3, 4) for `lbs`, and joint positions (N, 24, 3), metres.
        """
        from bodyreg import ops

        if segment_scale is None:
            segment_scale = torch.ones_like(pose[..., 0])
        joints = torch.from_numpy(self.joints).to(pose)
        return ops.kinematics(rotation_matrices(pose), segment_scale, joints, self.parents)

    def surface_samples(self, count: int = 32) -> tuple[Tensor, Tensor]:
        """The distribution of each segment's rest normals, in few numbers.

        Args:
            count: M, normals per segment.

        Returns:
            normals (24, M, 3) unit, and area shares (24, M) that sum to 1 per segment. A segment
            without faces has shares of zero.
        """
        normals, areas = face_normals(self.vertices, self.faces)
        owner = self.dense_weights[self.faces].sum(1).argmax(1)
        samples = [
            sample_normals(normals[owner == joint], areas[owner == joint], count)
            for joint in range(len(self.parents))
        ]
        return (
            torch.from_numpy(np.stack([normals for normals, _ in samples])),
            torch.from_numpy(np.stack([shares for _, shares in samples])),
        )


@lru_cache(maxsize=1)
def _default() -> Body:
    return Body.load(DEFAULT_BODY)
