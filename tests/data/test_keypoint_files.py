"""What detectors of keypoints write, by hand and not by our writers: one person, standing."""

from __future__ import annotations

import json
import math
from typing import Any

import cv2
import numpy as np
import pytest

from bodyreg.body import Body
from bodyreg.data import read_keypoints
from bodyreg.data.blazepose import SPREAD
from bodyreg.data.coco import CROWD, NO_PERSON
from bodyreg.data.detections import LOW_SCORE
from bodyreg.data.focal import Focal
from bodyreg.data.frames import NOT_SPREAD_OUT
from bodyreg.data.opening import open_people
from bodyreg.data.skeletons import (
    BLAZEPOSE_33,
    COCO_17,
    COCO_18,
    HALPE_26,
    MPII_16,
    WHOLE_BODY_23,
    Skeleton,
)
from bodyreg.data.source import Source
from bodyreg.errors import UserError

from .standing import METRE, SIDE, pixels, places


def flat(xy: np.ndarray, confidence: float = 0.9) -> list[float]:
    return np.insert(xy, 2, confidence, axis=1).reshape(-1).tolist()


def blazepose() -> tuple[list[dict], list[dict]]:
    """Landmarks in shares and in metres."""
    metres = places(BLAZEPOSE_33) * [1, -1, -1]
    hips = [BLAZEPOSE_33.joints.index(f"{side}_hip") for side in ("left", "right")]
    middle = metres[hips].mean(0)
    shares = np.column_stack([pixels(BLAZEPOSE_33) / SIDE, METRE * (metres - middle)[:, 2] / SIDE])
    return landmarks(shares), landmarks(metres - middle)


def landmarks(places: np.ndarray) -> list[dict[str, float]]:
    return [{"x": x, "y": y, "z": z, "visibility": 0.9} for x, y, z in places.tolist()]


@pytest.fixture
def read(tmp_path, images):
    """Reads a file with some content."""

    def call(content: Any, name: str = "7.json", *, pictures: bool = True):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return read_keypoints(path, images if pictures else None)

    return call


def annotations(**changes: Any) -> dict[str, Any]:
    keypoints = flat(pixels(COCO_17) - 0.5, 2)
    person = {"id": 3, "image_id": 7, "category_id": 1, "keypoints": keypoints} | changes
    return {
        "images": [{"id": 7, "file_name": "7.png", "width": SIDE, "height": SIDE}],
        "annotations": [person],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}],
    }


def result(skeleton: Skeleton = COCO_17, **changes: Any) -> dict[str, Any]:
    keypoints = flat(pixels(skeleton) - 0.5)
    return {"image_id": 7, "category_id": 1, "keypoints": keypoints, "score": 0.8} | changes


def with_more(skeleton: Skeleton, joints: int) -> list[float]:
    """The skeleton's joints, and more of the face and the hands behind them."""
    more = np.full((joints - len(skeleton), 2), 300.0)
    return flat(np.concatenate([pixels(skeleton) - 0.5, more]))


def mmpose_person(skeleton: Skeleton = COCO_17, **changes: Any) -> dict[str, Any]:
    xy = pixels(skeleton) - 0.5
    person = {"keypoints": xy.tolist(), "keypoint_scores": [0.9] * len(xy)}
    return person | {"bbox": [[0, 0, 9, 9]], "bbox_score": 0.8} | changes


def alphapose(key: str) -> dict[str, Any]:
    inner = "joints" if key == "bodies" else "pose_keypoints_2d"
    return {"version": "AlphaPose v0.3", key: [{inner: flat(pixels(COCO_18) - 0.5)}]}


