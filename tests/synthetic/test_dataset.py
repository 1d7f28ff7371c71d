"""Crowds and their annotations: repeatable, and the file agrees with the truth."""

import json
from dataclasses import replace

import numpy as np
import pytest
from pycocotools import mask
from pycocotools.coco import COCO

from bodyreg.data import Truth, read_densepose_coco
from bodyreg.data.densepose_coco import COARSE_PART, decode_part_masks
from bodyreg.data.frames import frame_from_image
from bodyreg.data.skeletons import COCO_17
from bodyreg.metrics.pose import facing
from bodyreg.synthetic.dataset import make_dataset
from bodyreg.synthetic.formats.densepose_coco import write_densepose_coco
from bodyreg.synthetic.layout import OBJECT, lay_out
from bodyreg.synthetic.observe import (
    ABSENT,
    HIDDEN,
    Noise,
    _part_masks,
    _share,
    annotate,
    see,
)
from bodyreg.synthetic.scenes.crowd import Crowd
from bodyreg.synthetic.scenes.scene import Scene

from ..true_keypoints import true_keypoints
from .scenery import true_points

SEED = 4
PEOPLE = 40
EXACT = Noise(points=80, pixels=0, depth=0)


@pytest.fixture(scope="module")
def exact(body, tmp_path_factory):
    """People without noise, their file, and the people read from it."""
    pictures, truth = make_dataset(body, PEOPLE, SEED, EXACT)
    path = tmp_path_factory.mktemp("exact") / "people.json"
    write_densepose_coco(path, pictures, body.charts.name)
    return pictures, truth, path, read_densepose_coco(path, body)[0]


@pytest.fixture(scope="module")
def scenes(body):
    """Scenes, their layouts and their sights of people."""
    crowd = Crowd(PEOPLE, SEED, 256)
    scenes = [crowd.scene(body, number) for number in range(len(crowd))]
    layouts = [lay_out(scene) for scene in scenes]
    return [(s, layout, see(s, layout)) for s, layout in zip(scenes, layouts, strict=True)]


def test_crowds_are_as_large_as_asked_for():
    for people in (1, 2, 3, 100):
        crowd = Crowd(people, SEED, 256)
        sizes = np.diff(crowd._start)
        assert sizes.sum() == people
        assert set(sizes) <= {1, 2, 3}
        # More people do not change earlier people.
        longer = np.diff(Crowd(people + 50, SEED, 256)._start)
        np.testing.assert_array_equal(sizes[:-1], longer[: len(sizes) - 1])
        assert sizes[-1] <= longer[len(sizes) - 1]


def test_a_scene_does_not_depend_on_the_others(body, exact):
    _, truth, _, _ = exact
    crowd = Crowd(PEOPLE + 50, SEED, 256)
    for number in (7, 3):
        for figure in crowd.scene(body, number).figures:
            row = int(np.flatnonzero(truth.id == figure.person.number + 1)[0])
            np.testing.assert_array_equal(truth.vertices[row], figure.vertices)
            assert truth.action[row] == figure.action


def test_people_are_large_enough_near_ones_in_front_and_some_cut_off(scenes):
    heights, cuts, covered = [], [], []
    for scene, _, sights in scenes:
        sizes = [figure.camera.pixels_per_metre for figure in scene.figures]
        assert sizes == sorted(sizes)
        heights += [
            size * np.ptp(figure.vertices[:, 1])
            for size, figure in zip(sizes, scene.figures, strict=True)
        ]
        cuts += [sight.cut for sight in sights]
        covered += [sight.occluded for sight in sights]
    assert max(heights) <= 1.3 * 256 + 1
    # Only lying or crouching people are flatter.
    assert np.median(heights) > 0.5 * 256
    for shares in (np.array(cuts), np.array(covered)):
        assert 0.1 < (shares > 0.01).mean() < 0.6
        assert shares.min() == 0
        assert shares.max() < 1


