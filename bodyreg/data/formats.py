"""The formats that people can be registered from, each by the name of its option."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from bodyreg.data.deepfashion import LABELS, read_pose_pairs
from bodyreg.data.densepose_coco import read_densepose_coco
from bodyreg.data.human36m import Poses3D, read_videopose3d
from bodyreg.data.mpii import read_mpii
from bodyreg.data.observations import Observations
from bodyreg.data.openpose import SUFFIX, read_openpose
from bodyreg.data.spin import read_spin
from bodyreg.errors import UserError
from bodyreg.files import entries
from bodyreg.npz import NpzReader

if TYPE_CHECKING:
    from bodyreg.body import Body


def read_people(
    kind: str, source: Path, body: Body, *, whole_body: bool = False, images: Path | None = None
) -> tuple[Observations, Counter[str]]:
    """Read the people of one of the real formats.

    Args:
        kind: densepose_coco, mpii, human36m, openpose or deepfashion.
        source: The file or folder.
        body: The body that dense points are to lie on.
        whole_body: Of a DensePose-COCO file, only people whose whole body is in the picture.
        images: The folder of the pictures, which OpenPose's files do not name.

    Returns:
        The observations, and how many people were skipped by reason.

    Raises:
        UserError: as the reader of the format.
    """
    if kind == "densepose_coco":
        return read_densepose_coco(source, body, whole_body=whole_body)
    if kind == "mpii":
        return read_mpii(source)
    if kind == "human36m":
        poses, skipped = read_human36m(source)
        return poses.observations, skipped
    if kind == "openpose":
        return read_openpose(source, images)
    if kind == "deepfashion":
        return read_pose_pairs(source).observations()
    raise ValueError(f"kind: no format of this name: {kind}")


def read_human36m(
    path: Path, positions_3d: Path | None = None, cameras: Path | None = None
) -> tuple[Poses3D, Counter[str]]:
    """Read VideoPose3D's 2-D poses or SPIN's data, whichever the .npz file holds.

    Args:
        path: The file.
        positions_3d, cameras: As of `read_videopose3d`; SPIN's data have them in the same file.
    """
    with NpzReader(path, kind="Human3.6M") as reader:
        spin = "imgname" in reader.names
    if spin and (positions_3d or cameras):
        raise UserError(f"{path}: is SPIN's data, which hold their 3-D poses; give no others")
    return read_spin(path) if spin else read_videopose3d(path, positions_3d, cameras)


def files_of(kind: str, source: Path) -> list[Path]:
    """The files that `read_people` reads."""
    if kind == "openpose":
        return [path for path in entries(source) if path.name.endswith(SUFFIX)]
    if kind == "deepfashion":
        return [source / label for label in LABELS]
    return [source]