SHARES, METRES = blazepose()
NAMES = {str(n): name for n, name in enumerate(COCO_17.joints)}
LISTS = [[p["x"], p["y"], p["z"], p["visibility"]] for p in SHARES]
TENSORFLOW = [
    {**{k: v for k, v in p.items() if k != "visibility"}, "score": 0.9, "name": "any"}
    for p in SHARES
]
GOOD: dict[str, tuple[Any, Skeleton]] = {
    "coco annotations": (annotations(), COCO_17),
    "coco results": ([result()], COCO_17),
    "alphapose": ([result(image_id="7.png", box=[1, 2, 3, 4], idx=[0.0])], COCO_17),
    "alphapose halpe": ([result(HALPE_26, image_id="7.png")], HALPE_26),
    "alphapose 136": (
        [result(image_id="7.png", keypoints=with_more(HALPE_26, 136))], HALPE_26,
    ),
    "alphapose cmu": ({"7.png": alphapose("bodies")}, COCO_18),
    "alphapose open": ({"7.png": alphapose("people")}, COCO_18),
    "alphapose sep-json": (alphapose("bodies"), COCO_18),
    "mmpose": ([mmpose_person()], COCO_17),
    "mmpose demo": (
        {"meta_info": {"keypoint_id2name": NAMES}, "instance_info": [mmpose_person()]}, COCO_17,
    ),
    "mmpose mpii": ([mmpose_person(MPII_16)], MPII_16),
    "coco whole body": ([result(keypoints=with_more(WHOLE_BODY_23, 133))], WHOLE_BODY_23),
    "blazepose": ({"pose_landmarks": [SHARES], "pose_world_landmarks": [METRES]}, BLAZEPOSE_33),
    "blazepose browser": ({"landmarks": [SHARES], "worldLandmarks": [METRES]}, BLAZEPOSE_33),
    "blazepose dict": (
        {"poseLandmarks": {"landmark": SHARES}, "poseWorldLandmarks": {"landmark": METRES}},
        BLAZEPOSE_33,
    ),
    "blazepose one person": ({"pose_landmarks": SHARES}, BLAZEPOSE_33),
    "blazepose bare": (SHARES, BLAZEPOSE_33),
    "blazepose list of people": ([LISTS], BLAZEPOSE_33),
    "blazepose message": ({"landmark": SHARES}, BLAZEPOSE_33),
    "blazepose lists": (LISTS, BLAZEPOSE_33),
    "blazepose named, and nobody in others": (
        {"6.png": [], "7.png": [SHARES], "8.png": None}, BLAZEPOSE_33,
    ),
    "blazepose named": ({"7.png": {"landmarks": SHARES}}, BLAZEPOSE_33),
    "blazepose tensorflow": (
        [
            {
                "keypoints": [p | {"x": p["x"] * SIDE, "y": p["y"] * SIDE} for p in TENSORFLOW],
                "keypoints3D": METRES,
            }
        ],
        BLAZEPOSE_33,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_every_form_shows_the_person_where_it_is(read, name):
    content, skeleton = GOOD[name]
    people, skipped = read(content)
    assert not skipped and len(people) == 1
    assert people.keypoint_name == skeleton.evidence_keypoints
    np.testing.assert_allclose(people.keypoint_xy[0], pixels(skeleton)[list(skeleton.evidence)])
    weight = 1 if name == "coco annotations" else 0.9
    np.testing.assert_allclose(people.keypoint_weight, weight, rtol=1e-6)
    assert people.picture.tolist() == ["7.png"]


@pytest.mark.parametrize("name", [name for name in GOOD if name.startswith("blazepose")])
def test_depths_of_blazepose(read, name):
    people, _ = read(GOOD[name][0])
    in_metres = people.keypoint_depth[0] * people.frame[0, 2] / METRE
    expected = places(BLAZEPOSE_33)[:, 2]
    hips = [people.keypoint_name.index(f"blazepose/{side}_hip") for side in ("left", "right")]
    # Without metres, the size is that of a trunk as it is told, and without depths of the trunk.
    np.testing.assert_allclose(in_metres, expected - expected[hips].mean(), atol=1e-5)
    spread = people.keypoint_depth_spread[0] * people.frame[0, 2] / METRE
    np.testing.assert_allclose(spread, SPREAD, rtol=2e-3)


def test_metres_are_scaled_to_the_person_in_the_picture(read):
    double = [p | {axis: 2 * p[axis] for axis in "xyz"} for p in METRES]
    one, _ = read({"pose_landmarks": SHARES, "pose_world_landmarks": METRES})
    other, _ = read({"pose_landmarks": SHARES, "pose_world_landmarks": double})
    np.testing.assert_allclose(other.keypoint_depth, one.keypoint_depth, rtol=1e-5)


def test_what_blazepose_does_not_see_is_absent(read):
    unseen = [p | {"visibility": 0.01} if n > 24 else p for n, p in enumerate(SHARES)]
    people, _ = read({"pose_landmarks": unseen, "pose_world_landmarks": METRES})
    assert (people.keypoint_weight[0] > 0).tolist() == [n <= 24 for n in range(33)]
    assert np.isnan(people.keypoint_depth[0]).tolist() == [n > 24 for n in range(33)]
    assert people.frame[0, 1] < read(SHARES)[0].frame[0, 1] - 50  # round what is seen


def test_shares_need_the_size_of_the_picture(read):
    with pytest.raises(UserError, match=r"size is not known; give the pictures \(--images\)"):
        read(SHARES, pictures=False)
    people, _ = read({"landmarks": SHARES, "width": SIDE, "height": SIDE}, pictures=False)
    np.testing.assert_allclose(people.keypoint_xy[0], pixels(BLAZEPOSE_33))
    assert people.picture_size.tolist() == [[SIDE, SIDE]] and people.picture is None
    message = {"landmark": SHARES, "width": SIDE, "height": SIDE}
    assert read(message, pictures=False)[0].picture_size.tolist() == [[SIDE, SIDE]]


def test_a_picture_tells_its_size_whatever_its_format(read, images):
    cv2.imwrite(str(images / "9.webp"), np.zeros((SIDE, SIDE, 3), np.uint8))
    people, _ = read({"9.webp": [SHARES]})
    np.testing.assert_allclose(people.keypoint_xy[0], pixels(BLAZEPOSE_33))
    with pytest.raises(UserError, match=r"7\.json: '8\.webp': no picture '8\.webp' in .*images$"):
        read({"8.webp": [SHARES]})


@pytest.mark.parametrize(
    "content",
    [
        [result(), result(image_id=8)],
        {"7.png": [SHARES], "8.png": [SHARES]},
        {"here/7.png": {"landmarks": SHARES}, "here/8.png": {"landmarks": SHARES}},
    ],
    ids=["results", "blazepose", "blazepose in a folder"],
)
def test_people_of_one_picture(tmp_path, images, content):
    """Others then need not be there, as in the app; in a folder they must be."""
    path = tmp_path / "all.json"
    path.write_text(json.dumps(content))
    people, _ = read_keypoints(path, images / "7.png")
    names = people.picture.tolist()
    assert [name.rpartition("/")[2] for name in names].count("7.png") == 1
    if isinstance(content, list):
        assert names == ["7.png", "8"]
    with pytest.raises(UserError, match="no picture"):
        read_keypoints(path, images)


def test_several_people_and_pictures_in_a_folder(tmp_path, images):
    cv2.imwrite(str(images / "8.PNG"), np.zeros((SIDE, SIDE, 3), np.uint8))
    folder = tmp_path / "predictions"
    folder.mkdir()
    moved = mmpose_person(keypoints=(pixels(COCO_17) + 9.5).tolist())
    unsure = mmpose_person(bbox_score=0.1)
    nothing = mmpose_person(keypoint_scores=[0.0] * 17)
    (folder / "7.json").write_text(json.dumps([mmpose_person(), nothing, moved]))
    demo = {"instance_info": [unsure, mmpose_person()]}
    (folder / "results_8.JSON").write_text(json.dumps(demo))
    people, skipped = read_keypoints(folder, images)
    assert skipped == {LOW_SCORE: 1, NOT_SPREAD_OUT: 1}
    assert people.picture.tolist() == ["7.png", "7.png", "8.PNG"]
    assert people.id.tolist() == [0, 2, 4]
    shift = people.keypoint_xy[1] - people.keypoint_xy[0]
    np.testing.assert_allclose(shift, 10, atol=1e-4)


def test_ids_in_a_folder(tmp_path, images):
    """People are numbered over all files; annotations that exist twice are refused."""
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "._a.json").write_bytes(b"\0\1")  # of macOS
    for name in ("a", "b"):
        (folder / f"{name}.json").write_text(json.dumps([result(score=0.1), result()]))
    assert read_keypoints(folder, images)[0].id.tolist() == [1, 3]
    for name in ("a", "b"):
        (folder / f"{name}.json").write_text(json.dumps(annotations()))
    with pytest.raises(UserError, match="several files have a person 3"):
        read_keypoints(folder, images)


def test_sizes_and_names_of_some_pictures(tmp_path, images):
    """A focal length in millimetres is of the people whose pictures are there. A file that is
    renamed is about another picture, so a run does not go on with it."""
    folder = tmp_path / "results"
    folder.mkdir()
    missing, there = result(image_id="8.png"), result(image_id="7.png")
    (folder / "a.json").write_text(json.dumps([missing, there]))
    source = Source("keypoints", folder, images, focal=Focal(35, "mm"))
    people, _ = open_people(source, Body.default())
    focal = people.read(0, 2).focal
    assert np.isnan(focal[0]) and focal[1] == pytest.approx(35 / 43.27 * SIDE * 2**0.5, rel=1e-3)
    (folder / "a.json").rename(folder / "b.json")
    assert open_people(source, Body.default())[0].fingerprint != people.fingerprint
    (images / "7.png").unlink()
    with pytest.raises(UserError, match="images has none of them, or they are damaged or WebP"):
        open_people(source, Body.default())


def test_files_of_mmposes_demos_have_a_prefix(tmp_path, images):
    """Those of its inferencer do not: results_7.json is of results_7.png."""
    cv2.imwrite(str(images / "results_7.png"), np.zeros((SIDE, SIDE, 3), np.uint8))
    path = tmp_path / "results_7.json"
    path.write_text(json.dumps([mmpose_person()]))
    assert read_keypoints(path, images)[0].picture.tolist() == ["results_7.png"]
    path.write_text(json.dumps({"instance_info": [mmpose_person()]}))
    assert read_keypoints(path, images)[0].picture.tolist() == ["7.png"]


def test_nobody_in_any_picture(read):
    people, skipped = read({"a.jpg": None, "b.jpg": []})
    assert len(people) == 0 and not skipped


def test_people_who_are_left_out(read):
    content = annotations()
    content["annotations"] += [
        annotations(id=4, iscrowd=1)["annotations"][0],
        annotations(id=5, category_id=2)["annotations"][0],
        annotations(id=6, keypoints=[0] * 51, num_keypoints=0)["annotations"][0],
        annotations(id=9, bbox=[10, 20, 30, 40])["annotations"][0],
    ]
    people, skipped = read(content)
    assert skipped == {CROWD: 1, NO_PERSON: 1, NOT_SPREAD_OUT: 1}
    assert people.id.tolist() == [3, 9]
    assert people.frame[1].tolist() == [25, 40, 24]  # that of its box
    assert people.picture_size.tolist() == [[SIDE, SIDE]] * 2
    people, skipped = read([result(score=0.1), result(category_id=2), result()])
    assert skipped == {LOW_SCORE: 1, NO_PERSON: 1}
    assert people.id.tolist() == [2]


def test_absent_keypoints(read):
    rows = np.array(flat(pixels(COCO_17) - 0.5)).reshape(-1, 3)
    rows[3] = 0
    rows[4] = 5, 6, -1
    rows[5] = math.nan
    people, _ = read([result(keypoints=rows.reshape(-1).tolist())])
    assert np.flatnonzero(people.keypoint_weight[0] == 0).tolist() == [3, 4, 5]
    scores = [None, *[0.9] * 16]
    people, _ = read([mmpose_person(keypoint_scores=scores)])
    assert np.flatnonzero(people.keypoint_weight[0] == 0).tolist() == [0]


def test_a_byte_order_mark(read, tmp_path, images):
    (tmp_path / "7.json").write_bytes(b"\xef\xbb\xbf" + json.dumps([result()]).encode())
    assert len(read_keypoints(tmp_path / "7.json", images)[0]) == 1


def test_a_video_of_mmpose_has_no_pictures(read):
    frames = [{"frame_id": n, "instances": [mmpose_person()] * n} for n in range(3)]
    people, _ = read({"meta_info": {}, "instance_info": frames}, pictures=False)
    assert len(people) == 3 and people.picture is None
    with pytest.raises(UserError, match="is of a video"):
        read(frames)


HUGE = "[" + "1" * 400 + "]"


def deep(count: int) -> dict[str, Any]:
    """Objects in objects."""
    found: dict[str, Any] = {}
    for _ in range(count):
        found = {"a": found}
    return found


BROKEN = {
    "truncated": ('[{"image_id": 7, "keyp', "not readable JSON"),
    "something else": ({"frames": 3}, "is no known file of keypoints"),
    "a number": (3, "is no known file of keypoints"),
    "openpose": ({"people": []}, "--openpose"),
    "no picture": ([result(image_id=9)], "ends with its image_id, 9"),
    "no image id": ([result(image_id=None)], "image_id is missing"),
    "no keypoints": ([result(keypoints=None)], r"\[0\]: keypoints is missing"),
    "odd numbers": ([result(keypoints=[1.0] * 50)], "expected three for each joint"),
    "unknown skeleton": ([result(keypoints=[5.0] * 42)], "has 14 keypoints"),
    "two skeletons": ([result(), result(HALPE_26)], "people of Halpe-26, and others of COCO-17"),
    "infinite": ([result(keypoints=[math.inf, 2, 1] * 17)], "not finite"),
    "huge": (f'[{{"image_id": 7, "keypoints": {HUGE}}}]', "not a list of numbers"),
    "shares": ([result(keypoints=[0.1, 0.2, 1, *[0.5, 0.6, 1] * 16])], "picture's corner"),
    "no objects": ([3], "is not an object"),
    "annotation": (annotations(keypoints=[1, 2, 3]), "keypoints has 3 numbers, expected 51"),
    "box": (annotations(bbox=[1, 2, 0, 4]), "bbox has no area"),
    "mmpose 3-D": (
        [mmpose_person(keypoints=[[1, 2, 3]] * 17)], "keypoints has 3 numbers, expected 2",
    ),
    "mmpose scores": ([mmpose_person(keypoint_scores=[0.9])], "has 1 numbers, expected 17"),
    "mmpose animals": (
        {
            "meta_info": {"keypoint_id2name": NAMES | {"0": "left eye", "1": "right eye"}},
            "instance_info": [mmpose_person()],
        },
        "its 17 keypoints are not COCO's: 'left_eye'",
    ),
    "mmpose null": ({"instance_info": None}, "expected a list of people"),
    "mmpose frames": ([{"frame_id": 0, "instances": 3}], "is of a video"),
    "alphapose": ({"version": "AlphaPose v0.3", "bodies": 3}, "expected a list of 'bodies'"),
    "alphapose joints": (
        {"7.png": {"version": "AlphaPose v0.3", "bodies": [{"joints": [1, 2]}]}},
        "'7.png': person 0: joints has 2 numbers",
    ),
    "nothing, deeply": (deep(900), "is no known file of keypoints"),
    "too few landmarks": (SHARES[:20], "expected a list of 33 landmarks, got 20 of them"),
    "landmark": ([*SHARES[:32], {"x": "1", "y": 2}], "landmark 32: x, y, z is missing"),
    "landmark null": ([*SHARES[:32], None], "landmark 32"),
    "infinite landmark": ([*SHARES[:32], {"x": math.inf, "y": 0.5}], "not finite"),
    "pixels": ([p | {"x": p["x"] * SIDE} for p in SHARES], "not shares of the picture's sides"),
    "metres": (
        {"landmarks": [SHARES] * 2, "worldLandmarks": [METRES]}, "has 2 people, and 1 in metres",
    ),
    "size": ({"landmarks": SHARES, "width": -4, "height": 5}, "are not a picture's"),
    "people null": ({"landmarks": [None]}, "expected a list of 33 landmarks, got none"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_in_one_line(read, name):
    content, expected = BROKEN[name]
    with pytest.raises(UserError, match=expected) as caught:
        read(content)
    assert "\n" not in str(caught.value) and "7" in str(caught.value)


@pytest.mark.parametrize("name", ["../outside.png", "/outside.png", "a/../../outside.png", "a\0b"])
def test_pictures_outside_of_the_folder(tmp_path, images, name):
    """No file outside is looked at, whichever way its name comes from a file."""
    cv2.imwrite(str(tmp_path / "outside.png"), np.zeros((SIDE, SIDE, 3), np.uint8))
    path = tmp_path / "7.json"
    for content in ({name: {"landmarks": SHARES}}, [result(image_id=name)]):
        path.write_text(json.dumps(content))
        with pytest.raises(UserError, match="is not a path inside"):
            open_people(Source("keypoints", path, images), Body.default())[0].read(0, 1)


def test_no_files(tmp_path):
    with pytest.raises(UserError, match=r"no \.json file of keypoints"):
        read_keypoints(tmp_path)
    with pytest.raises(UserError, match=r"missing\.json"):
        read_keypoints(tmp_path / "missing.json")
    (tmp_path / "b.json").write_text(json.dumps([mmpose_person()]))
    (tmp_path / "images").mkdir()
    with pytest.raises(UserError, match="no picture b "):
        read_keypoints(tmp_path / "b.json", tmp_path / "images")
