"""The poses that a person is to be painted in: of pictures, joints, fits and clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bodyreg.errors import UserError
from bodyreg.files import require_file
from bodyreg.pictures import SUFFIXES
from bodyreg.runs.fitted_pictures import FittedPictures
from bodyreg.runs.job import evenly

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data import Fits

KINDS = "a picture, joints of OpenPose (.json), fits (.npz) or a clip (.bvh)"
# A person of a clip stands in the middle of the picture: the highest share of its height that a
# person may have, and where the ground is.
TALLEST, GROUND = 0.86, 0.95


@dataclass(frozen=True, eq=False)
class Target:
    """A pose in a picture.

    Attributes:
        name: For files.
        fit: One fit.
        height, width: Of the picture.
    """

    name: str
    fit: Fits
    height: int
    width: int


def targets_of(
    poses: Sequence[Path],
    fitted: FittedPictures,
    source: Fits,
    size: tuple[int, int],
    frames: int | None,
) -> list[Target]:
    """The targets of files.

    Args:
        poses: The files.
        fitted: Finds the people of pictures.
        source: The fit of the person who takes the poses.
        size: Width and height where the pose is no picture.
        frames: As of `TransferRequest`.

    Raises:
        UserError: a file is missing, damaged or of another kind, or no person is known in it.
    """
    from bodyreg.data import Fits

    targets: list[Target] = []
    width, height = size
    for path in poses:
        kind = path.suffix.lower()
        if kind in SUFFIXES:
            targets.append(_of_picture(fitted.file(path), fitted))
            continue
        require_file(path, "pose")
        if kind == ".json":
            found = _of_joints(path, fitted.body)
        elif kind == ".npz":
            found = Fits.load(path)
        elif kind == ".bvh":
            found = of_clip(path, fitted.body, source, height, width)
        else:
            raise UserError(f"{path}: not a pose; expected {KINDS}")
        if not len(found):
            raise UserError(f"{path}: holds no pose")
        rows = range(len(found)) if frames is None else evenly(len(found), frames).tolist()
        one = len(rows) == 1
        for row in rows:
            name = path.stem if one else f"{path.stem}-{row:06}"
            targets.append(Target(name, found.select([row]), height, width))
    return targets


def _of_picture(path: Path, fitted: FittedPictures) -> Target:
    from bodyreg.pictures import read_size

    require_file(path, "pose")
    size = read_size(path)
    return Target(path.stem, fitted.fit(path, size), size[1], size[0])


def _of_joints(path: Path, body: Body) -> Fits:
    """The largest person of a file, which does not tell the size of its picture."""
    from bodyreg.data import read_openpose
    from bodyreg.registration import register

    people, _ = read_openpose(path)
    if not len(people):
        raise UserError(f"{path}: no person with joints in it")
    largest = int(people.frame[:, 2].argmax())
    return register(body, people.select([largest]))


def of_clip(path: Path, body: Body, source: Fits, height: int, width: int) -> Fits:
    """A person in the poses of a clip, upright in the middle of a picture, seen from afar.

    The first frame faces the viewer.

    Args:
        path: The BVH file.
        body: The fitted body.
        source: One fit, the person.
        height, width: Of the picture.

    Raises:
        UserError: as `read_clip`.
    """
    import numpy as np
    from scipy.spatial.transform import Rotation

    from bodyreg.data.bodies import pixels_per_metre
    from bodyreg.synthetic.motions.clip_to_rig import retarget
    from bodyreg.synthetic.motions.clips import read_clip

    clip = read_clip(path, {}, None)
    ((_, own),) = source.by_body(body)
    turns, pelvis = retarget(clip, own.joints)
    count = len(turns)
    front = pelvis[0, :, 2]
    facing = Rotation.from_euler("y", -np.arctan2(front[0], front[2])).as_matrix()
    pose = Rotation.from_matrix(turns.reshape(-1, 3, 3)).as_rotvec().reshape(count, -1, 3)
    stature = own.stature * float(source.segment_scale[0].mean())
    pixels = min(float(pixels_per_metre(source)[0]), TALLEST * height / stature)
    half = max(height, width) / 2
    fits = replace(
        source.select(np.zeros(count, int)),
        id=np.arange(count),
        frame=np.tile(np.array([width / 2, height / 2, half], np.float32), (count, 1)),
        pose=pose.astype(np.float32),
        rotation=(facing @ pelvis).astype(np.float32),
        scale=np.full(count, pixels / half, np.float32),
        translation=np.zeros((count, 2), np.float32),
        loss=None, focal=None, principal_point=None, joint_deviation=None, terms={},
    )  # fmt: skip
    places = fits.vertices(body)
    ground = (height / 2 - GROUND * height) / half
    fits.translation[:, 0] = -fits.joints(body)[:, 0, 0]
    fits.translation[:, 1] = ground - places[..., 1].min(1)
    return fits
