"""The formats that people are read from: one row for each.

`bodyreg register` and other commands make their options and checks from these rows, a run's record
names them, and tools/formats_table.py writes the table of docs/formats.md. A new format is a module
that reads it, and a row here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bodyreg.errors import UserError

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data.human36m import Poses3D
    from bodyreg.data.observations import Observations
    from bodyreg.data.source import Source
    from bodyreg.data.spin import Joints

# Readers are imported when they are used: options are made from the rows without them.

PICTURES = "pictures"
"""The format of pictures that one person fills. No option names it, and no other file is read."""


@dataclass(frozen=True)
class Format:
    """A format of people to register.

    Attributes:
        name: The format in records; its option is --NAME.
        reads: What the option names.
        what: The option's help.
        read: Reads a source for a body: the observations, and how many people were skipped, by
            reason. None for the project's own files, of which people are read when needed.
        files: The files that `read` reads of a source, for fingerprints.
        pictures: `named`: the files name their pictures, or have none. `found`: `read` finds them
            in `Source.images`. `needed`: it cannot read people without them.
        switches: Name -> help of the switches that belong to this format alone.
        sampled: Whether people have dense maps, of which `Source.points` points are kept.
        points_alone: Whether people have dense points and no keypoints. Those of another source
            may be joined to them.
        masks: Whether it is a DensePose-COCO file, whose masks can be drawn behind people.
        holds: The files and what is in them, for the documentation.
        gives: What people get from them, for the documentation.
        functions: The readers in `bodyreg.data`, for the documentation.
        evidence: Whether people have points or keypoints. If not, they cannot be registered, only
            seen by a network.
        nested: Whether the folder needs folders of its own, so that no list of files is enough.
    """

    name: str
    reads: Literal["FILE", "FOLDER", "FILE|FOLDER"]
    what: str
    read: Callable[[Source, Body], tuple[Observations, Counter[str]]] | None
    files: Callable[[Source], Sequence[Path]] = lambda source: [source.path]
    pictures: Literal["named", "found", "needed"] = "named"
    switches: Mapping[str, str] = field(default_factory=dict)
    sampled: bool = False
    points_alone: bool = False
    masks: bool = False
    holds: str = ""
    gives: str = ""
    functions: tuple[str, ...] = ()
    evidence: bool = True
    nested: bool = False

    @property
    def option(self) -> str:
        """The option that names such people."""
        return f"--{self.name}"


def read_human36m(
    path: Path,
    positions_3d: Path | None = None,
    cameras: Path | None = None,
    *,
    joints: Joints | None = None,
) -> tuple[Poses3D, Counter[str]]:
    """Read VideoPose3D's 2-D poses or SPIN's data, whichever the .npz file holds.

    Args:
        path: The file.
        positions_3d, cameras: As of `read_videopose3d`; SPIN's data hold them in the same file.
        joints: As of `read_spin`.
    """
    from bodyreg.data.human36m import read_videopose3d
    from bodyreg.data.spin import read_spin
    from bodyreg.npz import NpzReader

    with NpzReader(path, kind="Human3.6M") as reader:
        spin = "imgname" in reader.names
    if spin and (positions_3d or cameras):
        raise UserError(f"{path}: is SPIN's data, which hold their 3-D poses; give no others")
    if joints and not spin:
        raise UserError(f"{path}: says itself whose joints it has; leave out --{joints}-joints")
    return read_spin(path, joints=joints) if spin else read_videopose3d(path, positions_3d, cameras)


def _function(name: str) -> Callable[..., Any]:
    """A function of `bodyreg.data`, "module:function", whose module is imported now."""
    module, _, function = name.partition(":")
    return getattr(import_module(f"bodyreg.data.{module}"), function)


def _reader(name: str) -> Callable[[Source, Body], tuple[Observations, Counter[str]]]:
    """Calls a reader with a source's path, and with what else it takes."""

    def read(source: Source, body: Body) -> tuple[Observations, Counter[str]]:
        reader = _function(name)
        known = {"body": body, "images": source.images, **source.sampling}
        taken = signature(reader).parameters
        return reader(source.path, **{key: known[key] for key in known if key in taken})

    return read


