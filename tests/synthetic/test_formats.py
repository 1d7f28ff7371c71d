"""Written files, read back by other readers and by ours: the truth, to rounding."""

import dataclasses
import json

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from bodyreg.body import Body
from bodyreg.data import Truth, read_densepose_coco, read_keypoints, read_openpose
from bodyreg.data.deepfashion import read_deepfashion, read_market1501
from bodyreg.data.densepose_results import read_densepose_results
from bodyreg.data.frames import image_from_frame
from bodyreg.data.human36m import read_videopose3d
from bodyreg.data.iuv import read_iuv
from bodyreg.data.mpii import read_mpii
from bodyreg.data.point_lists import read_points
from bodyreg.data.skeletons import (
    BLAZEPOSE_33,
    BODY_25,
    COCO_17,
    COCO_18,
    H36M_17,
    HALPE_26,
    MPII_16,
)
from bodyreg.data.spin import read_spin
from bodyreg.metrics.pose import facing
from bodyreg.pickles import load_objects
from bodyreg.synthetic import generate
from bodyreg.synthetic.formats import FORMATS, Recipe
from bodyreg.synthetic.formats.deepfashion import FROM_CENTRE
from bodyreg.synthetic.formats.format import Destination, ids_of_shown
from bodyreg.synthetic.observe import Noise
from bodyreg.synthetic.pieces import Pieces
from bodyreg.synthetic.scenes.catalogue import is_test
from bodyreg.synthetic.scenes.takes import TAKES, TEST, TRAINING, Takes

from ..true_keypoints import true_keypoints, true_pixels
from .scenery import true_points

PEOPLE, SEED = 36, 7
EXACT = Noise(points=60, pixels=0, depth=0)
# Text files have three decimals; float32 has as many in a picture of 1,000 pixels.
PIXELS = 2e-3


def write(folder, recipe: Recipe, *names: str) -> None:
    """Formats that share their pictures, in shards of seven pictures."""
    body, scenes = Body.default(), FORMATS[names[0]].scenes(recipe)
    paths = []
    for start in range(0, len(scenes), 7):
        paths.append(folder / "shards" / f"{names[0]}-{start:06}.npz")
        stop = min(start + 7, len(scenes))
        generate.make_shard(
            generate.Shard(recipe, names, start, stop, folder, paths[-1], "run", pictures=False)
        )
    for name in names:
        destination = Destination(
            folder / name, folder / "shards", recipe, scenes, body, {"seed": SEED}
        )
        FORMATS[name].join(destination, Pieces(paths))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    recipe = Recipe(PEOPLE, SEED, 256, EXACT)
    for names in (
        ("densepose-coco", "mpii", "iuv", "densepose-results", "point-list", "keypoints"),
        ("human36m",),
        ("deepfashion",),
        ("market1501",),
    ):
        write(folder, recipe, *names)
    return folder


def test_densepose_coco(made, body, capsys):
    folder = made / "densepose-coco"
    truth = Truth.load(folder / "truth.npz")
    people, skipped = read_densepose_coco(folder / "densepose.json", body)
    assert not skipped
    np.testing.assert_array_equal(people.id, truth.id)
    np.testing.assert_array_equal(people.frame, truth.frame)
    xy = image_from_frame(true_points(people, truth), truth.frame[people.point_person])
    assert np.abs(xy - people.point_xy).max() < 5e-3
    coco = COCO(folder / "densepose.json")
    assert len(coco.anns) == len(truth) >= PEOPLE - 2
    assert [image["file_name"] for image in coco.imgs.values()] == [
        f"{number:012}.jpg" for number in range(1, len(coco.imgs) + 1)
    ]


def test_iuv(made, body):
    """Maps of several people in a picture: who they are, and where their points lie."""
    folder = made / "iuv"
    truth = Truth.load(folder / "truth.npz")
    people, skipped = read_iuv(folder / "maps", body, points=200)
    assert not skipped and len(people) == len(truth) >= PEOPLE - 2
    np.testing.assert_array_equal(people.id, truth.id)
    xy = image_from_frame(true_points(people, truth), truth.frame[people.point_person])
    # Chart coordinates of 8 bits: a pixel's place is known to a tenth of a pixel.
    distance = np.linalg.norm(xy - people.point_xy, axis=1)
    assert np.median(distance) < 0.1 and np.percentile(distance, 99) < 1
    assert (np.abs(people.frame - truth.frame).max(1) < 0.05 * truth.frame[:, 2]).mean() > 0.9


