"""Human3.6M in its usual forms: VideoPose3D's two files and cameras, and SPIN's plain arrays.

There are ten frames a second. The real videos have fifty, and evaluations and SPIN's files take
every fifth; of made people they take all frames.

VideoPose3D's files are pickled dictionaries, which cannot be written piece by piece. Joining them
needs memory for the joints of all frames (550 bytes a picture), unlike all other files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from bodyreg.body import JOINT_NAMES
from bodyreg.data.frames import PIXELS_PER_SCALE
from bodyreg.data.skeletons import BODY_25, H36M_17, H36M_17_OF_SPIN, H36M_32, SPIN_24
from bodyreg.npz import Objects, Rows, save_npz
from bodyreg.synthetic.formats.format import Destination, Recipe, Shot
from bodyreg.synthetic.observe import Sight, joints_of, mark
from bodyreg.synthetic.pieces import Piece, Pieces
from bodyreg.synthetic.scenes.studio import studio_cameras, to_human36m
from bodyreg.synthetic.scenes.takes import SUBJECTS, TAKES, TRAINING, Takes

# Protocol 2 evaluates on this camera alone.
FRONTAL = "60457274"
# The files' camera axes have y down and z away from the viewer.
DOWN_AND_AWAY = np.array([1, -1, -1], np.float32)
# Assumed confidence of OpenPose for a joint that is outside, hidden, visible.
CONFIDENCE = np.array([0, 0.5, 0.9])

SPIN_ARRAYS = ("imgname", "center", "scale", "part", "S", "openpose", "gender")
# Made people are not SMPL bodies, so these parameters are zero.
SMPL_ARRAYS = {"pose": (3 * len(JOINT_NAMES),), "shape": (10,), "has_smpl": ()}


class Human36M:
    """data_3d_h36m.npz, data_2d_h36m_gt.npz, cameras.json, h36m_*.npz, and pictures in images/."""

    name = "human36m"

    def scenes(self, recipe: Recipe) -> Takes:
        """Pictures of a studio's takes."""
        return Takes(recipe.people, recipe.seed, recipe.motions)

    def picture(self, shot: Shot) -> str:
        """Path of the picture: images/, the subject, and SPIN's file name (frames from 1)."""
        take, camera, frame = shot.scenes.place(shot.scene.number)
        subject, action = TAKES[take]
        name = f"{subject}_{action}.{studio_cameras()[camera].name}_{frame + 1:06}.jpg"
        return f"images/{subject}/{name.replace(' ', '_')}"

    def files(self, shot: Shot) -> dict[str, bytes]:
        """No further files."""
        return {}

    def describe(self, shot: Shot) -> Piece:
        """Joints in this picture; for the first camera also joints in the world."""
        figure = shot.scene.figures[0]
        camera = studio_cameras()[shot.scenes.place(shot.scene.number)[1]]
        piece: Piece = {"xy": figure.project(joints_of(figure, H36M_17))[None, :, :2]}
        if camera is studio_cameras()[0]:
            world = camera.to_world(figure, joints_of(figure, H36M_32).astype(np.float64))
            piece["world"] = to_human36m(world)[None] / 1000
        piece = {name: rows.astype(np.float32) for name, rows in piece.items()}
        for sight in shot.sights:
            piece |= {name: np.array([value]) for name, value in self._spin(shot, sight).items()}
        return {f"human36m.{name}": rows for name, rows in piece.items()}

    def _spin(self, shot: Shot, sight: Sight) -> dict[str, Any]:
        figure = sight.figure
        joints = joints_of(figure, H36M_17)
        part, space = np.zeros((len(SPIN_24), 3)), np.zeros((len(SPIN_24), 4))
        places = list(H36M_17_OF_SPIN)
        part[places] = np.column_stack([figure.project(joints)[:, :2], np.ones(len(joints))])
        centred = (joints - joints[0]) * DOWN_AND_AWAY
        space[places] = np.column_stack([centred, np.ones(len(joints))])
        random = shot.random("joints of OpenPose")
        found, _ = mark(shot.layout, sight, BODY_25, shot.recipe.noise, random)
        found[:, 2] = CONFIDENCE[found[:, 2].astype(int)]
        found[found[:, 2] == 0] = 0
        traits = dict(zip(shot.body.shape_names, figure.person.shape, strict=True))
        return {
            "imgname": self.picture(shot),
            "center": sight.frame[:2],
            "scale": 2 * sight.frame[2] / PIXELS_PER_SCALE,
            "part": part,
            "S": space,
            "openpose": found,
            "gender": "m" if traits.get("sex", -1) > 0 else "f",
        }

    def join(self, destination: Destination, pieces: Pieces) -> int:
        """Write all files, and the truth with the places in VideoPose3D's order as ids."""
        self._join_video_pose(destination, pieces)
        subjects = np.concatenate(list(pieces.arrays("subject")))
        camera = np.concatenate(list(pieces.arrays("camera")))
        training = np.isin(subjects, TRAINING)
        for name, kept in {
            "h36m_train": training,
            "h36m_valid_protocol1": ~training,
            "h36m_valid_protocol2": ~training & (camera == FRONTAL),
        }.items():
            people = int(kept.sum())
            arrays = {array: _kept(pieces, f"human36m.{array}", kept) for array in SPIN_ARRAYS}
            zeros = {n: np.zeros((people, *shape)) for n, shape in SMPL_ARRAYS.items()}
            save_npz(
                destination.folder / f"{name}.npz", within=destination.within, **arrays, **zeros
            )
        with destination.open("cameras.json") as stream:
            cameras = {subject: [_camera(c) for c in studio_cameras()] for subject in SUBJECTS}
            stream.write(json.dumps(cameras, indent=1).encode())
        return destination.save_truth(pieces)

    def _join_video_pose(self, destination: Destination, pieces: Pieces) -> None:
        takes = self.scenes(destination.recipe)
        world = np.concatenate(list(pieces.arrays("human36m.world")))
        xy = np.concatenate(list(pieces.arrays("human36m.xy")))
        space: dict[str, dict[str, np.ndarray]] = {}
        plane: dict[str, dict[str, list[np.ndarray]]] = {}
        cameras, end = len(studio_cameras()), 0
        for (subject, action), frames in zip(TAKES, takes.frames.tolist(), strict=True):
            if frames:
                start, end = end, end + frames
                space.setdefault(subject, {})[action] = world[start:end].copy()
                views = xy[cameras * start : cameras * end].reshape(cameras, frames, -1, 2)
                plane.setdefault(subject, {})[action] = [view.copy() for view in views]
        left = [i for i, name in enumerate(H36M_17.joints) if name.startswith("left_")]
        metadata = {
            "layout_name": "h36m",
            "num_joints": len(H36M_17),
            "keypoints_symmetry": [left, [H36M_17.flip[joint] for joint in left]],
        }
        path = destination.folder / "data_3d_h36m.npz"
        save_npz(path, within=destination.within, positions_3d=Objects(space))
        path = destination.folder / "data_2d_h36m_gt.npz"
        save_npz(
            path, within=destination.within, positions_2d=Objects(plane), metadata=Objects(metadata)
        )


def _kept(pieces: Pieces, name: str, kept: np.ndarray) -> Rows:
    """Selected rows of one array of all pictures; `kept` (N,) bool."""
    whole = pieces.rows(name)

    def blocks() -> Iterator[np.ndarray]:
        start = 0
        for block in whole.blocks:
            yield block[kept[start : start + len(block)]]
            start += len(block)

    return Rows((int(kept.sum()), *whole.shape[1:]), whole.dtype, blocks())


def _camera(camera: Any) -> dict[str, Any]:
    """A camera in VideoPose3D's terms: pixels and millimetres."""
    return {
        "id": camera.name,
        "center": camera.centre.tolist(),
        "focal_length": camera.focal.tolist(),
        "radial_distortion": [0.0, 0.0, 0.0],
        "tangential_distortion": [0.0, 0.0],
        "res_w": camera.width,
        "res_h": camera.height,
        "orientation": camera.orientation.tolist(),
        "translation": camera.translation.tolist(),
    }