def test_half_are_seen_from_anywhere_and_half_from_the_front(body):
    _, truth = make_dataset(body, 60, SEED, Noise(points=1))
    front = facing(truth.joints, body.joint_names)[:, 2]
    even = truth.id % 2 == 1
    assert (front[even] < -0.3).sum() >= 4
    assert (front[~even] > 0).mean() > 0.9


def test_the_same_seed_writes_the_same_bytes(body, tmp_path):
    for name in ("a", "b"):
        pictures, truth = make_dataset(body, 4, SEED)
        write_densepose_coco(tmp_path / f"{name}.json", pictures, body.charts.name)
        truth.save(tmp_path / f"{name}.npz")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    _, other = make_dataset(body, 4, SEED + 1)
    assert not np.array_equal(other.pose, truth.pose)


@pytest.fixture(scope="module")
def near(body, tmp_path_factory):
    """As `exact`, with near cameras."""
    pictures, truth = make_dataset(body, PEOPLE, SEED, EXACT, distance=(2.0, 5.0))
    path = tmp_path_factory.mktemp("near") / "people.json"
    write_densepose_coco(path, pictures, body.charts.name)
    return pictures, truth, path, read_densepose_coco(path, body)[0]


def test_near_cameras_are_as_near_as_told(near):
    pictures, truth, _, _ = near
    distance = truth.focal / (truth.scale * truth.frame[:, 2])
    nearest = [
        min(distance[truth.id == a.id][0] for a in picture.annotations)
        for picture in pictures
        if picture.annotations
    ]
    assert min(nearest) > 2 - 1e-4
    # The nearest person of a picture may be hidden.
    assert np.percentile(nearest, 80) < 5
    assert np.ptp(nearest) > 1.5


def test_near_people_are_the_same_and_seen_along_rays(body, exact, near):
    """Visible vertices lie on faces that face the camera along their own ray."""
    _, far, _, _ = exact
    _, truth, _, _ = near
    place = {person: row for row, person in enumerate(far.id.tolist())}
    for row in range(0, len(truth), 5):
        if (person := int(truth.id[row])) in place:
            np.testing.assert_array_equal(truth.vertices[row], far.vertices[place[person]])
        vertices = truth.vertices[row].astype(np.float64)
        pixels = truth.scale[row] * truth.frame[row, 2]
        pelvis = image_of_pelvis(truth, row)
        depth = truth.focal[row] / pixels
        offset = (pelvis - truth.principal_point[row]) / pixels
        camera = np.array([-offset[0], offset[1], depth])
        corners = vertices[body.faces]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        front = (normal * (camera - corners.mean(1))).sum(1) > 0
        shown = np.zeros(len(vertices), bool)
        shown[body.faces[front]] = True
        assert not (truth.visible[row] & ~shown).any()


def image_of_pelvis(truth, row):
    """(2,) picture pixels."""
    return truth.frame[row, :2] + truth.frame[row, 2] * truth.translation[row] * [1, -1]


def test_near_people_stay_in_the_picture_as_often(exact, near):
    cut = [(each[1].cut > 0.01).mean() for each in (exact, near)]
    assert abs(cut[1] - cut[0]) < 0.15


def test_near_keypoints_are_where_similar_triangles_say(near):
    _, truth, _, people = near
    places = true_keypoints(truth, COCO_17.keypoints).astype(np.float64)
    for row, points in enumerate(places):
        pixels = truth.scale[row] * truth.frame[row, 2]
        depth = truth.focal[row] / pixels
        offset = (image_of_pelvis(truth, row) - truth.principal_point[row]) / pixels
        points[:, :2] = (points[:, :2] + offset * [1, -1]) / (depth - points[:, 2:])
        xy = truth.principal_point[row] + truth.focal[row] * points[:, :2] * [1, -1]
        there = people.keypoint_weight[row] > 0
        np.testing.assert_allclose(xy[there], people.keypoint_xy[row][there], atol=5e-3)


