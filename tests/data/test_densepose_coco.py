"""DensePose-COCO files made by hand, with the quirks of the real ones."""

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask

from bodyreg.body import Body
from bodyreg.data.densepose_coco import (
    COARSE_PART,
    NO_EVIDENCE,
    OTHER_MODEL,
    decode_part_masks,
    load_coco,
    read_densepose_coco,
)
from bodyreg.data.skeletons import COCO_17
from bodyreg.errors import UserError

from .conftest import square_body

POINTS = 30


def annotation(number=7, image=1, seed=0) -> dict:
    random = np.random.default_rng(seed)
    keypoints = np.column_stack([random.uniform(50, 300, (17, 2)), np.full(17, 2)])
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "bbox": [50.0, 40.0, 128.0, 320.0],
        "iscrowd": 0,
        "keypoints": keypoints.reshape(-1).tolist(),
        "dp_x": random.uniform(0, 256, POINTS).tolist(),
        "dp_y": random.uniform(0, 256, POINTS).tolist(),
        "dp_I": random.integers(1, 25, POINTS).astype(float).tolist(),
        "dp_U": random.uniform(0, 1, POINTS).tolist(),
        "dp_V": random.uniform(0, 1, POINTS).tolist(),
        "dp_masks": [],
    }


def coco_file(path, *annotations, **info) -> str:
    images = sorted({a["image_id"] for a in annotations})
    content = {
        "info": info,
        "images": [{"id": i, "width": 640, "height": 480} for i in images],
        "annotations": list(annotations),
        "categories": [{"id": 1, "name": "person"}],
    }
    path.write_text(json.dumps(content))
    return str(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "people.json"


def test_points_become_body_points_and_pixels(path, body):
    person = annotation()
    people, skipped = read_densepose_coco(coco_file(path, person), body)
    assert len(people) == 1
    assert not skipped
    np.testing.assert_allclose(
        people.point_xy[:, 0], 50 + np.array(person["dp_x"]) * 0.5, rtol=1e-6
    )
    np.testing.assert_allclose(
        people.point_xy[:, 1], 40 + np.array(person["dp_y"]) * 1.25, rtol=1e-6
    )
    uv = np.einsum("pk,pkc->pc", people.point_barycentric, body.charts.uv[people.point_vertex])
    np.testing.assert_allclose(uv, np.column_stack([person["dp_U"], person["dp_V"]]), atol=1e-6)
    np.testing.assert_array_equal(people.point_vertex // 4 + 1, np.array([person["dp_I"]] * 3).T)
    np.testing.assert_array_equal(people.frame, [[114, 200, 192]])
    assert people.keypoint_name == COCO_17.keypoints
    assert people.keypoint_depth is None
    assert people.body == "squares"


def test_absent_keypoints_have_no_weight(path, body):
    person = annotation()
    person["keypoints"][3 * 9 : 3 * 10] = [0, 0, 0]
    person["keypoints"][3 * 10 + 2] = 1  # hidden, but labelled
    people, _ = read_densepose_coco(coco_file(path, person), body)
    expected = np.ones(17)
    expected[9] = 0
    np.testing.assert_array_equal(people.keypoint_weight[0], expected)


def test_people_share_images_and_ids_may_be_floats(path, body):
    first, second, third = annotation(3.0, 5.0), annotation(4, 5, seed=1), annotation(9, 6, seed=2)
    people, _ = read_densepose_coco(coco_file(path, first, second, third), body)
    np.testing.assert_array_equal(people.id, [3, 4, 9])
    alone, _ = read_densepose_coco(coco_file(path, second), body)
    np.testing.assert_array_equal(people.select([1]).point_xy, alone.point_xy)


def test_what_is_skipped_is_counted(path, body):
    plain = {k: v for k, v in annotation(1).items() if not k.startswith("dp_")}
    crowd = annotation(2) | {"iscrowd": 1}
    other = plain | {"id": 3, "dp_vertex": [1, 2], "ref_model": "smpl_27554"}
    nothing = annotation(4) | {f"dp_{k}": [] for k in "xyIUV"} | {"keypoints": [0] * 51}
    keypoints_only = annotation(5) | {f"dp_{k}": [] for k in "xyIUV"}
    people, skipped = read_densepose_coco(
        coco_file(path, plain, crowd, other, nothing, keypoints_only, annotation(6)), body
    )
    np.testing.assert_array_equal(people.id, [5, 6])
    assert sorted(skipped.values()) == [1, 1, 1, 1]


def vertices_of_cse(number: int, seed: int = 0) -> dict:
    """An annotation of DensePose CSE's data sets: a vertex for each point, and no chart."""
    person = annotation(number, seed=seed)
    vertex = np.random.default_rng(seed).integers(0, 13000, len(person["dp_x"]))
    person = {k: v for k, v in person.items() if k not in ("dp_I", "dp_U", "dp_V")}
    return person | {"dp_vertex": vertex.tolist(), "ref_model": "smpl_27554"}


def test_vertices_of_cse(path):
    """SMPL's own vertices are read, on the built-in body and without charts; others are left."""
    body, first, second = Body.default(), vertices_of_cse(1), vertices_of_cse(2, 1)
    bear = vertices_of_cse(3, 2) | {"ref_model": "bear_4936"}
    nothing = vertices_of_cse(4, 3) | {"dp_vertex": [20000] * 30, "keypoints": [0] * 51}
    people, skipped = read_densepose_coco(coco_file(path, first, second, bear, nothing), body)
    assert people.id.tolist() == [1, 2] and skipped == {OTHER_MODEL: 1, NO_EVIDENCE: 1}
    for row, person in enumerate((first, second)):
        own = np.array(person["dp_vertex"]) < 6890
        assert 0 < own.sum() < len(own)
        vertex, barycentric = body.smpl_points(np.array(person["dp_vertex"])[own])
        points = people.points_of(row)
        np.testing.assert_array_equal(people.point_vertex[points], vertex)
        np.testing.assert_array_equal(people.point_barycentric[points], barycentric)
        box = np.array(person["bbox"])
        xy = box[:2] + np.column_stack([person["dp_x"], person["dp_y"]])[own] * box[2:] / 256
        np.testing.assert_allclose(people.point_xy[points], xy, rtol=1e-6)


def test_people_in_charts_and_of_cse_in_one_file(path):
    body, charts = Body.default(), {"charts": "makehuman-24"}
    persons = annotation(1), vertices_of_cse(2)
    people, _ = read_densepose_coco(coco_file(path, *persons, **charts), body)
    for row, person in enumerate(persons):
        alone, _ = read_densepose_coco(coco_file(path, person, **charts), body)
        points = people.points_of(row)
        np.testing.assert_array_equal(people.point_vertex[points], alone.point_vertex)
        np.testing.assert_array_equal(people.point_barycentric[points], alone.point_barycentric)


@pytest.mark.parametrize("vertex", [-1, 27554, 0.5])
def test_vertices_that_cse_lacks(path, vertex):
    person = vertices_of_cse(7) | {"dp_vertex": [vertex] * 30}
    with pytest.raises(UserError, match="annotation 7: dp_vertex is out of range"):
        read_densepose_coco(coco_file(path, person), Body.default())


def test_vertices_on_a_body_that_does_not_know_them(path):
    body = dataclasses.replace(Body.default(), smpl=None)
    with pytest.raises(UserError, match=r"people.json: .*SMPL's vertices"):
        read_densepose_coco(coco_file(path, vertices_of_cse(7)), body)


def test_no_keypoints_at_all_is_fine(path, body):
    person = annotation()
    del person["keypoints"], person["dp_masks"]
    people, _ = read_densepose_coco(coco_file(path, person), body)
    assert (people.keypoint_weight == 0).all()


def test_depths_are_read_where_they_are(path, body):
    first, second = annotation(1), annotation(2)
    first["keypoint_depths"] = [None, *np.linspace(-1, 1, 16)]
    people, _ = read_densepose_coco(coco_file(path, first, second), body)
    np.testing.assert_allclose(
        people.keypoint_depth[0], [np.nan, *np.linspace(-1, 1, 16)], rtol=1e-6
    )
    assert np.isnan(people.keypoint_depth[1]).all()


def test_whole_body_selection(path, body):
    whole = annotation(1)
    fourteen = annotation(2)
    for index in (0, 1, 2):  # the face may be missing
        fourteen["keypoints"][3 * index + 2] = 0
    thirteen = copy.deepcopy(fourteen) | {"id": 3}
    thirteen["keypoints"][3 * 3 + 2] = 0
    no_ankle = annotation(4)
    no_ankle["keypoints"][3 * 15 + 2] = 0
    cut = annotation(5) | {"bbox": [1.0, 40, 128, 320]}
    low = annotation(6) | {"bbox": [50.0, 160, 128, 319]}
    every = coco_file(path, whole, fourteen, thirteen, no_ankle, cut, low)
    people, skipped = read_densepose_coco(every, body, whole_body=True)
    np.testing.assert_array_equal(people.id, [1, 2])
    assert skipped == {"not the whole body": 4}
    assert len(read_densepose_coco(every, body)[0]) == 6


def test_charts_must_agree(path):
    for charts, info in (("densepose", {}), ("makehuman-24", {"charts": "makehuman-24"})):
        read_densepose_coco(coco_file(path, annotation(), **info), square_body(charts))
    with pytest.raises(UserError, match=r"UV_Processed\.mat"):
        read_densepose_coco(coco_file(path, annotation()), square_body("makehuman-24"))
    with pytest.raises(UserError, match="'makehuman-24'"):
        read_densepose_coco(coco_file(path, annotation(), charts="makehuman-24"), square_body())
    body = square_body()
    body.charts = None
    with pytest.raises(UserError, match="has none"):
        read_densepose_coco(coco_file(path, annotation()), body)


def test_foot_five_is_the_left_one():
    """Coarse parts 4 and 5 are the left and the right foot; fine parts have the same order."""
    assert COARSE_PART[5] == 4
    assert COARSE_PART[6] == 5


def random_masks(seed=0) -> tuple[list, np.ndarray]:
    random = np.random.default_rng(seed)
    parts = random.integers(0, 15, (16, 16)).repeat(16, 0).repeat(16, 1).astype(np.uint8)
    parts[parts == 6] = 0
    codes = [mask.encode(np.asfortranarray(parts == part)) for part in range(1, 15)]
    codes = [{"size": list(c["size"]), "counts": c["counts"].decode()} for c in codes]
    codes[5] = []  # an absent part
    return codes, parts


def test_masks_are_decoded():
    codes, parts = random_masks()
    np.testing.assert_array_equal(decode_part_masks({"dp_masks": codes}), parts)
    for absent in ({}, {"dp_masks": None}, {"dp_masks": []}):
        assert not decode_part_masks(absent).any()
    np.testing.assert_array_equal(decode_part_masks({"dp_masks": codes[0]}), parts == 1)
    runs = {"size": [256, 256], "counts": [256, 512, 256 * 253]}
    columns = decode_part_masks({"dp_masks": [runs]}).any(axis=0)
    np.testing.assert_array_equal(np.flatnonzero(columns), [1, 2])


def changed(**changes) -> dict:
    return {**annotation(), **changes}


BAD = {
    "zero-area box": changed(bbox=[10, 10, 0, 50]),
    "NaN box": changed(bbox=[10, float("nan"), 5, 50]),
    "short box": changed(bbox=[10, 10, 5]),
    "no box": {k: v for k, v in annotation().items() if k != "bbox"},
    "part 25": changed(dp_I=[25] * POINTS),
    "part 0": changed(dp_I=[0] * POINTS),
    "part 2.5": changed(dp_I=[2.5] * POINTS),
    "U of 1.5": changed(dp_U=[1.5] * POINTS),
    "NaN x": changed(dp_x=[float("nan")] * POINTS),
    "too large for a float": changed(dp_x=[10**400] * POINTS),
    "null in y": changed(dp_y=[None] * POINTS),
    "text in V": changed(dp_V=["0.5"] * POINTS),
    "lists in y": changed(dp_y=[[1], [1, 2]] * (POINTS // 2)),
    "lengths differ": changed(dp_V=[0.5] * (POINTS - 1)),
    "no dp_U": {k: v for k, v in annotation().items() if k != "dp_U"},
    "keypoints cut": changed(keypoints=[1, 2, 2]),
    "NaN keypoint": changed(keypoints=[50.0, float("nan"), 2] * 17),
    "depths cut": changed(keypoint_depths=[0.0] * 16),
    "depths as text": changed(keypoint_depths="near"),
    "mask size": changed(dp_masks=[{"size": [10**6, 10**6], "counts": "abc"}]),
    "mask kind": changed(dp_masks=["abc"]),
    "too many masks": changed(dp_masks=[[]] * 15),
    "masks as text": changed(dp_masks="abc"),
}


@pytest.mark.parametrize("person", BAD.values(), ids=BAD.keys())
def test_a_bad_annotation_is_refused_by_name(path, body, person):
    with pytest.raises(UserError, match=r"people\.json: annotation 7") as caught:
        read_densepose_coco(coco_file(path, annotation(1), person), body)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("xy", "expected"),
    [
        ([0, 1], "are shares of the box; they must count 256ths of its sides"),
        ([513, 2000], "most dp_x and dp_y are far outside of the box; they must count 256ths"),
        ([-2000, -257], "most dp_x and dp_y are far outside of the box; they must count 256ths"),
    ],
)
def test_dense_points_in_other_units_are_refused(path, body, xy, expected):
    """Shares of the box, or pixels of the picture."""
    x, y = np.random.default_rng(3).uniform(*xy, (2, POINTS))
    with pytest.raises(UserError, match=rf"people\.json: annotation 7: .*{expected}"):
        read_densepose_coco(coco_file(path, changed(dp_x=x.tolist(), dp_y=y.tolist())), body)


def test_a_damaged_mask_is_refused_when_decoded():
    with pytest.raises(UserError, match=r"dp_masks\[0\] is damaged"):
        decode_part_masks({"dp_masks": [{"size": [256, 256], "counts": "0oooooooo0"}]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"annotations": [',
        "[]",
        "3",
        '{"annotations": 3, "images": []}',
        '{"annotations": []}',
        '{"annotations": [3], "images": []}',
        '{"annotations": [{"id": 1}], "images": []}',
        '{"annotations": [{"id": 1.5, "image_id": 1}], "images": []}',
        '{"annotations": [{"id": 1, "image_id": 1}, {"id": 1, "image_id": 1}], "images": []}',
        '{"annotations": [], "images": [], "info": []}',
        '{"annotations": [], "images": []}',
        "[" * 200_000,
    ],
)
def test_bad_files_are_refused(path, body, text):
    path.write_text(text)
    with pytest.raises(UserError, match=r"people\.json") as caught:
        read_densepose_coco(path, body)
    assert "\n" not in str(caught.value)


def test_missing_binary_and_plain_coco_files(path, body):
    with pytest.raises(UserError, match="no such JSON file"):
        read_densepose_coco(path, body)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not readable JSON"):
        read_densepose_coco(path, body)
    plain = {k: v for k, v in annotation().items() if not k.startswith("dp_")}
    with pytest.raises(UserError, match="no annotation has dense points"):
        read_densepose_coco(coco_file(path, plain), body)


def test_nothing_is_printed(path, capsys):
    load_coco(coco_file(path, annotation()))
    assert capsys.readouterr() == ("", "")


def test_all_skipped_leaves_no_people(path, body):
    people, skipped = read_densepose_coco(coco_file(path, annotation() | {"iscrowd": 1}), body)
    assert len(people) == 0
    assert skipped == {"a crowd (iscrowd)": 1}


def test_the_box_has_256_units_or_255(path, body):
    """detectron2 reads dp_x so, DensePose's notebooks and evaluator otherwise."""
    person = annotation()
    person["dp_x"][0], person["dp_y"][0] = 255.0, 0.0
    source = coco_file(path, person)
    people, _ = read_densepose_coco(source, body)
    np.testing.assert_allclose(people.point_xy[0], [50 + 128 * 255 / 256, 40])
    people, _ = read_densepose_coco(source, body, box_units=255)
    np.testing.assert_allclose(people.point_xy[0], [50 + 128, 40])


def test_people_know_their_pictures(path, body):
    source = coco_file(path, annotation(1, 5), annotation(2, 6))
    assert read_densepose_coco(source, body)[0].picture is None
    content = json.loads(path.read_text())
    content["images"][1]["file_name"] = "COCO_train2014_000000000006.jpg"
    content["images"][0]["file_name"] = None
    path.write_text(json.dumps(content))
    people, _ = read_densepose_coco(source, body)
    assert people.picture.tolist() == ["", "COCO_train2014_000000000006.jpg"]


def test_segmentations_of_any_kind_and_none(path, body):
    """A crowd's run lengths, polygons, and parts painted with or without compression."""
    codes, _ = random_masks()
    runs = {"size": [256, 256], "counts": [256, 512, 256 * 253]}
    people, skipped = read_densepose_coco(
        coco_file(
            path,
            annotation(1) | {"segmentation": [[50, 40, 178, 40, 178, 360]]},
            annotation(2) | {"segmentation": [], "dp_masks": codes},
            annotation(3) | {"dp_masks": runs},
            annotation(4) | {"segmentation": runs, "iscrowd": 1},
        ),
        body,
    )
    np.testing.assert_array_equal(people.id, [1, 2, 3])
    assert skipped == {"a crowd (iscrowd)": 1}


def with_image(path, **entries) -> str:
    """A file of one person in a picture with these entries."""
    content = json.loads(Path(coco_file(path, annotation())).read_text())
    content["images"][0] |= entries
    path.write_text(json.dumps(content))
    return str(path)


@pytest.mark.parametrize(
    ("entries", "focal", "point", "size"),
    [
        ({}, None, None, [[640, 480]]),
        ({"width": None}, None, None, None),
        ({"height": "480"}, None, None, None),
        ({"height": 480.5}, None, None, None),
        ({"height": float("nan")}, None, None, None),
        ({"width": 640.0, "height": 480.0}, None, None, [[640, 480]]),
        ({"camera": {}}, None, None, [[640, 480]]),
        ({"camera": {"focal_length": "inf"}}, [np.inf], None, [[640, 480]]),
        (
            {"camera": {"focal_length": 812.5, "principal_point": [300, 250.5]}},
            [812.5],
            [[300, 250.5]],
            [[640, 480]],
        ),
    ],
)
def test_pictures_have_sizes_and_cameras(path, body, entries, focal, point, size):
    people = read_densepose_coco(with_image(path, **entries), body)[0]
    found = people.focal, people.principal_point, people.picture_size
    for array, expected in zip(found, (focal, point, size), strict=True):
        assert (array is None) == (expected is None)
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    ("camera", "message"),
    [
        ([], "camera is not an object"),
        ({"focal_length": -1}, "focal_length is not positive"),
        ({"focal_length": "long"}, "focal_length is missing or not a list of numbers"),
        ({"focal_length": 0.035}, "focal of person 7 is not a focal length in pixels"),
        ({"principal_point": [1]}, "principal_point has 1 numbers, expected 2"),
        ({"principal_point": [1, 1e12]}, "principal_point of person 7 is more than"),
    ],
)
def test_bad_cameras_are_refused(path, body, camera, message):
    with pytest.raises(UserError, match=message):
        read_densepose_coco(with_image(path, camera=camera), body)