def test_densepose_results(made, body):
    """The same maps as people's entries of a list."""
    folder = made / "densepose-results"
    truth = Truth.load(folder / "truth.npz")
    people, skipped = read_densepose_results(folder / "results.json", body, points=200)
    assert not skipped
    np.testing.assert_array_equal(people.id, truth.id)
    maps, _ = read_iuv(made / "iuv" / "maps", body, points=200)
    np.testing.assert_array_equal(people.point_vertex, maps.point_vertex)
    np.testing.assert_allclose(people.point_xy, maps.point_xy, atol=1e-3)


def test_point_list(made, body):
    """The points of DensePose-COCO, as a table."""
    folder = made / "point-list"
    truth = Truth.load(folder / "truth.npz")
    people, skipped = read_points(folder / "points.csv", body)
    assert not skipped
    np.testing.assert_array_equal(people.id, truth.id)
    coco, _ = read_densepose_coco(made / "densepose-coco" / "densepose.json", body)
    np.testing.assert_array_equal(people.point_vertex, coco.point_vertex)
    np.testing.assert_allclose(people.point_xy, coco.point_xy, atol=5e-3)


def test_people_whom_a_file_does_not_show_have_the_last_numbers():
    assert ids_of_shown(np.array([True, False, True, False])).tolist() == [0, 2, 1, 3]
    assert ids_of_shown(np.zeros(0, bool)).tolist() == []


def test_noise_of_maps_is_smooth(tmp_path, body):
    """Neighbours err alike, by as much as the recipe says."""
    write(tmp_path, Recipe(12, SEED, 256, Noise(pixels=3)), "iuv")
    truth = Truth.load(tmp_path / "iuv" / "truth.npz")
    people, _ = read_iuv(tmp_path / "iuv" / "maps", body, points=400)
    crop = truth.frame[people.point_person]
    error = (image_from_frame(true_points(people, truth), crop) - people.point_xy) / crop[:, 2:]
    assert 0.6 * 3 / 128 < np.sqrt((error**2).mean()) < 1.2 * 3 / 128
    for row in range(len(people)):
        own = people.points_of(row)
        place = people.point_xy[own] / truth.frame[row, 2]
        gap = np.linalg.norm(place[:, None] - place, axis=2) + 9 * np.eye(len(place))
        near = gap.argmin(1)
        mine = error[own]
        assert (mine * mine[near]).sum() > 0.4 * (mine**2).sum()


@pytest.mark.parametrize(
    ("path", "skeleton"),
    [
        ("results.json", COCO_17),
        ("mmpose", COCO_17),
        ("alphapose-results.json", HALPE_26),
        ("blazepose", BLAZEPOSE_33),
        ("openpose", BODY_25),
    ],
)
def test_keypoints_of_detectors(made, path, skeleton):
    """The same people in the files of five detectors."""
    folder = made / "keypoints"
    truth = Truth.load(folder / "truth.npz")
    read = read_openpose if path == "openpose" else read_keypoints
    people, skipped = read(folder / path)
    assert people.keypoint_name == skeleton.evidence_keypoints
    assert len(people) + skipped.total() == len(truth) and skipped.total() < 3
    truth = truth.select(people.id)
    there = people.keypoint_weight > 0
    off = people.keypoint_xy - true_pixels(truth, people.keypoint_name)
    assert np.abs(off[there]).max() < PIXELS and 0.7 < there.mean() < 1
    if skeleton is BLAZEPOSE_33:
        depth = true_keypoints(truth, people.keypoint_name)[..., 2] * truth.scale[:, None]
        hips = [skeleton.joints.index(f"{side}_hip") for side in ("left", "right")]
        depth = (depth - depth[:, hips].mean(1, keepdims=True)) * truth.frame[:, 2:]
        found = people.keypoint_depth * people.frame[:, 2:]
        # Landmarks without noise, but at a size that is that of the seen ones.
        np.testing.assert_allclose(found[there], depth[there], atol=2)


def test_mpii(made):
    truth = Truth.load(made / "mpii" / "truth.npz")
    people, skipped = read_mpii(made / "mpii" / "annot.json")
    assert not skipped
    np.testing.assert_array_equal(people.id, truth.id)
    assert people.keypoint_name == MPII_16.keypoints
    there = people.keypoint_weight > 0
    off = people.keypoint_xy - true_pixels(truth, MPII_16.keypoints)
    assert np.abs(off[there]).max() < PIXELS
    assert 0.7 < there.mean() < 1
    # Coordinates count pixel centres from 1; HRNet's crop holds whole people.
    content = json.loads((made / "mpii" / "annot.json").read_text())
    ankle = true_pixels(truth, ("mpii/right_ankle",))[:, 0]
    for entry, xy in zip(content, ankle, strict=True):
        if entry["joints_vis"][0]:
            np.testing.assert_allclose(entry["joints"][0], xy + 0.5, atol=PIXELS)
        else:
            assert entry["joints"][0] == [-1, -1]
    heights = [200 * entry["scale"] for entry in content]
    meters = truth.vertices[..., 1].max(1) - truth.vertices[..., 1].min(1)
    np.testing.assert_allclose(heights, meters * truth.scale * truth.frame[:, 2], rtol=1e-3)
    pictures = [f"000000000{number:03}.jpg" for number in range(1, 100)]
    assert set(people.picture) <= set(pictures)


