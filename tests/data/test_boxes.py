"""Boxes of people, and pictures that one person fills."""

from __future__ import annotations

import json
from collections import Counter

import cv2
import numpy as np
import pytest

from bodyreg import Body, UserError
from bodyreg.data import read_boxes, read_densepose_coco, read_pictures

BOX = [10.0, 20.0, 30.0, 40.0]
FRAME = [25, 40, 24]  # half of 1.2 times 40


def coco(**changes) -> dict:
    """A file with one box; `changes` of its annotation."""
    return {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 640, "height": 480}],
        "annotations": [{"id": 3, "image_id": 7, "category_id": 1, "bbox": BOX, **changes}],
        "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    }


@pytest.fixture
def read(tmp_path):
    """Reads a file with some content."""

    def call(content, images=None):
        path = tmp_path / "boxes.json"
        path.write_text(json.dumps(content))
        return read_boxes(path, images)

    return call


def test_annotations(read):
    people, skipped = read(coco())
    assert not skipped
    assert people.id.tolist() == [3] and people.picture.tolist() == ["a.jpg"]
    assert people.frame.tolist() == [FRAME] and people.picture_size.tolist() == [[640, 480]]
    assert people.keypoint_xy.shape == (1, 0, 2) and not people.has_evidence.any()


def test_the_camera_of_a_picture(read):
    content = coco()
    content["images"][0]["camera"] = {"focal_length": 900, "principal_point": [300, 250]}
    people, _ = read(content)
    assert people.focal.tolist() == [900] and people.principal_point.tolist() == [[300, 250]]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"iscrowd": 1}, "a crowd (iscrowd)"), ({"category_id": 18}, "another category than person")],
)
def test_what_is_no_person(read, changes, reason):
    people, skipped = read(coco(**changes))
    assert len(people) == 0 and skipped == Counter({reason: 1})


def test_categories(read):
    """Of other names and numbers, and of none."""
    content = coco(category_id=5)
    assert len(read(content)[0]) == 0
    content["categories"] = [{"id": 5, "name": "Person"}]
    assert len(read(content)[0]) == 1
    content["categories"] = [{"id": 5, "keypoints": ["nose"]}]
    assert len(read(content)[0]) == 1
    del content["categories"]
    assert len(read(content)[0]) == 0
    del content["annotations"][0]["category_id"]
    assert len(read(content)[0]) == 1


def test_the_frames_are_those_of_densepose_coco(demo):
    path = demo / "densepose-coco" / "densepose.json"
    boxes, _ = read_boxes(path)
    people, _ = read_densepose_coco(path, Body.default())
    for name in ("id", "frame", "picture", "focal", "picture_size"):
        assert np.array_equal(getattr(boxes, name), getattr(people, name)), name


def test_results_of_a_detector(read, tmp_path):
    for name in ("COCO_val2014_000000000139.jpg", "7.png", "none.jpg"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    results = [
        {"image_id": 139, "category_id": 1, "bbox": BOX, "score": 0.9},
        {"image_id": 139, "category_id": 1, "bbox": BOX, "score": 0.4},
        {"image_id": 139, "category_id": 18, "bbox": BOX, "score": 0.9},
        {"image_id": 7, "bbox": [0, 0, 10, 20]},
    ]
    people, skipped = read(results, tmp_path)
    assert people.id.tolist() == [0, 3]
    assert people.picture.tolist() == ["COCO_val2014_000000000139.jpg", "7.png"]
    assert people.frame.tolist() == [FRAME, [5, 10, 12]]
    assert skipped == {"a score below 0.5": 1, "another category than person": 1}
    with pytest.raises(UserError, match=r"\[0\]: no picture in .* ends with its image_id, 139"):
        read(results, tmp_path / "..")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (coco(bbox=[1, 2, 0, 4]), "annotation 3: bbox has no area"),
        (coco(bbox=[1, 2, 3]), "annotation 3: bbox has 3 numbers"),
        (coco(bbox="large"), "annotation 3: bbox is missing or not a list"),
        (coco(bbox=[0, 0, 1e30, 1e30]), "frame"),
        (coco(category_id=[1]), "annotation 3: category_id is missing or not an integer"),
        (coco() | {"categories": {"id": 1}}, "'categories' is not a list of objects"),
        ([1], r"\[0\] is not an object"),
        ([{"image_id": "a", "bbox": BOX}], r"\[0\]: image_id is missing or not an integer"),
        ([{"image_id": 7, "bbox": BOX, "score": "high"}], r"\[0\]: score"),
        ({}, "expected a COCO file"),
    ],
)
def test_damaged_boxes(read, content, message):
    with pytest.raises(UserError, match=f"boxes.json: ?.*{message}") as error:
        read(content)
    assert "\n" not in str(error.value)


def test_whole_pictures(tmp_path):
    for name, shape in (("b.png", (40, 60)), ("a.jpg", (30, 20)), ("c.webp", (10, 16))):
        cv2.imwrite(str(tmp_path / name), np.zeros((*shape, 3), np.uint8))
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8nothing")
    (tmp_path / "notes.txt").write_text("no picture")
    people, skipped = read_pictures(tmp_path)
    assert people.id.tolist() == [0, 1, 3] and skipped == {"unreadable picture bad.jpg": 1}
    assert people.picture.tolist() == ["a.jpg", "b.png", "c.webp"]
    assert people.frame.tolist() == [[10, 15, 15], [30, 20, 30], [8, 5, 8]]
    assert people.picture_size.tolist() == [[20, 30], [60, 40], [16, 10]]
    some, _ = read_pictures(tmp_path, ["c.webp", "a.jpg"])
    assert some.picture.tolist() == ["c.webp", "a.jpg"] and some.id.tolist() == [0, 1]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: no pictures in this folder"):
        read_pictures(tmp_path / "empty")