@pytest.mark.parametrize("cameras", ["exact", "near"])
def test_what_is_read_back_is_the_truth_to_rounding(request, cameras):
    """Without noise, every point of the file lies where the true surface puts it."""
    _, truth, _, people = request.getfixturevalue(cameras)
    np.testing.assert_array_equal(people.id, truth.id)
    np.testing.assert_array_equal(people.frame, truth.frame)
    observed = frame_from_image(people.point_xy, people.frame[people.point_person])
    assert np.linalg.norm(true_points(people, truth) - observed, axis=1).max() * 128 < 0.01
    assert people.keypoint_name == COCO_17.keypoints
    there = people.keypoint_weight > 0
    assert 0.7 < there.mean() < 1
    shown = frame_from_image(people.keypoint_xy, people.frame[:, None])
    places = true_keypoints(truth, COCO_17.keypoints)
    expected = truth.in_frame(places)
    np.testing.assert_allclose(shown[there], expected[there], atol=1e-4)
    depth = truth.scale[:, None] * (places[..., 2] - truth.joints[:, :1, 2])
    read = people.keypoint_depth
    np.testing.assert_allclose(read[there], depth[there], atol=2e-5)
    assert np.isnan(read[~there]).all()


def test_points_lie_on_what_can_be_seen(exact, scenes):
    _, truth, _, people = exact
    seen = truth.visible[people.point_person[:, None], people.point_vertex]
    assert seen.all()
    counts = np.diff(people.point_start)
    assert counts.max() == EXACT.points
    owners = {
        sight.id: layout.owner == sight.place for _, layout, sights in scenes for sight in sights
    }
    ids = people.id[people.point_person]
    own = [
        owners[i][tuple(np.floor(xy[::-1]).astype(int))]
        for i, xy in zip(ids, np.clip(people.point_xy, 0, 255.9), strict=True)
    ]
    # A point moves within its pixel; at a silhouette, to the nearest place of its face.
    assert np.mean(own) > 0.98


def test_parts_get_fourteen_points_at_most(exact):
    pictures, _, _, _ = exact
    for picture in pictures:
        for person in picture.annotations:
            assert np.bincount(COARSE_PART[person.point_part]).max() <= 14


def test_marks_say_what_hides_joints(body, scenes):
    """2 where the own surface is within reach, 1 behind a body or an object, 0 outside."""
    marks = dict.fromkeys(range(3), 0)
    for scene, layout, sights in scenes:
        for sight in sights:
            person = annotate(body, layout, sight, EXACT, np.random.default_rng(0))
            inside = ((person.keypoints[:, :2] >= 0) & (person.keypoints[:, :2] < 256)).all(1)
            np.testing.assert_array_equal(person.keypoints[:, 2] == ABSENT, ~inside)
            for x, y, seen in person.keypoints[inside]:
                owner = layout.owner[int(y), int(x)]
                if owner == OBJECT or owner > sight.place:
                    assert seen == HIDDEN
            for seen in person.keypoints[:, 2]:
                marks[int(seen)] += 1
            assert scene.figures[sight.place] is sight.figure
    assert min(marks.values()) > 20


def test_shares_cut_off_are_those_of_a_larger_picture(body, scenes):
    """Against the same person in a picture so large that nothing is cut off."""
    checked = 0
    for _, layout, sights in scenes:
        for sight in sights:
            if sight.cut < 0.02:
                continue
            camera = sight.figure.camera
            wide = replace(sight.figure, camera=replace(camera, pelvis=camera.pelvis + 400))
            around = lay_out(Scene(0, 1056, 1056, [wide], [0]))
            total = np.count_nonzero(around.alone[0])
            inside = np.count_nonzero(layout.alone[sight.place])
            assert sight.cut == pytest.approx(1 - inside / total, abs=0.02)
            checked += 1
    assert checked > 3


