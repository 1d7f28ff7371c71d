"""Body: a template mesh, its 24-joint rig, charts and landmarks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bodyreg.body.charts import Charts, choose_charts
from bodyreg.body.conventions import CONVENTIONS, LANDMARKS
from bodyreg.body.joints import JOINT_NAMES, MIRROR_JOINTS, PARENTS
from bodyreg.body.landmarks import (
    SMPL_VERTEX_COUNT,
    Landmark,
    bases,
    check_landmarks,
    landmark_arrays,
    named_points,
)
from bodyreg.body.proportions import check_proportions
from bodyreg.body.rig import RigPoints
from bodyreg.body.rotations import rotation_matrices
from bodyreg.body.smpl import CarriedCharts, SmplVertices, built_in_table, smpl_vertices
from bodyreg.body.storage import FORMAT, read_body
from bodyreg.body.surface import segment_samples, vertex_normals
from bodyreg.body.uv import load_uv
from bodyreg.errors import UserError
from bodyreg.npz import save_npz

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
        carried_charts: DensePose's charts, if `charts` are others (`with_uv`), or None.
        smpl: Where SMPL's vertices lie on the surface, or None if that is not known.
        mirror_vertices: (V,) int64 the vertex on the other side of the body, or None.
        landmarks: Name -> landmark. They go before those of `CONVENTIONS`, which every body has.
        shape_names: Names of the shape directions; see `with_shape`.
        shape_directions: (S, V, 3) float32 metres per unit of coefficient, or None.
        shape_joint_directions: (S, 24, 3) float32, the joints' share of it, or None.
        proportions: (24,) float32 segment scales that the people to be fitted have in the mean, or
            None for ones. A registration's priors pull to them; nothing else depends on them.
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
    carried_charts: CarriedCharts | None = None
    smpl: SmplVertices | None = None
    mirror_vertices: np.ndarray | None = None
    landmarks: dict[str, Landmark] = field(default_factory=dict)
    shape_names: tuple[str, ...] = ()
    shape_directions: np.ndarray | None = None
    shape_joint_directions: np.ndarray | None = None
    proportions: np.ndarray | None = None

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
            uv: DensePose's UV_Processed.mat; see `with_uv`.
            regressor: A (J', V) joint regressor, .npy or .npz, dense or SciPy-sparse. Its rows
                become landmarks, whose names are in its `names` array, or "regressor_0",
                "regressor_1" ...

        Raises:
            UserError: a file is missing, malformed, or does not fit the others.
        """
        fields = read_body(Path(path), None if regressor is None else Path(regressor))
        body = Body(**fields)
        return body if uv is None else body.with_uv(uv)

    def save(self, path: str | os.PathLike) -> None:
        """Write the project's own .npz: SMPL's keys, and those for charts, landmarks and shapes."""
        save_npz(path, compressed=True, **self.arrays())

    def arrays(self) -> dict[str, Any]:
        """Name -> array of a body file."""
        parents = np.asarray(self.parents)
        arrays: dict[str, Any] = {
            "format": np.array(FORMAT),
            "name": np.array(self.name),
            "v_template": self.vertices,
            "f": self.faces.astype(np.uint32),
            "weights": self.dense_weights,
            "J": self.joints,
            "kintree_table": np.stack([parents % 2**32, np.arange(len(parents))]).astype(np.uint32),
        }
        if self.mirror_vertices is not None:
            arrays["mirror_vertices"] = self.mirror_vertices.astype(np.uint32)
        if self.charts is not None:
            arrays |= self.charts.arrays()
        if self.smpl is not None:
            arrays |= self.smpl.arrays()
        arrays |= landmark_arrays(self.landmarks)
        if self.shape_directions is not None:
            arrays["shape_names"] = np.array(self.shape_names)
            arrays["shape_directions"] = self.shape_directions
            arrays["shape_joint_directions"] = self.shape_joint_directions
        if self.proportions is not None:
            arrays["proportions"] = self.proportions
        return arrays

    @cached_property
    def fingerprint(self) -> str:
        """12 hexadecimal digits: a hash of vertices, faces and weights."""
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

        Each direction of the default body is half of the way between the ends of one of MakeHuman's
        sliders: coefficients -1 and 1 are the ends, and random coefficients of standard deviation
        0.5 look human. "child" and "old" begin at a young adult and go from 0 to 1; child = 1 is
        about six years old. "sex" is -1 for a woman and 1 for a man. "sex_weight", "sex_muscle" and
        "child_weight" correct the sum of two directions: give them the product of the coefficients
        of the two.

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
        """All V vertices as rig points, with or without their normals."""
        return self._vertex_points_with_normals if normals else self._vertex_points

    @cached_property
    @torch.inference_mode(False)  # what is kept may be differentiated later
    def _vertex_points(self) -> RigPoints:
        # By coordinates: loops over the vertices, not over their four numbers.
        anchors = np.empty((*self.weights.shape, 4), self.weights.dtype)
        for axis, along in enumerate(self.vertices.T):
            np.multiply(self.weights, along[:, None], out=anchors[..., axis])
        anchors[..., 3] = self.weights
        return RigPoints(torch.from_numpy(self.weight_joint_ids), torch.from_numpy(anchors))

    @cached_property
    @torch.inference_mode(False)
    def _vertex_points_with_normals(self) -> RigPoints:
        return replace(self._vertex_points, normals=torch.from_numpy(self.vertex_normals))

    def surface_points(
        self, vertex: np.ndarray | Tensor, barycentric: np.ndarray | Tensor
    ) -> RigPoints:
        """Points inside triangles as rig points, with interpolated normals.

        In any pose, such a point lies where the mix of the three posed vertices lies.

        Args:
            vertex: (P, 3) the numbers of each triangle's vertices.
            barycentric: (P, 3) shares of the three vertices; they sum to 1.

        Raises:
            UserError: the body does not have a vertex of this number.
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

    def smpl_points(self, numbers: np.ndarray | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """SMPL's vertices with these numbers, as points of this body.

        The first 6,890 vertices of DensePose CSE's mesh smpl_27554 are SMPL's.

        Args:
            numbers: (P,) 0 to 6889.

        Returns:
            vertex (P, 3) int32 body vertices, barycentric (P, 3) float32 that sum to 1.

        Raises:
            UserError: SMPL has no such vertex, or it is not known where they lie on this body.
        """
        return smpl_vertices(self.smpl, len(self.vertices), self.name).of(numbers)

    def with_uv(self, path: str | os.PathLike) -> Body:
        """The body with DensePose's charts.

        On SMPL's mesh they are its charts. On another mesh, as the built-in one, they are carried
        there by `smpl`, and become `carried_charts`; the body keeps its own charts.

        Args:
            path: DensePose's UV_Processed.mat.

        Raises:
            UserError: the file is missing or damaged, or it is not known where SMPL's vertices lie
                on this body.
        """
        if self.smpl is None:
            return replace(self, charts=load_uv(Path(path), len(self.vertices)))
        charts = load_uv(Path(path), SMPL_VERTEX_COUNT)
        return replace(
            self, carried_charts=CarriedCharts(charts, self.smpl, self.vertices, self.faces)
        )

    def charts_named(self, name: str) -> Charts | CarriedCharts:
        """The charts that are called so: the same (part, u, v) are other points in other charts.

        Raises:
            UserError: the body does not have them; the message says how to get them.
        """
        there = [charts for charts in (self.charts, self.carried_charts) if charts is not None]
        return choose_charts(there, name, self.name)

    def with_landmarks(self, landmarks: Mapping[str, Landmark]) -> Body:
        """The body with these landmarks; they replace those of the same names.

        Raises:
            UserError: one has the name of a joint, or is beside a point that the body lacks.
        """
        check_landmarks(landmarks, self.joint_names, self._bases, self.name)
        return replace(self, landmarks={**self.landmarks, **landmarks})

    def with_proportions(self, segment_scale: np.ndarray | Sequence[float]) -> Body:
        """The body for people of these usual segment scales (24,), whatever it had before.

        Raises:
            UserError: as `check_proportions`.
        """
        scale = np.array(segment_scale, np.float32)
        check_proportions(scale)
        return replace(self, proportions=scale)

    def check_keypoints(self, names: Sequence[str]) -> None:
        """Refuse a name that is neither a joint nor a landmark of this body.

        Raises:
            UserError: naming the first such name, and the known ones.
        """
        known = self._named_points[0]
        for name in names:
            if name not in known:
                own = ", ".join((*self.joint_names, *self.landmarks))
                raise UserError(
                    f"body '{self.name}' has no joint or landmark '{name}'; it has {own}, and the "
                    f"joints of {', '.join(CONVENTIONS)} (coco/left_hip)"
                )

    def keypoints(self, names: Sequence[str]) -> RigPoints:
        """Joints and landmarks as rig points, in the order of `names`.

        Raises:
            UserError: as `check_keypoints`.
        """
        self.check_keypoints(names)
        numbers, points = self._named_points
        points = points.select(np.array([numbers[name] for name in names], np.int64))
        slots = max(1, int((points.anchors != 0).any(2).sum(1).max())) if names else 1
        return RigPoints(
            points.joint_ids[:, :slots].contiguous(), points.anchors[:, :slots].contiguous()
        )

    @property
    def stature(self) -> float:
        """Metres from the soles to the head's top."""
        return float(np.ptp(self.vertices[:, 1]))

    @property
    def named_landmarks(self) -> dict[str, Landmark]:
        """Name -> landmark: the body's own, and those of `CONVENTIONS` that it has points for."""
        known = set(self._bases)
        return {
            name: landmark
            for name, landmark in (LANDMARKS | self.landmarks).items()
            if bases(landmark) <= known
        }

    @property
    def _bases(self) -> list[str]:
        """The points that landmarks may be beside: joints, and landmarks on the mesh."""
        return [*self.joint_names, *(n for n, point in self.landmarks.items() if not point.places)]

    @cached_property
    @torch.inference_mode(False)
    def _named_points(self) -> tuple[dict[str, int], RigPoints]:
        """Name -> number of its rig point, and all rig points. Of equal names, the joint counts."""
        vertices, landmarks = self._vertex_points, self.named_landmarks
        return named_points(self.joints, self._bases, landmarks, vertices, self.stature)

    def pose(self, pose: Tensor, segment_scale: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Joint transforms of poses. A segment's scale moves its children and does not scale them.

        Args:
            pose: (N, 24, 3) axis-angle, radians, with the root's.
            segment_scale: (N, 24); ones if left out.

        Returns:
            transforms (N, 24, 3, 4) for `lbs`, and joint positions (N, 24, 3), metres.
        """
        from bodyreg import ops

        if segment_scale is None:
            segment_scale = torch.ones_like(pose[..., 0])
        joints = torch.from_numpy(self.joints).to(pose)
        return ops.kinematics(rotation_matrices(pose), segment_scale, joints, self.parents)

    def surface_samples(self, count: int = 32) -> tuple[Tensor, Tensor]:
        """A few normals that stand for the surface of each segment in the rest pose.

        Args:
            count: M, normals per segment.

        Returns:
            normals (24, M, 3) unit, and area shares (24, M) that sum to 1 per segment. A segment
            without faces has shares of zero.
        """
        owner = self.dense_weights[self.faces].sum(1).argmax(1)
        samples = segment_samples(self.vertices, self.faces, owner, len(self.parents), count)
        normals, shares = map(torch.from_numpy, samples)
        return normals, shares


@lru_cache(maxsize=1)
def _default() -> Body:
    return replace(Body.load(DEFAULT_BODY), smpl=built_in_table())