def test_human36m_of_videopose3d(made):
    folder = made / "human36m"
    truth = Truth.load(folder / "truth.npz")
    poses, skipped = read_videopose3d(
        folder / "data_2d_h36m_gt.npz",
        folder / "data_3d_h36m.npz",
        folder / "cameras.json",
        broken=True,
    )
    assert not skipped
    np.testing.assert_array_equal(poses.observations.id, truth.id)
    for name in ("subject", "camera"):
        np.testing.assert_array_equal(getattr(poses, name), getattr(truth, name))
    assert [action.removesuffix(" 1") for action in poses.action] == truth.action.tolist()
    expected = true_keypoints(truth, H36M_17.keypoints)
    np.testing.assert_allclose(
        poses.joints - poses.joints[:, :1], expected - expected[:, :1], atol=2e-6
    )

    # The pictures by hand: x right, y down, z away.
    seen = poses.observations
    assert seen.keypoint_name == H36M_17.keypoints
    observed = seen.keypoint_xy
    cameras = json.loads((folder / "cameras.json").read_text())
    for person in range(len(poses)):
        camera = next(c for c in cameras["S1"] if c["id"] == poses.camera[person])
        x, y, z = (poses.joints[person] * [1, -1, -1]).T
        xy = np.stack([x, y], 1) / z[:, None] * camera["focal_length"] + camera["center"]
        np.testing.assert_allclose(xy, observed[person], atol=PIXELS)
    # The truth has the mean of the two focal lengths of pixels that are not quite square.
    np.testing.assert_allclose(true_pixels(truth, H36M_17.keypoints), observed, atol=0.3)
    weak = dataclasses.replace(truth, focal=None, principal_point=None)
    # A weak-perspective camera agrees with it at the rig's pelvis, 4 cm away from the data set's.
    off = np.abs(true_pixels(weak, H36M_17.keypoints) - observed)
    assert 3 * np.median(off[:, 0]) < np.median(off[:, 1:]) < 5


def test_human36m_of_spin(made):
    folder = made / "human36m"
    truth = Truth.load(folder / "truth.npz")
    with np.load(folder / "truth.npz") as archive:
        row_of = {name: row for row, name in enumerate(archive["picture"].tolist())}
    rows = {}
    for name in ("h36m_train", "h36m_valid_protocol1", "h36m_valid_protocol2"):
        poses, skipped = read_spin(folder / f"{name}.npz", broken=True)
        assert not skipped
        rows[name] = [row_of[picture] for picture in poses.observations.picture]
        same = truth.select(np.array(rows[name]))
        np.testing.assert_array_equal(poses.subject, same.subject)
        np.testing.assert_array_equal(poses.camera, same.camera)
        np.testing.assert_allclose(poses.observations.frame, same.frame, rtol=1e-6)
        expected = true_keypoints(same, H36M_17.keypoints)
        np.testing.assert_allclose(poses.joints, expected - expected[:, :1], atol=2e-6)
        seen = poses.observations
        assert seen.keypoint_name == H36M_17.keypoints
        off = np.abs(seen.keypoint_xy - true_pixels(same, H36M_17.keypoints))
        assert off[seen.keypoint_weight > 0].max() < 0.3
        with np.load(folder / f"{name}.npz") as archive:
            assert (archive["openpose"][..., 2] > 0).mean() > 0.95
            assert not archive["has_smpl"].any()
            assert archive["pose"].shape == (len(poses), 72)
    assert sorted(rows["h36m_train"] + rows["h36m_valid_protocol1"]) == list(range(len(truth)))
    assert set(truth.subject[rows["h36m_train"]]) <= set(TRAINING)
    assert set(truth.subject[rows["h36m_valid_protocol1"]]) <= set(TEST)
    frontal = set(np.flatnonzero(truth.camera == "60457274"))
    assert set(rows["h36m_valid_protocol2"]) == frontal & set(rows["h36m_valid_protocol1"])


def test_takes_share_their_frames():
    for people in (4, 36, 1000, 840 * 7):
        takes = Takes(people, 0)
        assert people <= len(takes) < people + 4
        assert np.ptp(takes.frames) <= 1
        places = [takes.place(number) for number in range(len(takes))]
        assert places == sorted(places)
        assert len(set(places)) == len(places)
    assert len(TAKES) == 7 * 15 * 2


