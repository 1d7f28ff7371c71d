"""Fits: the body parameters of each person, in memory and in bodyreg-fits-1 files."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from bodyreg.body import Body, Parameters, RigPoints
from bodyreg.data.frames import perspective_in_frame, reframed, seen_in_perspective
from bodyreg.data.people_file import CAMERA, Layout, PeopleFile
from bodyreg.data.rejected import parts_of
from bodyreg.errors import UserError
from bodyreg.npz import save_npz

FORMAT = "bodyreg-fits-1"
POSED_AT_ONCE = 64
"""People whose points are posed in one step; this keeps the work arrays below some tens of MB."""

TERM_PREFIX, DOUBT_PREFIX = "term_", "doubt_"
"""Of the names in a file of arrays that belong to `Fits.terms` and to `Fits.doubts`."""

REASONS = {
    "evidence": "few points and keypoints",
    "parts": "few parts of the body are seen",
    "limbs": "a leg, or both arms, are hardly seen",
    "strip": "only a strip of the body is seen",
    "small": "small in the picture",
    "points": "far from the dense points",
    "keypoints": "far from the keypoints",
    "pose": "an unlikely pose",
    "shape": "unlikely proportions",
    "deviation": "joints are uncertain",
    "sides": "left and right may be exchanged",
    "foreign": "parts of the evidence may be another person's",
    "mirrored": "a mirrored body",
}
"""Why a fit is doubtful, as names of `Fits.doubts`, and in words."""


@dataclass(eq=False)
class Fits:
    """The bodies of N people, and how each was seen.

    A point v of the posed body is at scale · (R v) + translation, in frame units and in the axes of
    the camera. These places have the body's true proportions: `points`, `vertices` ... Where the
    camera is near, the picture shows them at other places: `seen`.

    Attributes:
        id: (N,) int64, as in the observations.
        frame: (N, 3) float32 centre_x, centre_y, half_side of the square crop, image pixels.
        pose: (N, 24, 3) float32 axis-angle, radians; a registration keeps the root's at zero.
        segment_scale: (N, 24) float32.
        rotation: (N, 3, 3) float32 orthonormal, model axes to frame axes.
        scale: (N,) float32 frame units per metre.
        translation: (N, 2) float32 frame units.
        loss: (N,) float32, the objective at the end; None if no objective was minimised.
        focal: (N,) float32, the focal length of the picture in pixels, known or assumed; NaN = seen
            without perspective. None if this is so of all.
        principal_point: (N, 2) float32, where the camera's axis meets the picture, pixels; NaN
            where `focal` is. None if `focal` is.
        joint_deviation: (N, 24, 2) float32, standard deviations of the joints' places relative to
            the pelvis, millimetres (1000 / scale frame units): of the distance across the view, and
            of the distance along it. The true joint is within one deviation for about 68 of 100
            people. None if the fits do not tell.
        track: (N,) int64, the person in a video; fits of one track are of one person. None if the
            pictures are no video.
        moment: (N,) int64, the picture's number in its video. None if `track` is.
        shape: (N, S) float32, coefficients of the body's shape directions (`Body.with_shape`). None
            if all people have the shape of the body.
        exchanged: (N,) uint8, the groups of evidence that the fit read as of the other side, as
            sets of `data.sides`; 0 = none. None if no registration has made the fits.
        rejected: (N,) uint8, the parts of the evidence that the fit did not read, because they
            disagree with the others, as sets of `data.rejected`; 0 = none. None as `exchanged`.
        terms: name -> (N,) float32, the weighted terms; they add up to the loss. A term is 0 for
            a person without evidence for it.
        doubts: name of a reason for doubt -> (N,) float32 >= 0, a measure of it, divided by its
            limit. A fit is doubtful if one of its numbers is above 1. `REASONS` has the names.
            Empty if the fits do not tell.
    """

    id: np.ndarray
    frame: np.ndarray
    pose: np.ndarray
    segment_scale: np.ndarray
    rotation: np.ndarray
    scale: np.ndarray
    translation: np.ndarray
    loss: np.ndarray | None = None
    focal: np.ndarray | None = None
    principal_point: np.ndarray | None = None
    joint_deviation: np.ndarray | None = None
    track: np.ndarray | None = None
    moment: np.ndarray | None = None
    shape: np.ndarray | None = None
    exchanged: np.ndarray | None = None
    rejected: np.ndarray | None = None
    terms: dict[str, np.ndarray] = field(default_factory=dict)
    doubts: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.id)

    @property
    def mirrored(self) -> np.ndarray:
        """(N,) bool: left and right are exchanged, by a reflection or else by a negative scale."""
        return np.linalg.det(self.rotation.astype(np.float64)) * self.scale < 0

    @property
    def doubt(self) -> np.ndarray:
        """(N,) float32 the largest of a fit's doubts; 0 if the fits do not tell."""
        return functools.reduce(np.maximum, self.doubts.values(), np.zeros(len(self), np.float32))

    @property
    def doubtful(self) -> np.ndarray:
        """(N,) bool: fits with a doubt above 1."""
        return self.doubt > 1

    def reasons(self, person: int) -> list[str]:
        """Why the fit at this position is doubtful, in words, the strongest first; [] if not."""
        found = {name: float(values[person]) for name, values in self.doubts.items()}
        names = sorted((name for name in found if found[name] > 1), key=lambda name: -found[name])
        words = {name: REASONS.get(name, name) for name in names}
        rejected = 0 if self.rejected is None else int(self.rejected[person])
        if "foreign" in words and rejected:
            words["foreign"] += f"; left out: {', '.join(parts_of(rejected))}"
        return list(words.values())

    def replaced(self, positions: np.ndarray, others: Fits) -> Fits:
        """These fits, with the others at the positions."""
        order = np.arange(len(self))
        order[positions] = len(self) + np.arange(len(others))
        return Fits.concatenate([self, others]).select(order)

    def select(self, people: np.ndarray | slice | Sequence[int]) -> Fits:
        """The fits at these positions (integers, a mask or a slice), in this order."""
        arrays: dict[str, Any] = {name: array[people] for name, array in self._arrays().items()}
        named: dict[str, Any] = {
            kind: {name: value[people] for name, value in getattr(self, kind).items()}
            for kind in NAMED
        }
        return Fits(**arrays, **named)

    @staticmethod
    def empty() -> Fits:
        """No people."""
        arrays: dict[str, Any] = {
            name: np.zeros((0, *shape), np.float32 if "f" in kinds else np.int64)
            for name, (kinds, shape) in ARRAYS.items()
            if name != "shape"
        }
        arrays |= {name: np.zeros(0, np.uint8) for name in SETS}
        return Fits(**arrays)

    @staticmethod
    def concatenate(parts: Sequence[Fits]) -> Fits:
        """Several sets of fits, one after the other.

        All or none have a loss, cameras, deviations, shapes, exchanged sides and rejected parts,
        and the names of their terms and doubts are equal.
        """
        if len(parts) == 1:
            return parts[0]
        arrays: dict[str, Any] = {
            n: np.concatenate([getattr(p, n) for p in parts]) for n in parts[0]._arrays()
        }
        named: dict[str, Any] = {
            kind: {
                name: np.concatenate([getattr(part, kind)[name] for part in parts])
                for name in getattr(parts[0], kind)
            }
            for kind in NAMED
        }
        return Fits(**arrays, **named)

    def in_frames(self, frame: np.ndarray) -> Fits:
        """The same bodies in the same pictures, seen through other crops.

        Args:
            frame: (N, 3) centre_x, centre_y, half_side of each new crop, image pixels.
        """
        scale, translation = reframed(self.scale, self.translation, self.frame, frame)
        return replace(self, frame=frame, scale=scale, translation=translation)

    @property
    def perspective(self) -> np.ndarray:
        """(N, 3) float32, of `ops.projection`: inverse focal length and principal point."""
        if self.focal is None:
            return np.zeros((len(self), 3), np.float32)
        return perspective_in_frame(self.focal, self.principal_point, None, self.frame)

    def seen(self, points: np.ndarray) -> np.ndarray:
        """Where the picture shows points (N, P, 3) of these bodies, such as their vertices.

        Returns:
            (N, P, 3) float32 frame units. Without perspective these are the points; with it, x and
            y are those of the picture. z stays, and so tells what is in front.
        """
        if self.focal is None:
            return points
        return seen_in_perspective(points, self.perspective)

    def by_body(self, body: Body) -> Iterator[tuple[Fits, Body]]:
        """The fits in their order, in groups of people with the same shape.

        Yields:
            The fits of a group, without shape, and the body in their shape.

        Raises:
            UserError: the body has other shape directions.
        """
        if self.shape is None or not len(self):
            yield replace(self, shape=None), body
            return
        differ = (self.shape[1:] != self.shape[:-1]).any(1)
        ends = [*(np.flatnonzero(differ) + 1).tolist(), len(self)]
        for start, end in zip([0, *ends], ends, strict=False):
            own = body.with_shape(self.shape[start]) if self.shape[start].any() else body
            yield replace(self.select(slice(start, end)), shape=None), own

    def vertices(self, body: Body) -> np.ndarray:
        """(N, V, 3) float32 positions of all vertices, frame units; z points to the viewer."""
        return self.points(body, lambda own: own.vertex_points(normals=False))

    def joints(self, body: Body) -> np.ndarray:
        """(N, 24, 3) float32 joint positions, frame units."""
        return self.keypoints(body, body.joint_names)

    def keypoints(self, body: Body, names: Sequence[str]) -> np.ndarray:
        """(N, K, 3) float32 positions of joints and landmarks, frame units."""
        return self.points(body, lambda own: own.keypoints(tuple(names)))

    def points(self, body: Body, points_of: Callable[[Body], RigPoints]) -> np.ndarray:
        """(N, P, 3) float32 positions of rig points, frame units.

        Args:
            body: The fitted body.
            points_of: Gives the rig points of a body; people of other shapes have other bodies.
        """
        groups = [some._placed(own, points_of(own)) for some, own in self.by_body(body)]
        return groups[0] if len(groups) == 1 else np.concatenate(groups)

    def _placed(self, body: Body, points: RigPoints) -> np.ndarray:
        """`points` of people with the shape of the body."""
        from bodyreg import ops

        out = np.empty((len(self), len(points), 3), np.float32)
        for start in range(0, len(self), POSED_AT_ONCE):
            some = slice(start, start + POSED_AT_ONCE)
            p = Parameters.of(self.select(some))
            transforms, _ = body.pose(p.pose, p.segment_scale)
            placed = ops.lbs(transforms, points.joint_ids, points.anchors)
            xy, depth = ops.projection(placed, p.rotation, p.scale, p.translation)
            out[some, :, :2], out[some, :, 2] = xy.numpy(), depth.numpy()
        return out

    def save(self, path: str | os.PathLike, **facts: str) -> None:
        """Write a bodyreg-fits-1 file; `facts` say what made it, and are stored as arrays too."""
        arrays: dict[str, Any] = self._arrays()
        for kind, prefix in NAMED.items():
            arrays |= {prefix + name: value for name, value in getattr(self, kind).items()}
        save_npz(path, format=FORMAT, **(arrays | facts))

    @classmethod
    def load(cls, path: str | os.PathLike) -> Fits:
        """Read a bodyreg-fits-1 file.

        Raises:
            UserError: the file is missing, damaged or of another format, or an array is missing,
                has the wrong shape, or holds a number that is not finite. Only the arrays of
                `OPTIONAL`, terms and doubts may be missing.
        """
        with FitsFile(path) as file:
            return file.read(0, len(file))

    def _arrays(self) -> dict[str, np.ndarray]:
        """The arrays of the file format, except those that are missing."""
        arrays = {name: getattr(self, name) for name in ARRAYS}
        return {name: array for name, array in arrays.items() if array is not None}


