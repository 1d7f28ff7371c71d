"""Human3.6M as VideoPose3D keeps it: pickled dictionaries in .npz files.

There are two files: 2-D poses ("positions_2d": subject -> action -> one array per camera) and 3-D
poses ("positions_3d": subject -> action -> one array, metres in world axes). VideoPose3D has the
cameras in its source. Here they are a JSON file of the same tables: subject -> list of cameras in
the order of the 2-D arrays, each with `id`, `orientation` (quaternion w, x, y, z, camera to world)
and `translation` (the camera's place in the world, millimetres), and, if it is there, the lens:
`focal_length` (one number, or two, of x and y), `center`, `res_w` and `res_h`, pixels. Other
entries are ignored.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bodyreg.data.cameras import Camera, arrays_of
from bodyreg.data.frames import NOT_SPREAD_OUT, spread_out
from bodyreg.data.json_files import integer, load_json, numbers
from bodyreg.data.observation_checks import LARGEST_SIDE
from bodyreg.data.observations import Observations
from bodyreg.data.skeletons import COCO_17, H36M_17, H36M_17_OF_32, H36M_32, Skeleton
from bodyreg.errors import UserError
from bodyreg.pickles import load_npz_objects

# The four cameras in the order of the files, as VideoPose3D's source has them. Pixels are not quite
# square: a focal length is the mean of x and y.
LENSES = {
    "54138969": Camera(1144.42, (512.54, 515.45), (1000, 1002)),
    "55011271": Camera(1148.63, (508.85, 508.06), (1000, 1000)),
    "58860488": Camera(1148.97, (519.82, 501.40), (1000, 1000)),
    "60457274": Camera(1145.14, (514.97, 501.88), (1000, 1002)),
}
CAMERAS = tuple(LENSES)

# Its poses do not fit its pictures, so evaluations leave it out.
BROKEN = ("S11", "Directions", "54138969")
SUBJECT = re.compile(r"S\d+")
# The 2-D and 3-D poses of a sequence may differ in length by so many frames.
LENGTHS_DIFFER_BY = 5
MILLIMETRES = 1000
# Metres; no studio is so large.
FARTHEST = 1e4
# Picture and camera axes of the files have y down and z away from the viewer.
UP_AND_NEAR = np.array([1, -1, -1], np.float32)

LEFT_OUT = "S11 Directions of camera 54138969, whose poses do not fit its pictures"
NO_POSE_3D = "no 3-D pose of the same frame"


@dataclass(eq=False)
class Poses3D:
    """N people: the keypoints in their pictures, and where their joints are in space.

    Attributes:
        observations: Keypoints.
        joints: (N, 17, 3) float32 metres in H36M-17's order: in camera axes (x right, y up, z
            toward the viewer) if cameras are known, else in world axes; NaN = not known.
        subject: (N,) str, "S9" ...; "" = not known, also below.
        action: (N,) str, in the file's spelling: "Walking 1".
        camera: (N,) str.
        frame: (N,) int64, from 0; -1 = not known.
    """

    observations: Observations
    joints: np.ndarray
    subject: np.ndarray
    action: np.ndarray
    camera: np.ndarray
    frame: np.ndarray

    def __len__(self) -> int:
        return len(self.observations)


def action_family(action: str) -> str:
    """One of Human3.6M's fifteen actions for a sequence's name: "Walking 1" -> "Walking".

    Other names, which some subjects' raw files have, become VideoPose3D's names.
    """
    name = action.split(" ")[0]
    return {"TakingPhoto": "Photo", "WalkingDog": "WalkDog", "WalkingTogether": "WalkTogether"}.get(
        name, name
    )


def read_videopose3d(
    positions_2d: str | os.PathLike,
    positions_3d: str | os.PathLike | None = None,
    cameras: str | os.PathLike | None = None,
    *,
    subjects: Collection[str] | None = None,
    camera_ids: Collection[str] | None = None,
    every: int = 1,
    broken: bool = False,
) -> tuple[Poses3D, Counter[str]]:
    """Read VideoPose3D's files as observations, with 3-D joints if they are given.

    People are in the files' order: subject, action, camera, frame. Their ids are the places of
    their frames in the 2-D file, so they do not depend on the other arguments.

    Args:
        positions_2d: data_2d_h36m_*.npz, of Human3.6M's joints (17 or 32) or COCO's.
        positions_3d: data_3d_h36m.npz, of 32 joints or 17.
        cameras: The JSON file of cameras; without it, joints stay in world axes.
        subjects: Read only these; all if left out.
        camera_ids: Read only these cameras.
        every: Read only frames 0, `every`, 2 `every` ...
        broken: Keep S11's Directions of camera 54138969, whose poses do not fit its pictures.

    Returns:
        The people, and how many were skipped by reason.

    Raises:
        UserError: a file is missing, damaged, or contradicts the others; the message says where.
    """
    path = Path(positions_2d)
    content = load_npz_objects(path, kind="2-D pose")
    poses = _tree(content, "positions_2d", path)
    space = _Space(positions_3d, cameras)
    skipped: Counter[str] = Counter()
    parts: list[_Sequence] = []
    layouts = _layouts(content, path)
    skeleton: Skeleton | None = None
    first = after = 0
    for subject, action, camera, xy in _sequences(poses, space, path):
        first, after = after, after + len(xy)
        if subjects is not None and subject not in subjects:
            continue
        if camera_ids is not None and camera not in camera_ids:
            continue
        frames = np.arange(0, len(xy), every)
        if not broken and (subject, action, camera) == BROKEN:
            skipped[LEFT_OUT] += len(frames)
            continue
        where = f"{path}: {subject}, {action}, camera {camera}"
        skeleton = skeleton or layouts.get(xy.shape[1])
        if skeleton is None or xy.shape[1] != len(skeleton):
            counts = " or ".join(map(str, layouts)) if skeleton is None else len(skeleton)
            raise UserError(f"{where}: {xy.shape[1]} joints, expected {counts}")
        joints = space.joints(subject, action, camera, len(xy), where)
        lens = space.lens(subject, camera)
        skipped[NO_POSE_3D] += int((frames >= len(joints)).sum())
        frames = frames[frames < len(joints)]
        ids = first + frames
        parts.append(
            _Sequence(subject, action, camera, lens, ids, frames, xy[frames], joints[frames])
        )
    return _poses(parts, skeleton, str(path), skipped)


@dataclass
class _Sequence:
    """T frames of one person, seen by one camera."""

    subject: str
    action: str
    camera: str
    lens: Camera
    ids: np.ndarray  # (T,)
    frames: np.ndarray  # (T,)
    xy: np.ndarray  # (T, joints, 2 or more)
    joints: np.ndarray  # (T, 17, 3)


class _StudioCamera(NamedTuple):
    """A camera of the file of cameras: its rotation to world axes, place in metres, and lens."""

    rotation: np.ndarray = np.eye(3)
    place: np.ndarray = np.zeros(3)
    lens: Camera = Camera()


class _Space:
    """The 3-D poses and cameras that are given."""

    def __init__(
        self, positions: str | os.PathLike | None, cameras: str | os.PathLike | None
    ) -> None:
        self.path = None if positions is None else Path(positions)
        self.poses: dict[str, Any] = {}
        if self.path is not None:
            content = load_npz_objects(self.path, kind="3-D pose")
            self.poses = _tree(content, "positions_3d", self.path)
        self.cameras = None if cameras is None else _cameras(Path(cameras))

    def camera_names(self, subject: str) -> Sequence[str]:
        """The cameras' names in the order of a subject's 2-D arrays."""
        known = (self.cameras or {}).get(subject)
        return list(CAMERAS if known is None else known)

    def lens(self, subject: str, camera: str) -> Camera:
        """What is known of a camera; other data sets in this form have other cameras."""
        lens = (self.cameras or {}).get(subject, {}).get(camera, _StudioCamera()).lens
        if lens == Camera() and SUBJECT.fullmatch(subject):
            return LENSES.get(camera, lens)
        return lens

    def joints(self, subject: str, action: str, camera: str, length: int, where: str) -> np.ndarray:
        """(T, 17, 3) joints of a sequence of about `length` frames; NaN if there is no file."""
        if self.path is None:
            return np.full((length, len(H36M_17), 3), np.nan, np.float32)
        if action not in self.poses.get(subject, {}):
            return np.zeros((0, len(H36M_17), 3), np.float32)
        world = self.poses[subject][action]
        counts: dict[int, Any] = {len(H36M_17): slice(None), len(H36M_32): list(H36M_17_OF_32)}
        shape = np.shape(world)
        if not isinstance(world, np.ndarray) or world.ndim != 3 or world.dtype.kind not in "iuf":
            raise UserError(f"{self.path}: {subject}, {action}: expected an array (T, 32, 3)")
        if shape[1] not in counts or shape[2] != 3:
            raise UserError(
                f"{self.path}: {subject}, {action}: shape {shape}; expected (T, 32, 3) or "
                "(T, 17, 3)"
            )
        if abs(len(world) - length) > LENGTHS_DIFFER_BY:
            raise UserError(f"{where}: {length} frames in 2-D, {len(world)} in 3-D")
        world = world[:, counts[shape[1]]]
        if not (np.abs(world) < FARTHEST).all():
            raise UserError(
                f"{self.path}: {subject}, {action}: positions are too large; they must be metres"
            )
        world = world.astype(np.float32)
        if self.cameras is None:
            return world
        if camera not in self.cameras.get(subject, {}):
            raise UserError(f"{where}: the file of cameras has no such camera of {subject}")
        found = self.cameras[subject][camera]
        return ((world - found.place) @ found.rotation * UP_AND_NEAR).astype(np.float32)


def _tree(content: dict[str, Any], name: str, path: Path) -> dict[str, dict[str, Any]]:
    tree = content.get(name)
    if not isinstance(tree, dict) or not all(isinstance(t, dict) for t in tree.values()):
        raise UserError(f"{path}: expected '{name}' of subjects and their actions")
    for key in (*tree, *(action for actions in tree.values() for action in actions)):
        if not isinstance(key, str | int):
            raise UserError(f"{path}: '{name}' has a subject or an action whose name is no text")
    return tree


def _layouts(content: dict[str, Any], path: Path) -> dict[int, Skeleton]:
    """The skeletons that the 2-D poses may have, by their number of joints."""
    facts = content.get("metadata")
    facts = facts if isinstance(facts, dict) else {}
    name = str(facts.get("layout_name", "h36m")).lower()
    kinds = {"h36m": (H36M_17, H36M_32), "coco": (COCO_17,)}
    if name not in kinds:
        raise UserError(f"{path}: metadata: layout_name '{name}', expected h36m or coco")
    layouts = {len(skeleton): skeleton for skeleton in kinds[name]}
    sides, count = facts.get("keypoints_symmetry"), facts.get("num_joints")
    if count is None:
        return layouts
    if not isinstance(count, int) or count not in layouts:
        counts = " or ".join(map(str, layouts))
        told = count if isinstance(count, int | str) else "not a number"
        raise UserError(f"{path}: metadata: num_joints is {told}, {name} has {counts}")
    if sides is not None and not _agree(sides, layouts[count]):
        raise UserError(f"{path}: metadata: keypoints_symmetry is not that of {name}'s {count}")
    return {count: layouts[count]}


def _agree(sides: Any, skeleton: Skeleton) -> bool:
    """Whether [left joints, right joints] are those of a skeleton."""
    try:
        left, right = (np.array(side, np.int64).tolist() for side in sides)
        return all(skeleton.joints[joint].startswith("left_") for joint in left) and right == [
            skeleton.flip[joint] for joint in left
        ]
    except (TypeError, ValueError, IndexError, OverflowError):
        return False


def _sequences(
    poses: dict[str, dict[str, Any]], space: _Space, path: Path
) -> Iterator[tuple[str, str, str, Any]]:
    for subject, actions in poses.items():
        for action, views in actions.items():
            if isinstance(views, np.ndarray) and views.ndim == 4:
                views = list(views)
            if not isinstance(views, list):
                raise UserError(f"{path}: {subject}, {action}: expected a list of cameras' poses")
            names = space.camera_names(subject)
            if len(views) > len(names):
                raise UserError(
                    f"{path}: {subject}, {action}: poses of {len(views)} cameras, expected "
                    f"{len(names)} at most"
                )
            for camera, xy in zip(names, views, strict=False):
                if (
                    xy is None
                    or (isinstance(xy, list) and not xy)
                    or (isinstance(xy, np.ndarray) and not xy.size)
                ):
                    continue  # nothing was detected
                numbers_only = isinstance(xy, np.ndarray) and xy.dtype.kind in "iuf"
                if not numbers_only or xy.ndim != 3 or xy.shape[2] < 2:
                    got = f"shape {xy.shape}" if numbers_only else type(xy).__name__
                    raise UserError(
                        f"{path}: {subject}, {action}, camera {camera}: expected an array of poses "
                        f"(T, joints, 2), got {got}"
                    )
                yield str(subject), str(action), camera, xy


def _cameras(path: Path) -> dict[str, dict[str, _StudioCamera]]:
    """Subject -> name of a camera -> the camera."""
    content = load_json(path)
    if not isinstance(content, dict) or not all(isinstance(c, list) for c in content.values()):
        raise UserError(f"{path}: expected an object of subjects, each a list of cameras")
    cameras: dict[str, dict[str, _StudioCamera]] = {}
    for subject, rows in content.items():
        cameras[subject] = {}
        for number, row in enumerate(rows):
            where = f"{path}: {subject}, camera {number}"
            if not isinstance(row, dict) or not isinstance(row.get("id"), str | int):
                raise UserError(f"{where} is not an object with an 'id'")
            quaternion = numbers(row, "orientation", where, 4)
            if not 0.9 < np.linalg.norm(quaternion.clip(-2, 2)) < 1.1:
                raise UserError(f"{where}: orientation is not a unit quaternion w, x, y, z")
            place = numbers(row, "translation", where, 3) / MILLIMETRES
            if not (np.abs(place) < FARTHEST).all():
                raise UserError(f"{where}: translation is out of range; it counts millimetres")
            cameras[subject][str(row["id"])] = _StudioCamera(
                _rotation(quaternion), place, _lens(row, where)
            )
    return cameras


def _lens(row: dict[str, Any], where: str) -> Camera:
    """The lens of a row of the file of cameras, as far as it is there."""
    lens = Camera()
    if row.get("focal_length") is not None:
        focal = numbers(row, "focal_length", where)
        if len(focal) not in (1, 2) or not (focal > 0).all():
            raise UserError(f"{where}: focal_length is not one or two positive numbers")
        lens = lens._replace(focal=float(focal.mean()))
    if row.get("center") is not None:
        x, y = numbers(row, "center", where, 2).tolist()
        lens = lens._replace(principal_point=(x, y))
    if row.get("res_w") is not None and row.get("res_h") is not None:
        width, height = (integer(row[name], name, where) for name in ("res_w", "res_h"))
        if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE):
            raise UserError(f"{where}: res_w or res_h is out of range; they count pixels")
        lens = lens._replace(picture_size=(width, height))
    return lens


def _rotation(quaternion: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_quat(quaternion[[1, 2, 3, 0]]).as_matrix()


def _poses(
    parts: list[_Sequence], skeleton: Skeleton | None, source: str, skipped: Counter[str]
) -> tuple[Poses3D, Counter[str]]:
    skeleton = skeleton or H36M_17
    columns = list(skeleton.evidence)

    def join(name: str, *shape: int) -> np.ndarray:
        arrays = [np.zeros((0, *shape), np.float32), *(getattr(part, name) for part in parts)]
        return np.concatenate(arrays)

    def repeat(name: str) -> np.ndarray:
        counts = [len(part.frames) for part in parts]
        return np.repeat(np.array([getattr(part, name) for part in parts], np.str_), counts)

    xy = np.concatenate(
        [np.zeros((0, len(columns), 2), np.float32), *(part.xy[:, columns, :2] for part in parts)]
    )
    present = np.isfinite(xy).all(2)
    kept = np.flatnonzero(spread_out(xy, present))
    skipped[NOT_SPREAD_OUT] += len(xy) - len(kept)
    lenses = [part.lens for part in parts for _ in part.frames]
    observations = Observations.of_keypoints(
        skeleton.evidence_keypoints,
        xy[kept],
        present[kept],
        id=join("ids").astype(np.int64)[kept],
        **arrays_of([lenses[person] for person in kept]),
    )
    observations.check(source=source)
    poses = Poses3D(
        observations,
        join("joints", len(H36M_17), 3)[kept],
        repeat("subject")[kept],
        repeat("action")[kept],
        repeat("camera")[kept],
        join("frames").astype(np.int64)[kept],
    )
    return poses, +skipped
