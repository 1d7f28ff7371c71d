"""Keypoints as detectors write them: the same people in the files of five of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from bodyreg.data.coco import FROM_INDEX, PERSON
from bodyreg.data.skeletons import BLAZEPOSE_33, BODY_25, COCO_17, HALPE_26, Skeleton
from bodyreg.pictures import without_suffix
from bodyreg.synthetic.formats.densepose_coco import DensePoseCoco, compact, file_name
from bodyreg.synthetic.formats.format import Destination, Shot
from bodyreg.synthetic.observe import mark
from bodyreg.synthetic.pieces import Piece, Pieces

CONFIDENCES = np.array([0, 0.5, 0.9])
"""Of keypoints that are absent, hidden and visible."""

UNSEEN = 0.05
"""The visibility of BlazePose's absent landmarks, which it places all the same."""

SCORE = 0.9


class Keypoints(DensePoseCoco):
    """results.json (COCO), alphapose-results.json (Halpe-26), mmpose/, openpose/, blazepose/.

    Pictures are in images/, those of DensePose-COCO.
    """

    name = "keypoints"

    def files(self, shot: Shot) -> dict[str, bytes]:
        """The files that detectors write about one picture."""
        stem = without_suffix(file_name(shot.scene.number + 1))
        openpose = [{"pose_keypoints_2d": _flat(rows)} for rows in _found(shot, BODY_25)]
        contents = {
            f"mmpose/{stem}.json": [_of_mmpose(rows) for rows in _found(shot, COCO_17)],
            f"openpose/{stem}_keypoints.json": {"version": 1.3, "people": openpose},
            f"blazepose/{stem}.json": _of_blazepose(shot),
        }
        return {path: compact(content).encode() for path, content in contents.items()}

    def describe(self, shot: Shot) -> Piece:
        """The entries of a picture's people in lists of results."""
        number = shot.scene.number + 1
        lists = {"coco": (COCO_17, number), "alphapose": (HALPE_26, file_name(number))}
        return {
            f"keypoints.{name}": [
                compact(
                    {
                        "image_id": picture,
                        "category_id": PERSON,
                        "keypoints": _flat(_indices(rows)),
                        "score": SCORE,
                    }
                ).encode()
                for rows in _found(shot, skeleton)
            ]
            for name, (skeleton, picture) in lists.items()
        }

    def join(self, destination: Destination, pieces: Pieces) -> int:
        """Write the lists of results, and the truth with the places in them, from 0, as ids."""
        names = {"results.json": "coco", "alphapose-results.json": "alphapose"}
        for file, name in names.items():
            with destination.open(file) as stream:
                pieces.write_list(stream, f"keypoints.{name}")
        people = pieces.rows("id").shape[0]
        return destination.save_truth(pieces, np.arange(people))


def _found(shot: Shot, skeleton: Skeleton) -> list[np.ndarray]:
    """(J, 3) x, y, confidence of each person, picture pixels; 0 where absent."""
    random, found = shot.random(f"keypoints: {skeleton.name}"), []
    for sight in shot.sights:
        marks, _ = mark(shot.layout, sight, skeleton, shot.recipe.noise, random)
        confidence = CONFIDENCES[marks[:, 2].astype(int)]
        found.append(np.column_stack([marks[:, :2], confidence]) * (confidence > 0)[:, None])
    return found


def _indices(rows: np.ndarray) -> np.ndarray:
    """Picture pixels -> indices of pixels, as COCO counts."""
    return rows - np.where(rows[:, 2:] > 0, [FROM_INDEX, FROM_INDEX, 0], 0)


def _flat(rows: np.ndarray) -> list[float]:
    return np.round(rows, 3).reshape(-1).tolist()


def _of_mmpose(rows: np.ndarray) -> dict[str, Any]:
    rows = np.round(_indices(rows), 3)
    return {
        "keypoints": rows[:, :2].tolist(),
        "keypoint_scores": rows[:, 2].tolist(),
        "bbox_score": SCORE,
    }


def _of_blazepose(shot: Shot) -> dict[str, Any]:
    """Landmarks of a picture's people: shares of the picture, and metres."""
    random, noise = shot.random("BlazePose"), shot.recipe.noise
    height, width = shot.layout.owner.shape
    hips = [BLAZEPOSE_33.joints.index(f"{side}_hip") for side in ("left", "right")]
    shares, metres = [], []
    for sight in shot.sights:
        marks, joints = mark(shot.layout, sight, BLAZEPOSE_33, noise, random)
        places = (joints - joints[hips].mean(0)) * [1, -1, -1]
        places[:, 2] += random.normal(0, noise.depth / sight.scale, len(places))
        pixels = sight.scale * sight.frame[2]
        shown = np.column_stack([marks[:, :2] / [width, height], places[:, 2] * pixels / width])
        seen = np.maximum(CONFIDENCES[marks[:, 2].astype(int)], UNSEEN)
        shares.append(_landmarks(shown, seen))
        metres.append(_landmarks(places, seen))
    return {"landmarks": shares, "worldLandmarks": metres, "width": width, "height": height}


def _landmarks(places: np.ndarray, seen: np.ndarray) -> list[dict[str, float]]:
    rows = np.column_stack([np.round(places, 6), seen]).tolist()
    return [{"x": x, "y": y, "z": z, "visibility": v} for x, y, z, v in rows]