@pytest.mark.parametrize(
    ("name", "read", "words"),
    [("deepfashion", read_deepfashion, 2), ("market1501", read_market1501, 4)],
)
def test_pose_pairs(made, body, name, read, words):
    pairs = read(made / name)
    truth = Truth.load(made / name / "truth.npz")
    np.testing.assert_array_equal(truth.id, np.arange(PEOPLE))
    people, skipped = pairs.observations()
    assert not skipped
    assert people.keypoint_name == COCO_18.keypoints
    there = people.keypoint_weight > 0
    expected = true_pixels(truth, COCO_18.keypoints)[people.id]
    assert np.abs((people.keypoint_xy - expected)[there]).max() < PIXELS
    assert there.mean() > 0.8
    assert all(len(one.split("_")) == words for one in pairs.ids)

    # The same person in the same clothes, never for training and for tests.
    of_split = {split: set(truth.subject[rows].ravel()) for split, rows in pairs.pairs.items()}
    assert not of_split["train"] & of_split["test"]
    assert len(pairs.pairs["test_small"]) == len(of_split["test"]) > 0
    for rows in pairs.pairs.values():
        assert (truth.subject[rows[:, 0]] == truth.subject[rows[:, 1]]).all()
        assert (rows[:, 0] != rows[:, 1]).all()
    shape = truth.shape[[np.flatnonzero(truth.subject == one)[0] for one in truth.subject]]
    np.testing.assert_array_equal(truth.shape, shape)

    # Visible joints lie in their parts.
    parts = {"left_elbow": 3, "right_elbow": 4, "left_knee": 5, "right_knee": 6, "spine1": 2}
    hits = []
    height, width = cv2.imread(str(pairs.parts(0)), cv2.IMREAD_GRAYSCALE).shape
    assert (width, height) == {"deepfashion": (256, 256), "market1501": (64, 128)}[name]
    places = true_pixels(truth, tuple(parts))
    for number in range(PEOPLE):
        labels = cv2.imread(str(pairs.parts(number)), cv2.IMREAD_GRAYSCALE)
        assert set(np.unique(labels)) <= set(range(7))
        for (x, y), label in zip(places[number], parts.values(), strict=True):
            if 0 <= x < width and 0 <= y < height:
                hits.append(labels[int(y), int(x)] == label)
    # Arms hide torsos, and legs hide each other.
    assert np.mean(hits) > 0.7


def test_views_of_deepfashion_are_what_they_are_called(made, body):
    truth = Truth.load(made / "deepfashion" / "truth.npz")
    front = facing(truth.joints, body.joint_names)[:, 2]
    assert front[truth.camera == "front"].min() > 0.5
    assert front[truth.camera == "back"].max() < -0.5
    assert np.abs(front[truth.camera == "side"]).max() < 0.9
    assert truth.cut[truth.camera == "full"].max() < 0.02
    assert (truth.cut[truth.camera == "front"] > 0.02).any()


def test_splits_of_deepfashion(made):
    label = made / "deepfashion" / "Label"
    split = json.loads((label / "image_split_dfm_new.json").read_text())
    ids = list(load_objects(label / "pose_label.pkl", kind="label"))
    assert sorted(split["train"] + split["test"]) == sorted(ids)
    assert set(split) == {"train", "test"}
    clean = json.loads((label / "pair_split_clean.json").read_text())
    assert clean == json.loads((label / "pair_split.json").read_text())
    assert [is_test(person) for person in range(7)] == [False, True, *[False] * 4, True]


def test_openpose_is_noisy_and_the_body_is_not(tmp_path):
    """Two files of joints: with the errors of a detector, and of the body itself."""
    write(tmp_path, Recipe(20, SEED, 256, Noise(points=0, pixels=2, depth=0)), "deepfashion")
    label = tmp_path / "deepfashion" / "Label"
    found, own = (
        np.array(list(load_objects(label / f"{name}.pkl", kind="label").values()))
        for name in ("pose_label", "pose_label_adapt")
    )
    np.testing.assert_array_equal(found == -1, own == -1)
    truth = Truth.load(tmp_path / "deepfashion" / "truth.npz")
    there = own != -1
    expected = true_pixels(truth, COCO_18.keypoints) - FROM_CENTRE
    np.testing.assert_allclose(own[there], expected[there], atol=PIXELS)
    errors = (found - own)[..., 0] * 128 / truth.frame[:, None, 2]
    assert errors[own[..., 0] != -1].std() == pytest.approx(2, rel=0.15)