def test_masks_agree_with_points_boxes_and_silhouettes(exact):
    pictures, _, path, _ = exact
    content = json.loads(path.read_text())
    sizes = {picture.id: (picture.height, picture.width) for picture in pictures}
    for annotation in content["annotations"]:
        parts = decode_part_masks(annotation)
        column, row = np.floor([annotation["dp_x"], annotation["dp_y"]]).astype(int)
        on = parts[row.clip(0, 255), column.clip(0, 255)] > 0
        assert on.mean() > 0.9
        silhouette = mask.decode(annotation["segmentation"])
        assert silhouette.shape == sizes[annotation["image_id"]]
        assert annotation["area"] == silhouette.sum()
        assert annotation["bbox"] == mask.toBbox(annotation["segmentation"]).tolist()
        _, _, width, height = annotation["bbox"]
        assert silhouette.sum() == pytest.approx(
            (parts > 0).mean() * width * height, rel=0.03, abs=10
        )


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (256, 256), (400, 90)])
def test_codes_of_parts_are_those_of_pycocotools(shape):
    """Noise, and parts that begin or end with the picture."""
    noise = np.random.default_rng(0).integers(0, 15, shape).astype(np.uint8)
    for parts in (noise, np.full_like(noise, 3), np.sort(noise, axis=None).reshape(shape)):
        row, column = (((np.arange(256) + 0.5) * side / 256).astype(int) for side in shape)
        stretched = parts[np.ix_(row, column)]
        for part, code in enumerate(_part_masks(parts), 1):
            if not (stretched == part).any():
                assert code == []
                continue
            expected = mask.encode(np.asfortranarray(stretched == part, np.uint8))
            assert code == expected | {"counts": expected["counts"].decode()}


def test_the_file_knows_its_cameras(exact, near):
    """Reference: the truth of near ones; the others have no perspective."""
    _, truth, _, people = near
    np.testing.assert_array_equal(people.id, truth.id)
    np.testing.assert_allclose(people.focal, truth.focal, rtol=1e-6)
    np.testing.assert_allclose(people.picture_size / 2, truth.principal_point)
    assert np.isinf(exact[-1].focal).all()


def test_the_file_is_plain_coco_to_others(exact, capsys):
    _, truth, path, _ = exact
    coco = COCO(path)
    people = sum(len(coco.getAnnIds(imgIds=[image])) for image in coco.getImgIds())
    assert people == len(truth) >= PEOPLE - 2
    assert all(coco.annToMask(annotation).any() for annotation in coco.loadAnns(coco.getAnnIds()))
    content = json.loads(path.read_text())
    assert content["info"]["charts"] == "makehuman-24"
    for annotation in content["annotations"]:
        assert len(annotation["keypoints"]) == 51
        marks = annotation["keypoints"][2::3]
        assert annotation["num_keypoints"] == sum(seen > 0 for seen in marks)
        assert len(annotation["dp_masks"]) == 14
        assert len({len(annotation[f"dp_{key}"]) for key in "xyIUV"}) == 1


def test_noise_has_the_size_it_says(body):
    """Standard deviations of the noise, from the same people with and without it."""
    noisy, truth = make_dataset(body, 30, SEED, Noise(points=80))
    clean, _ = make_dataset(body, 30, SEED, EXACT)

    def gather(pictures, name):
        return np.array([getattr(a, name) for picture in pictures for a in picture.annotations])

    pixels = 128 / truth.frame[:, 2]
    keypoints = (gather(noisy, "keypoints") - gather(clean, "keypoints"))[..., :2]
    assert (keypoints * pixels[:, None, None]).std() == pytest.approx(2, rel=0.1)
    assert (gather(noisy, "depths") - gather(clean, "depths")).std() == pytest.approx(0.08, rel=0.1)


def test_truth_is_saved_and_loaded(exact, tmp_path):
    _, truth, _, _ = exact
    truth.save(tmp_path / "truth.npz")
    again = Truth.load(tmp_path / "truth.npz")
    for name, value in vars(truth).items():
        np.testing.assert_array_equal(value, getattr(again, name), err_msg=name)


@pytest.mark.parametrize(
    ("count", "room", "expected"),
    [
        (10, [9, 9, 9], [4, 3, 3]),
        (10, [1, 9, 2], [1, 7, 2]),
        (50, [3, 0, 2], [3, 0, 2]),
        (0, [5], [0]),
    ],
)
def test_counts_are_shared_evenly(count, room, expected):
    np.testing.assert_array_equal(_share(count, np.array(room)), expected)
