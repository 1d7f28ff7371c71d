"""Where the centre of a pixel is in every format, by its definition and not by our writers.

A reader must bring the centre of the pixel in column 40 and row 50 to (40.5, 50.5), in a picture of
[0, W] x [0, H]. docs/formats.md has the sources.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from bodyreg.body import Body
from bodyreg.data import (
    read_cse,
    read_deepfashion,
    read_densepose_coco,
    read_densepose_results,
    read_iuv,
    read_keypoints,
    read_lsp,
    read_mpii,
    read_openpose,
    read_points,
    read_spin,
    read_videopose3d,
)
from bodyreg.data.flip_coco import flip_annotation
from bodyreg.synthetic.formats import densepose_coco as coco_writer
from bodyreg.synthetic.observe import HIDDEN, VISIBLE, Annotation

from .conftest import square_body
from .test_densepose_coco import annotation, coco_file
from .test_mpii import mat_file, point
from .test_units import people_of

COLUMN, ROW = 40, 50
CENTRE = [COLUMN + 0.5, ROW + 0.5]


def rows(joints: int, place: list[float], *more: float) -> list[list[float]]:
    """One joint at a place, others anywhere."""
    others = people_of(joints, 60, 90)[0].tolist()
    return [[*place, *more], *([*other, *more] for other in others[1:])]


def coco(folder: Path) -> np.ndarray:
    """Indices of pixels, from 0: integers in [0, W - 1]."""
    flat = np.ravel(rows(17, [COLUMN, ROW], 2)).tolist()
    path = coco_file(folder / "a.json", annotation() | {"keypoints": flat})
    return read_densepose_coco(path, square_body())[0].keypoint_xy[0, 0]


def coco_dense(folder: Path) -> np.ndarray:
    """Shares of a continuous box [x, x + width] in 256 units."""
    box = [30.0, 40.0, 21.0, 21.0]  # whose middle is the centre of the pixel
    person = annotation() | {"bbox": box, "dp_x": [128.0] * 30, "dp_y": [128.0] * 30}
    return read_densepose_coco(coco_file(folder / "a.json", person), square_body())[0].point_xy[0]


def mpii_json(folder: Path) -> np.ndarray:
    """MATLAB's, where the first pixel's centre is 1."""
    person = {"joints": rows(16, [COLUMN + 1, ROW + 1]), "joints_vis": [1] * 16}
    (folder / "a.json").write_text(json.dumps([person]))
    return read_mpii(folder / "a.json")[0].keypoint_xy[0, 0]


def mpii_mat(folder: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Likewise."""
    from . import test_mpii

    at = {0: (COLUMN + 1, ROW + 1)}
    monkeypatch.setattr(
        test_mpii, "point", lambda joint, x, y, seen: point(joint, *at.get(joint, (x, y)), seen)
    )
    people = read_mpii(mat_file(folder / "a.mat"))[0]
    return people.keypoint_xy[0, people.keypoint_name.index("mpii/right_ankle")]


def lsp(folder: Path) -> np.ndarray:
    """MATLAB's, likewise."""
    joints = np.array([rows(14, [COLUMN + 1, ROW + 1], 0)])
    savemat(folder / "joints.mat", {"joints": joints.transpose(2, 1, 0)})
    return read_lsp(folder / "joints.mat")[0].keypoint_xy[0, 0]


def mpii_array(folder: Path) -> np.ndarray:
    """Picture pixels, as they are."""
    np.save(folder / "a.npy", np.ravel(rows(17, CENTRE))[None])
    return read_mpii(folder / "a.npy")[0].keypoint_xy[0, 0]


def openpose(folder: Path) -> np.ndarray:
    """Continuous: it adds half a pixel to the index of a peak itself."""
    person = {"pose_keypoints_2d": np.ravel(rows(25, CENTRE, 0.9)).tolist()}
    (folder / "a_keypoints.json").write_text(json.dumps({"people": [person]}))
    return read_openpose(folder)[0].keypoint_xy[0, 0]


def results(folder: Path) -> np.ndarray:
    """COCO's results, AlphaPose: indices of pixels, as COCO's annotations, that they learn."""
    item = {"image_id": "a.jpg", "keypoints": np.ravel(rows(17, [COLUMN, ROW], 0.9)).tolist()}
    (folder / "a.json").write_text(json.dumps([item]))
    return read_keypoints(folder / "a.json")[0].keypoint_xy[0, 0]


def mmpose(folder: Path) -> np.ndarray:
    """Likewise."""
    item = {"keypoints": rows(17, [COLUMN, ROW]), "keypoint_scores": [0.9] * 17}
    (folder / "a.json").write_text(json.dumps([item]))
    return read_keypoints(folder / "a.json")[0].keypoint_xy[0, 0]


def blazepose(folder: Path) -> np.ndarray:
    """Shares of the continuous picture."""
    shares = np.array(rows(33, CENTRE)) / [640, 480]
    landmarks = [{"x": x, "y": y, "z": 0} for x, y in shares.tolist()]
    content = {"landmarks": landmarks, "width": 640, "height": 480}
    (folder / "a.json").write_text(json.dumps(content))
    return read_keypoints(folder / "a.json")[0].keypoint_xy[0, 0]


def iuv(folder: Path) -> np.ndarray:
    """A pixel shows what is at its centre: here the pixels round the one that is looked for."""
    array = np.zeros((99, 99, 3), np.uint8)
    array[ROW - 9 : ROW + 10, COLUMN - 9 : COLUMN + 10] = 2, 90, 90
    np.savez(folder / "a.npz", iuv=array, charts="makehuman-24")
    return read_iuv(folder / "a.npz", Body.default(), points=10**4)[0].point_xy.mean(0)


