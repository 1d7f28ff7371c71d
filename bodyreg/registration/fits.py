"""The result of a registration: body parameters per person."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch

from bodyreg.body import Body, RigPoints
from bodyreg.errors import UserError
from bodyreg.files import load_npz, save_npz

FORMAT = "bodyreg-fits-1"
POSED_AT_ONCE = 64
"""People whose points are posed together: bounds the work arrays to some tens of MB."""

TERM_PREFIX = "term_"


@dataclass(eq=False)
class Fits:
    """N people's fitted bodies. A body point v of the posed rig appears at scale · (R v) + t.

    Attributes:
        id: (N,) int64, as in the observations.
        frame: (N, 3) float32 centre_x, centre_y, half_side of the square crop, image pixels.
        pose: (N, 24, 3) float32 axis-angle, radians; the root's is zero.
        segment_scale: (N, 24) float32.
        rotation: (N, 3, 3) float32 orthonormal, model axes to frame axes.
        scale: (N,) float32 frame units per metre.
        translation: (N, 2) float32 frame units.
        loss: (N,) float32, the objective at the end.
        terms: name -> (N,) float32, the weighted terms; they add up to the loss. A term for which
            a person has no evidence is 0.
    """

    id: np.ndarray
    frame: np.ndarray
    pose: np.ndarray
    segment_scale: np.ndarray
    rotation: np.ndarray
    scale: np.ndarray
    translation: np.ndarray
    loss: np.ndarray
    terms: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.id)

    @property
    def mirrored(self) -> np.ndarray:
        """(N,) bool: fits whose rotation is a reflection, so that left and right are exchanged."""
        return np.linalg.det(self.rotation.astype(np.float64)) < 0

    def select(self, people: np.ndarray | slice | Sequence[int]) -> Fits:
        """The fits at these positions (integers, a mask or a slice), in this order."""
        arrays = {name: getattr(self, name)[people] for name in ARRAYS}
        return Fits(**arrays, terms={name: value[people] for name, value in self.terms.items()})

    @staticmethod
    def empty() -> Fits:
        """No people."""
        arrays = {name: np.zeros((0, *shape), np.float32) for name, shape in ARRAYS.items()}
        return Fits(**(arrays | {"id": np.zeros(0, np.int64)}))

    @staticmethod
    def concatenate(parts: Sequence[Fits]) -> Fits:
        """Several sets of fits, with the same terms, one after the other."""
        return Fits(
            **{name: np.concatenate([getattr(p, name) for p in parts]) for name in ARRAYS},
            terms={n: np.concatenate([p.terms[n] for p in parts]) for n in parts[0].terms},
        )

    def in_frames(self, frame: np.ndarray) -> Fits:
        """The same bodies in the same pictures, seen through other crops.

        Args:
            frame: (N, 3) centre_x, centre_y, half_side of each new crop, image pixels.
        """
        zoom = self.frame[:, 2] / frame[:, 2]
        shift = (self.frame[:, :2] - frame[:, :2]) / frame[:, 2:] * np.float32([1, -1])
        return replace(
            self,
            frame=frame,
            scale=self.scale * zoom,
            translation=self.translation * zoom[:, None] + shift,
        )

    def vertices(self, body: Body) -> np.ndarray:
        """(N, V, 3) float32 posed vertices: x, y in frame units, z toward the viewer likewise."""
        return self.points(body, body.vertex_points())

    def joints(self, body: Body) -> np.ndarray:
        """(N, 24, 3) float32 joint positions, frame units."""
        return self.keypoints(body, body.joint_names)

    def keypoints(self, body: Body, names: Sequence[str]) -> np.ndarray:
        """(N, K, 3) float32 positions of joints and landmarks, frame units."""
        return self.points(body, body.keypoints(tuple(names)))

    def points(self, body: Body, points: RigPoints) -> np.ndarray:
        """(N, P, 3) float32 positions of rig points, frame units."""
        from bodyreg import ops

        out = np.empty((len(self), len(points), 3), np.float32)
        for start in range(0, len(self), POSED_AT_ONCE):
            some = slice(start, start + POSED_AT_ONCE)
            pose, segment_scale, rotation, scale, translation = (
                torch.from_numpy(np.ascontiguousarray(array[some]))
                for array in (
                    self.pose, self.segment_scale, self.rotation, self.scale, self.translation,
                )
            )  # fmt: skip
            transforms, _ = body.pose(pose, segment_scale)
            placed = ops.lbs(transforms, points.joint_ids, points.anchors)
            xy, depth = ops.projection(placed, rotation, scale, translation)
            out[some, :, :2], out[some, :, 2] = xy.numpy(), depth.numpy()
        return out

    def save(self, path: str | os.PathLike, **facts: str) -> None:
        """Write a bodyreg-fits-1 file; `facts` (what made it) are stored beside."""
        save_npz(
            path,
            format=FORMAT,
            **{name: getattr(self, name) for name in ARRAYS},
            **{TERM_PREFIX + name: value for name, value in self.terms.items()},
            **facts,
        )

    @classmethod
    def load(cls, path: str | os.PathLike) -> Fits:
        """Read a bodyreg-fits-1 file.

        Raises:
            UserError: the file is missing, damaged or of another format, an array is missing, has
                the wrong shape, or holds a number that is not finite.
        """
        arrays = load_npz(path, kind="fits")
        found = str(arrays.get("format", "none"))
        if found != FORMAT:
            raise UserError(f"{path}: format is '{found}', this version reads '{FORMAT}'")
        for name in ARRAYS:
            if name not in arrays:
                raise UserError(f"{path}: array '{name}' is missing; {FORMAT} needs it")
        people = arrays["id"].shape[0] if arrays["id"].ndim == 1 else -1
        for name, shape in ARRAYS.items():
            array = arrays[name]
            if array.shape != (people, *shape):
                expected = "(N" + "".join(f", {n}" for n in shape) + ")"
                raise UserError(f"{path}: {name} has shape {array.shape}, expected {expected}")
            if array.dtype.kind not in ("iu" if name == "id" else "iuf"):
                raise UserError(f"{path}: {name} has dtype {array.dtype}, expected numbers")
            if not np.isfinite(array).all():
                bad = int(np.argwhere(~np.isfinite(array))[0][0])
                raise UserError(f"{path}: {name} of person {arrays['id'][bad]} is not finite")
        terms = {
            name.removeprefix(TERM_PREFIX): value
            for name, value in arrays.items()
            if name.startswith(TERM_PREFIX) and value.shape == (people,)
        }
        ids = arrays.pop("id").astype(np.int64)
        kept = {name: arrays[name].astype(np.float32) for name in ARRAYS if name != "id"}
        return cls(id=ids, **kept, terms=terms)


ARRAYS = {
    "id": (), "frame": (3,), "pose": (24, 3), "segment_scale": (24,), "rotation": (3, 3),
    "scale": (), "translation": (2,), "loss": (),
}  # fmt: skip
"""Arrays of the file format and what follows the N people in their shapes."""

assert set(ARRAYS) | {"terms"} == {f.name for f in fields(Fits)}
