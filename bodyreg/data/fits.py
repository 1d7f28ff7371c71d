"""The result of a registration: body parameters per person."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch

from bodyreg.body import Body, RigPoints
from bodyreg.data.people_file import Layout, PeopleFile
from bodyreg.errors import UserError
from bodyreg.npz import NpzReader, Rows, save_npz

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
        arrays = {name: np.zeros((0, *shape), np.float32) for name, (_, shape) in ARRAYS.items()}
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
        with FitsFile(path) as file:
            return file.read(0, len(file))


class FitsFile(PeopleFile):
    """A bodyreg-fits-1 file, of which people are read and checked as they are wanted.

    Raises:
        UserError: as `PeopleFile`.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        super().__init__(path, "fits", FORMAT, ARRAYS)
        self._terms = [
            name
            for name in self._reader.names
            if name.startswith(TERM_PREFIX) and self._reader.shape(name) == (len(self),)
        ]

    def read(self, start: int, stop: int) -> Fits:
        """The fits of people `start` to `stop`.

        Raises:
            UserError: the file is damaged, or holds a number that is not finite.
        """
        arrays = self.rows(start, stop)
        ids = arrays.pop("id").astype(np.int64)
        terms = {
            name.removeprefix(TERM_PREFIX): self._reader.rows(name, start, stop)
            for name in self._terms
        }
        return Fits(
            id=ids,
            **{name: array.astype(np.float32) for name, array in arrays.items()},
            terms=terms,
        )


class FitsById:
    """Fits of a file, found by the people's ids. Memory: the ids, and the fits asked for.

    Raises:
        UserError: as `FitsFile`, or a person is named twice.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self._file = FitsFile(path)
        ids = self._file.ids()
        self._order = np.argsort(ids, kind="stable")
        self._sorted = ids[self._order]
        if (self._sorted[1:] == self._sorted[:-1]).any():
            raise UserError(f"{path}: names a person twice; ids must be unique to be matched")

    def ids(self) -> np.ndarray:
        """(N,) int64 the ids of all people, sorted."""
        return self._sorted

    def of(self, ids: np.ndarray) -> Fits:
        """The fits of those of these people who are there, and of all between them in the file."""
        place = np.searchsorted(self._sorted, ids)
        place = place[place < len(self._sorted)]
        found = self._order[place[np.isin(self._sorted[place], ids)]]
        if not len(found):
            return Fits.empty()
        return self._file.read(int(found.min()), int(found.max()) + 1)


def join_fits(
    path: str | os.PathLike, parts: Sequence[Path], *, within: Path | None = None, **facts: str
) -> int:
    """Write one bodyreg-fits-1 file with the people of several, one after the other.

    It has the bytes that `Fits.concatenate` and `Fits.save` would give. Memory: one array of one
    part.

    Args:
        path: The file to write.
        parts: Files that `Fits.save` wrote, with the same terms; those without people do not count.
        within: The folder of the temporary file, as in `files.atomic_path`.
        **facts: Stored beside.

    Returns:
        How many people there are.

    Raises:
        UserError: a part is missing or damaged, or the file cannot be written.
    """
    counts = {part: _count(part) for part in parts}
    parts = [part for part in parts if counts[part]]
    if not parts:
        Fits.empty().save(path, **facts)
        return 0
    people = sum(counts.values())
    with NpzReader(parts[0], kind="fits") as first:
        kinds = {
            name: (first.shape(name)[1:], first.dtype(name))
            for name in first.names
            if name in ARRAYS or name.startswith(TERM_PREFIX)
        }

    def blocks(name: str) -> Iterator[np.ndarray]:
        for part in parts:
            with NpzReader(part, kind="fits") as reader:
                yield reader.read(name)

    arrays = {n: Rows((people, *shape), dtype, blocks(n)) for n, (shape, dtype) in kinds.items()}
    save_npz(path, within=within, format=FORMAT, **arrays, **facts)
    return people


def _count(path: Path) -> int:
    with NpzReader(path, kind="fits") as reader:
        return reader.shape("id")[0]


ARRAYS: Layout = {
    "id": ("iu", ()), "frame": ("iuf", (3,)), "pose": ("iuf", (24, 3)),
    "segment_scale": ("iuf", (24,)), "rotation": ("iuf", (3, 3)), "scale": ("iuf", ()),
    "translation": ("iuf", (2,)), "loss": ("iuf", ()),
}  # fmt: skip
"""Arrays of the file format."""

assert set(ARRAYS) | {"terms"} == {f.name for f in fields(Fits)}