def _files(name: str) -> Callable[[Source], Sequence[Path]]:
    """Calls a function that finds a source's files by its path."""
    return lambda source: _function(name)(source.path)


def _densepose_coco(source: Source, body: Body) -> tuple[Observations, Counter[str]]:
    from bodyreg.data.densepose_coco import read_densepose_coco

    return read_densepose_coco(source.path, body, whole_body="whole_body" in source.switches)


def _human36m(source: Source, body: Body) -> tuple[Observations, Counter[str]]:
    choices: dict[str, Joints] = {"h36m_joints": "h36m", "coco_joints": "coco"}
    told = [choices[name] for name in source.switches]
    if len(told) > 1:
        raise UserError("give one of --h36m-joints and --coco-joints")
    poses, skipped = read_human36m(source.path, joints=told[0] if told else None)
    return poses.observations, skipped


def _deepfashion(source: Source, body: Body) -> tuple[Observations, Counter[str]]:
    from bodyreg.data.deepfashion import read_pose_pairs

    return read_pose_pairs(source.path).observations()


def _deepfashion_files(source: Source) -> list[Path]:
    from bodyreg.data.deepfashion import LABELS

    return [source.path / label for label in LABELS]


def _iuv(source: Source, body: Body) -> tuple[Observations, Counter[str]]:
    from bodyreg.data.iuv import Channel, read_iuv

    channels: dict[str, Channel] = {"part_in_blue": "blue", "part_in_red": "red"}
    told = [channels[name] for name in source.switches]
    if len(told) > 1:
        raise UserError("give one of --part-in-blue and --part-in-red")
    return read_iuv(
        source.path, body, source.images, channel=told[0] if told else None, **source.sampling
    )


def _iuv_files(source: Source) -> list[Path]:
    from bodyreg.data.iuv import map_files, numbers_file

    maps = map_files(source.path)
    return [file for path in maps for file in (path, numbers_file(path)) if file is not None]


def _pictures(source: Source, body: Body) -> tuple[Observations, Counter[str]]:
    from bodyreg.data.boxes import read_pictures

    return read_pictures(source.path, source.names)


def _picture_files(source: Source) -> list[Path]:
    from bodyreg.pictures import picture_names

    return [source.path / name for name in source.names or picture_names(source.path)]


FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        Format(
            name="observations",
            reads="FILE|FOLDER",
            what="A bodyreg-observations-1 file (.npz), or a folder of such files.",
            read=None,
            holds="bodyreg-observations-1 (.npz), or a folder of such files",
            gives="everything that observations can hold",
            functions=("Observations.load", "open_observations"),
        ),
        Format(
            name="densepose-coco",
            reads="FILE",
            what="A DensePose-COCO file (.json).",
            read=_densepose_coco,
            switches={"whole_body": "only people whose whole body is in the picture"},
            masks=True,
            holds="COCO's JSON with dp_*",
            gives="dense points, COCO-17 keypoints and their depths",
            functions=("read_densepose_coco",),
        ),
        Format(
            name="iuv",
            reads="FILE|FOLDER",
            what="A folder of DensePose's *_IUV.png, or of arrays of I, U, V: dense points.",
            read=_iuv,
            files=_iuv_files,
            pictures="found",
            switches={
                "part_in_blue": "the part is the blue channel, as DensePose writes it by OpenCV",
                "part_in_red": "the part is the red channel",
            },
            sampled=True,
            points_alone=True,
            holds="NAME_IUV.png and NAME_INDS.png; arrays (H, W, 3), `.npy` and `.npz`",
            gives="dense points",
            functions=("read_iuv",),
        ),
        Format(
            name="densepose-results",
            reads="FILE",
            what="detectron2's dump (.pkl), or DensePose's results (.json): dense points.",
            read=_reader("densepose_results:read_densepose_results"),
            pictures="found",
            sampled=True,
            points_alone=True,
            holds="detectron2's dumps and results (`.pkl`, `.pth`, JSON); DensePose's challenge "
            "results",
            gives="dense points, scores and confidences as weights",
            functions=("read_densepose_results",),
        ),
        Format(
            name="cse",
            reads="FILE|FOLDER",
            what="DensePose CSE's closest vertices: dense points.",
            read=_reader("cse:read_cse"),
            files=_files("cse:map_files"),
            pictures="found",
            sampled=True,
            points_alone=True,
            holds="arrays (H, W) of vertices, `.npy` and `.npz`; results with cse_indices (`.pkl`, "
            "`.pth`, JSON)",
            gives="dense points, scores as weights",
            functions=("read_cse",),
        ),
        Format(
            name="point-list",
            reads="FILE",
            what="A table of points, .csv, .json or .npz: x, y, I, U, V, or x, y, vertex.",
            read=_reader("point_lists:read_points"),
            points_alone=True,
            holds="tables of x, y, I, U, V or x, y, vertex: `.csv`, JSON, `.npz`",
            gives="dense points, weights",
            functions=("read_points",),
        ),
        Format(
            name="mpii",
            reads="FILE",
            what="MPII's .mat, a .json of HRNet or Hourglass, or a .npy: keypoints.",
            read=_reader("mpii:read_mpii"),
            holds="JSON of HRNet or of Hourglass networks, the original `.mat`, `.npy` of (N, 34)",
            gives="keypoints",
            functions=("read_mpii",),
        ),
        Format(
            name="lsp",
            reads="FILE",
            what="joints.mat of LSP, or of its extension: keypoints.",
            read=_reader("lsp:read_lsp"),
            holds="joints.mat of LSP, or of its extension",
            gives="keypoints",
            functions=("read_lsp",),
        ),
        Format(
            name="human36m",
            reads="FILE",
            what="VideoPose3D's 2-D poses, or SPIN's .npz: keypoints.",
            read=_human36m,
            switches={
                "h36m_joints": "the 17 joints of a file like SPIN's are Human3.6M's",
                "coco_joints": "the 17 joints of a file like SPIN's are COCO's",
            },
            holds="VideoPose3D's data_2d_*.npz (with data_3d_h36m.npz and a JSON of cameras), "
            "SPIN's and HMR's .npz",
            gives="keypoints; 3-D joints",
            functions=("read_videopose3d", "read_spin"),
        ),
        Format(
            name="keypoints",
            reads="FILE|FOLDER",
            what="Keypoints of COCO, MMPose, AlphaPose, BlazePose (.json) or SAM 3D Body (.npz), "
            "or a folder of them.",
            read=_reader("keypoint_files:read_keypoints"),
            files=_files("keypoint_files:keypoint_files"),
            pictures="found",
            holds="COCO's annotations or results; MMPose's, AlphaPose's, BlazePose's JSON; SAM 3D "
            "Body's .npz",
            gives="keypoints, confidences as weights; depths of the last two",
            functions=("read_keypoints",),
        ),
        Format(
            name="openpose",
            reads="FOLDER",
            what="A folder of OpenPose's JSON files: keypoints.",
            read=_reader("openpose:read_openpose"),
            files=_files("openpose:openpose_files"),
            pictures="found",
            holds="NAME_keypoints.json or other .json of BODY_25 or COCO's 18 joints",
            gives="keypoints, confidences as weights",
            functions=("read_openpose",),
        ),
        Format(
            name="deepfashion",
            reads="FOLDER",
            what="The folder of DeepFashion or Market-1501: keypoints.",
            read=_deepfashion,
            files=_deepfashion_files,
            holds="Label/pose_label.pkl and pair_split.json",
            gives="keypoints; pairs",
            functions=("read_deepfashion", "read_market1501"),
            nested=True,
        ),
        Format(
            name="boxes",
            reads="FILE",
            what="Boxes of people: COCO's annotations, or a detector's results (.json).",
            read=_reader("boxes:read_boxes"),
            pictures="found",
            holds="COCO's JSON, annotations or results",
            gives="frames",
            functions=("read_boxes",),
            evidence=False,
        ),
        Format(
            name=PICTURES,
            reads="FOLDER",
            what="Pictures that one person fills.",
            read=_pictures,
            files=_picture_files,
            pictures="found",
            holds="pictures",
            gives="frames",
            functions=("read_pictures",),
            evidence=False,
        ),
    )
}
