"""COCO's annotations in a mirror: boxes, keypoints, dense points, masks of every kind."""

import json

import numpy as np
import pytest

from bodyreg.body import Body
from bodyreg.data.densepose_coco import (
    MIRROR_COARSE_PART,
    decode_part_masks,
    read_densepose_coco,
)
from bodyreg.data.flip import flip_observations
from bodyreg.data.flip_coco import flip_annotation
from bodyreg.data.masks import decode_segmentation
from bodyreg.errors import UserError

from .test_densepose_coco import annotation, coco_file, random_masks

WIDTH, HEIGHT = 640, 480


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.default()


def person(body: Body, seed=0) -> dict:
    """A person with all annotations: chart points, masks, polygons, depths, absent joints."""
    random = np.random.default_rng(seed)
    charts = body.charts
    face = random.integers(0, len(charts.faces), 30)
    uv = np.einsum("pk,pkc->pc", random.dirichlet([3, 3, 3], 30), charts.uv[charts.faces[face]])
    item = annotation(7, seed=seed)
    item["keypoints"][3 * 9 : 3 * 10] = [0.0, 0.0, 0.0]
    return item | {
        "dp_I": charts.part[face].astype(float).tolist(), "dp_U": uv[:, 0].tolist(),
        "dp_V": uv[:, 1].tolist(), "dp_masks": random_masks()[0],
        "segmentation": [[50.0, 40, 178, 40, 178, 300], [60.0, 310, 70, 310, 70, 320, 60, 320]],
        "keypoint_depths": [None, *random.normal(size=16).tolist()], "area": 123.0,
    }  # fmt: skip


def read(path, body, item):
    people, _ = read_densepose_coco(coco_file(path, item, charts=body.charts.name), body)
    return people


def assert_close(left, right) -> None:
    """Equal objects of JSON, but for rounding."""
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            assert_close(left[key], right[key])
    elif isinstance(left, list):
        assert len(left) == len(right)
        for ours, theirs in zip(left, right, strict=True):
            assert_close(ours, theirs)
    elif isinstance(left, float):
        assert left == pytest.approx(right, abs=1e-5)
    else:
        assert left == right


def test_twice_is_the_same_annotation(body):
    item = person(body)
    before = json.dumps(item)
    flipped = flip_annotation(item, body, WIDTH, HEIGHT)
    assert json.dumps(item) == before  # the first one is left alone
    json.dumps(flipped)
    assert_close(flip_annotation(flipped, body, WIDTH, HEIGHT), item)


def test_the_flipped_file_has_the_flipped_people(body, tmp_path):
    item = person(body)
    flipped = flip_annotation(item, body, WIDTH, HEIGHT)
    assert flipped["bbox"] == [640 - 50 - 128, 40, 128, 320]
    found = read(tmp_path / "flipped.json", body, flipped)
    expected = flip_observations(read(tmp_path / "people.json", body, item), body, WIDTH)
    np.testing.assert_allclose(found.point_xy, expected.point_xy, atol=1e-3)
    np.testing.assert_allclose(found.frame, expected.frame, rtol=1e-6)
    np.testing.assert_allclose(found.keypoint_xy, expected.keypoint_xy, atol=1e-3)
    np.testing.assert_array_equal(found.keypoint_weight, expected.keypoint_weight)
    np.testing.assert_array_equal(found.keypoint_depth, expected.keypoint_depth)

    def places(people):
        corners = body.vertices[people.point_vertex]
        return np.einsum("pk,pkc->pc", people.point_barycentric, corners)

    np.testing.assert_allclose(places(found), places(expected), atol=1e-5)


def test_masks(body):
    item = person(body)
    flipped = flip_annotation(item, body, WIDTH, HEIGHT)
    parts = decode_part_masks(item)
    expected = MIRROR_COARSE_PART[parts[:, ::-1]]
    np.testing.assert_array_equal(decode_part_masks(flipped), expected)
    assert flipped["dp_masks"][6] == []  # the absent part is the other side's now
    before = decode_segmentation(item["segmentation"], HEIGHT, WIDTH, "person")
    after = decode_segmentation(flipped["segmentation"], HEIGHT, WIDTH, "person")
    # Polygons' pixels are rounded to one side, so those of the border may differ.
    assert (after != before[:, ::-1]).sum() < 0.02 * before.sum()


def test_run_lengths_and_the_whole_persons_mask(body):
    from bodyreg.data.masks import encode_run_lengths

    mask = np.random.default_rng(0).uniform(size=(HEIGHT, WIDTH)) < 0.3
    whole = np.random.default_rng(1).uniform(size=(256, 256)) < 0.3
    item = {"id": 1, "segmentation": encode_run_lengths(mask), "iscrowd": 1}
    flipped = flip_annotation(item, body, WIDTH, HEIGHT)
    shown = decode_segmentation(flipped["segmentation"], HEIGHT, WIDTH, "person")
    np.testing.assert_array_equal(shown, mask[:, ::-1])
    assert flip_annotation(flipped, body, WIDTH, HEIGHT) == item

    single = person(body) | {"dp_masks": encode_run_lengths(whole)}
    flipped = flip_annotation(single, body, WIDTH, HEIGHT)
    np.testing.assert_array_equal(decode_part_masks(flipped) > 0, whole[:, ::-1])
    assert flip_annotation(flipped, body, WIDTH, HEIGHT)["dp_masks"] == single["dp_masks"]


def test_plain_coco(body):
    plain = {k: v for k, v in annotation().items() if not k.startswith("dp_")} | {"keypoints": []}
    flipped = flip_annotation(plain, body, WIDTH, HEIGHT)
    assert flipped.keys() == plain.keys()
    assert flip_annotation({"id": 3}, body, WIDTH, HEIGHT) == {"id": 3}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dp_vertex": [3]}, "points on another model"),
        ({"bbox": [1, 2]}, "bbox has 2 numbers"),
        ({"keypoints": [1, 2, 3]}, "keypoints has 3 numbers"),
        ({"keypoint_depths": [1]}, "keypoint_depths has 1 numbers"),
        ({"segmentation": [[1, 2, 3]]}, "segmentation is neither"),
        ({"segmentation": {"size": [9, 9], "counts": "a"}}, "segmentation has size"),
        ({"dp_masks": [{"size": [9, 9], "counts": "a"}]}, r"dp_masks\[0\] has size"),
        ({"dp_x": [1.0]}, "dp_y has 30 numbers, expected 1"),
    ],
)
def test_damaged_annotations_are_refused(body, changes, expected):
    with pytest.raises(UserError, match=f"people.json: person 7: {expected}"):
        flip_annotation(person(body) | changes, body, WIDTH, HEIGHT, where="people.json: person 7")