def cse(folder: Path) -> np.ndarray:
    """Likewise."""
    array = np.full((99, 99), -1)
    array[ROW - 9 : ROW + 10, COLUMN - 9 : COLUMN + 10] = 3500
    np.save(folder / "a.npy", array)
    return read_cse(folder, Body.default(), points=10**4)[0].point_xy.mean(0)


def densepose_results(folder: Path) -> np.ndarray:
    """Equal shares of a continuous box, which need not be pixels."""
    box = [30.2, 40.3, 20.6, 20.4]  # whose middle is the centre of the pixel
    item = {"image_id": 1, "bbox": box, "uv": np.full((3, 20, 20), 5).tolist()}
    (folder / "a.json").write_text(json.dumps([item | {"charts": "makehuman-24"}]))
    people, _ = read_densepose_results(folder / "a.json", Body.default(), points=10**4)
    return people.point_xy.mean(0)


def point_list(folder: Path) -> np.ndarray:
    """Picture pixels, as they are."""
    places = {"x": [CENTRE[0], 90], "y": [CENTRE[1], 90], "vertex": [1, 2]}
    (folder / "a.json").write_text(json.dumps(places))
    return read_points(folder / "a.json", Body.default())[0].point_xy[0]


def videopose3d(folder: Path) -> np.ndarray:
    """What a camera with its principal point in continuous pixels projects, or Detectron finds."""
    np.savez(folder / "a.npz", positions_2d={"S1": {"Eating": [np.array([rows(17, CENTRE)])]}})
    return read_videopose3d(folder / "a.npz")[0].observations.keypoint_xy[0, 0]


def spin(folder: Path) -> np.ndarray:
    """Pixels, as they are."""
    np.savez(
        folder / "a.npz", imgname=np.array(["a.jpg"]), center=np.full((1, 2), 70.0),
        scale=np.ones(1), part=np.array([rows(24, CENTRE, 1)]),
    )  # fmt: skip
    return read_spin(folder / "a.npz")[0].observations.keypoint_xy[0, 0]


def deepfashion(folder: Path) -> np.ndarray:
    """Indices of pixels, from 0."""
    (folder / "Label").mkdir()
    labels = {"a": rows(18, [COLUMN, ROW])}
    (folder / "Label/pose_label.pkl").write_bytes(pickle.dumps(labels, 2))
    (folder / "Label/pair_split.json").write_text("{}")
    return read_deepfashion(folder).observations()[0].keypoint_xy[0, 0]


READERS = (
    coco, coco_dense, mpii_json, mpii_array, openpose, results, mmpose, blazepose, videopose3d,
    spin, deepfashion, lsp, iuv, cse, densepose_results, point_list,
)  # fmt: skip


@pytest.mark.parametrize("read", READERS)
def test_the_centre_of_a_pixel(tmp_path, read):
    np.testing.assert_allclose(read(tmp_path), CENTRE, rtol=1e-6)


def test_the_centre_of_a_pixel_in_a_mat_file(tmp_path, monkeypatch):
    np.testing.assert_allclose(mpii_mat(tmp_path, monkeypatch), CENTRE, rtol=1e-6)


def test_absent_keypoints_of_coco_are_not_moved(tmp_path):
    flat = np.ravel(rows(17, [0, 0], 2)).tolist()
    flat[2] = 0
    path = coco_file(tmp_path / "a.json", annotation() | {"keypoints": flat})
    people = read_densepose_coco(path, square_body())[0]
    assert people.keypoint_xy[0, 0].tolist() == [0, 0] and people.keypoint_weight[0, 0] == 0


def test_the_writer_of_coco_writes_indices():
    """A joint at the centre of a pixel is written as its column and row; boxes as they are."""
    keypoints = np.zeros((17, 3))
    keypoints[0], keypoints[1] = [*CENTRE, VISIBLE], [0.5, 99.5, HIDDEN]
    person = Annotation(
        id=1, box=np.array([30.0, 40.0, 21.0, 21.0]), segmentation={}, area=9, part_masks=[],
        point_xy=np.array([CENTRE]), point_part=np.array([2]), point_uv=np.full((1, 2), 0.5),
        point_vertex=np.zeros((1, 3), int), point_barycentric=np.array([[1.0, 0, 0]]),
        keypoints=keypoints, depths=np.zeros(17),
    )  # fmt: skip
    entry = coco_writer.annotation(person, 1)
    assert entry["keypoints"][:6] == [COLUMN, ROW, VISIBLE, 0, 99, HIDDEN]
    assert entry["keypoints"][6:] == [0] * 45
    assert entry["bbox"] == [30.0, 40.0, 21.0, 21.0]
    assert (entry["dp_x"], entry["dp_y"]) == ([128.0], [128.0])


def test_a_mirror_exchanges_the_first_and_the_last_pixel():
    """In a picture of 100 pixels, column 0 becomes column 99; boxes are continuous."""
    person = {"id": 1, "bbox": [0.0, 5.0, 10.0, 20.0], "keypoints": [0, 7, 2, *[0, 0, 0] * 16]}
    flipped = flip_annotation(person, square_body(), 100, 50)
    assert flipped["keypoints"][:3] == [99, 7, 2]
    assert flipped["bbox"] == [90.0, 5.0, 10.0, 20.0]