class FitsFile(PeopleFile):
    """An open bodyreg-fits-1 file; people are read and checked when needed.

    Raises:
        UserError: as `PeopleFile`.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        super().__init__(path, "fits", FORMAT, ARRAYS, optional=OPTIONAL)
        self._named = {
            kind: [
                name
                for name in self._reader.names
                if name.startswith(prefix)
                and self._reader.shape(name) == (len(self),)
                and self._reader.dtype(name).kind in "iuf"
            ]
            for kind, prefix in NAMED.items()
        }

    def tracks(self) -> np.ndarray | None:
        """(N,) int64, the tracks of all people; None if the file has no tracks and moments."""
        if not set(TIMES) <= set(self._reader.names):
            return None
        return self._reader.read("track").astype(np.int64)

    def read(self, start: int, stop: int) -> Fits:
        """The fits of the people from `start` up to `stop`.

        Raises:
            UserError: the file is damaged, or holds a number that is not finite, or a deviation
                that is negative.
        """
        arrays: dict[str, Any] = self.rows(start, stop)
        ids = arrays.pop("id").astype(np.int64)
        if "joint_deviation" in arrays and (arrays["joint_deviation"] < 0).any():
            bad = (arrays["joint_deviation"] < 0).any(axis=(1, 2))
            raise UserError(
                f"{self.path}: joint_deviation of person {ids[bad.argmax()]} is negative"
            )
        for name in TIMES:
            if name in arrays:
                arrays[name] = arrays[name].astype(np.int64)
        for name in SETS:
            if name in arrays:
                arrays[name] = arrays[name].astype(np.uint8)
        named: dict[str, Any] = {
            kind: {
                name.removeprefix(NAMED[kind]): self._reader.rows(name, start, stop).astype(
                    np.float32, copy=False
                )
                for name in names
            }
            for kind, names in self._named.items()
        }
        return Fits(id=ids, **arrays, **named)


TIMES: Layout = {"track": ("iu", ()), "moment": ("iu", ())}
"""The arrays of fits in videos."""

SETS: Layout = {"exchanged": ("iu", ()), "rejected": ("iu", ())}
"""The arrays of sets of evidence."""

ARRAYS: Layout = {
    "id": ("iu", ()), "frame": ("iuf", (3,)), "pose": ("iuf", (24, 3)),
    "segment_scale": ("iuf", (24,)), "rotation": ("iuf", (3, 3)), "scale": ("iuf", ()),
    "translation": ("iuf", (2,)), "loss": ("iuf", ()), **CAMERA,
    "joint_deviation": ("iuf", (24, 2)), **TIMES, "shape": ("iuf", ("S",)), **SETS,
}  # fmt: skip
"""The arrays of the file format."""

OPTIONAL = ("loss", *CAMERA, "joint_deviation", *TIMES, "shape", *SETS)
"""Those of them that may be missing."""

NAMED = {"terms": TERM_PREFIX, "doubts": DOUBT_PREFIX}
"""Attributes that hold arrays (N,) by name -> the prefix of these arrays in a file."""

assert set(ARRAYS) | set(NAMED) == {f.name for f in fields(Fits)}
