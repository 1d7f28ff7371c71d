"""bodyreg evaluate, on fits of a tiny body with known errors."""

import csv
import dataclasses
import json
import re

import numpy as np
import pytest

from bodyreg.body import Body
from bodyreg.data import Fits, Truth
from bodyreg.data.frames import image_from_frame
from bodyreg.data.skeletons import H36M_17, H36M_17_OF_SPIN
from bodyreg.metrics import METRICS, evaluate
from bodyreg.metrics.pose import CANONICAL_BONE_SUM, bone_sum
from bodyreg.metrics.poses import POSE_METRICS, evaluate_poses
from bodyreg.runs import comparison
from tests.refusals import file_limit
from tests.true_keypoints import true_keypoints

PEOPLE = 7
OFF = np.float32([3 / 128, 4 / 128])
"""How far fits lie from the truth in their frames: 5 pixels of 256."""


@pytest.fixture
def fits() -> Fits:
    random = np.random.default_rng(2)
    return Fits(
        id=np.arange(PEOPLE) + 20,
        frame=np.tile(np.float32([100, 80, 90]), (PEOPLE, 1)),
        pose=np.float32(0.2 * random.normal(size=(PEOPLE, 24, 3))),
        segment_scale=np.ones((PEOPLE, 24), np.float32),
        rotation=np.tile(np.eye(3, dtype=np.float32), (PEOPLE, 1, 1)),
        scale=np.full(PEOPLE, 0.8, np.float32),
        translation=np.zeros((PEOPLE, 2), np.float32),
        loss=np.zeros(PEOPLE, np.float32),
        joint_deviation=np.full((PEOPLE, 24, 2), 20, np.float32),
    )


@pytest.fixture
def truth(fits, body_file) -> Truth:
    body = Body.load(body_file)
    return Truth(
        shape=np.zeros((PEOPLE, 0), np.float32),
        vertices=fits.vertices(body) / np.float32(0.8),
        joints=fits.joints(body) / np.float32(0.8),
        visible=np.ones((PEOPLE, len(body.vertices)), bool),
        action=np.array(["Walking", "Sitting", "Sitting", "Walking", "Photo", "Photo", "Photo"]),
        subject=np.array(["S9", "S11", "S9", "S11", "S9", "S9", "S9"]),
        camera=np.full(PEOPLE, "54138969"),
        child=np.arange(PEOPLE) == 1,
        cut=np.float32([0, 0, 0.5, 0, 0, 0, 0]),
        occluded=np.float32([0, 0, 0.3, 0.3, 0, 0, 0]),
        body=body.fingerprint,
        **{
            name: getattr(fits, name)
            for name in (
                "id", "frame", "pose", "segment_scale", "rotation", "scale", "translation",
            )
        },
    )  # fmt: skip


@pytest.fixture
def files(fits, truth, body_file, tmp_path) -> list:
    """The command's usual flags, and their files."""
    dataclasses.replace(fits, translation=fits.translation + OFF).save(tmp_path / "fits.npz")
    truth.save(tmp_path / "truth.npz")
    return [
        "evaluate", "--fits", tmp_path / "fits.npz", "--truth", tmp_path / "truth.npz",
        "--body", body_file,
    ]  # fmt: skip


def test_it_prints_all_and_every_group(bodyreg, files):
    result = bodyreg(*files)
    assert (result.status, result.error) == (0, "")
    blocks = result.out.strip().split("\n\n")
    assert blocks[0].startswith("7 people of ")
    rows = {line.split("  ")[0]: line.split() for line in blocks[1].splitlines()[1:]}
    assert list(rows) == [metric.title for metric in METRICS.values()]
    assert "'9 of 10': nine of ten people do at least as well" in blocks[1]
    assert rows["vertices"][-4:] == ["5.00"] * 4
    assert rows["PA vertices"][-4:] == ["0.0"] * 4
    assert rows["mirrored"][-3:] == ["0", "of", "7"]
    counts = {}
    for block in blocks[2:]:
        title, _, *lines = block.splitlines()
        cells = [re.split(" {2,}", line) for line in lines]
        counts[title.split("  ")[0]] = {row[0]: row[1] for row in cells}
    assert counts == {
        "by group": {
            "plain adults": "4", "children": "1", "cut by the picture": "1", "occluded": "2",
        },
        "by action": {"Photo": "3", "Sitting": "2", "Walking": "2", "mean of actions": "5.00"},
        "by subject": {"S9": "5", "S11": "2"},
    }  # fmt: skip
    assert max(map(len, result.out.splitlines()[1:])) <= 100


def test_it_writes_statistics_and_a_row_per_person(bodyreg, files, fits, truth, tmp_path):
    result = bodyreg(*files, "--out", tmp_path / "new" / "out")
    assert result.out.endswith(f"results: {tmp_path / 'new' / 'out'}\n")
    assert sorted(p.name for p in (tmp_path / "new" / "out").iterdir()) == [
        "evaluation.csv", "evaluation.json",
    ]  # fmt: skip
    body = Body.load(files[-1])
    expected = evaluate(Fits.load(tmp_path / "fits.npz"), truth, body)
    with (tmp_path / "new" / "out" / "evaluation.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["id"]) for row in rows] == truth.id.tolist()
    assert [row["subject"] for row in rows] == truth.subject.tolist()
    assert [row["child"] for row in rows] == ["0", "1", "0", "0", "0", "0", "0"]
    for name, metric in METRICS.items():
        column = [float(row[f"{name} [{metric.unit}]" if metric.unit else name]) for row in rows]
        np.testing.assert_allclose(column, expected[name], rtol=1e-5, err_msg=name)

    record = json.loads((tmp_path / "new" / "out" / "evaluation.json").read_text())
    assert record["command"].startswith("bodyreg evaluate --fits ")
    assert record["body"]["fingerprint"] == truth.body
    assert len(record["inputs"]) == 3
    assert record["all"]["pixel"]["mean"] == pytest.approx(5, rel=1e-4)
    assert record["by_group"]["occluded"]["people"] == 2
    walking = expected["bone_mpjpe"][[0, 3]].mean()
    assert record["by_action"]["Walking"]["bone_mpjpe"]["mean"] == pytest.approx(walking)


def test_people_are_matched_by_id_some_at_a_time(
    bodyreg, files, fits, truth, tmp_path, monkeypatch
):
    """Another order, a subset, and batches of two people give the same numbers for each person."""
    bodyreg(*files, "--out", tmp_path / "all")
    monkeypatch.setattr(comparison, "AT_ONCE", 2)
    chosen = [6, 0, 3, 1, 4]
    Fits.load(tmp_path / "fits.npz").select(chosen).save(tmp_path / "fits.npz")
    truth.select(np.array([5, 4, 3, 6, 0, 2, 1])).save(tmp_path / "truth.npz")
    assert bodyreg(*files, "--out", tmp_path / "some").out.startswith("5 people of ")
    every = (tmp_path / "all" / "evaluation.csv").read_text().splitlines()
    some = (tmp_path / "some" / "evaluation.csv").read_text().splitlines()
    assert some == [every[0], *(every[1 + person] for person in (4, 3, 6, 0, 1))]


def test_a_run_is_named_by_its_folder_and_knows_its_body(bodyreg, files, tmp_path, truth):
    files[2] = tmp_path
    assert bodyreg(*files).out.startswith(f"7 people of {tmp_path / 'fits.npz'}")
    record = tmp_path / "run.json"
    record.write_text(json.dumps({"body": {"name": "one", "fingerprint": truth.body}}))
    assert bodyreg(*files).status == 0
    record.write_text(json.dumps({"body": {"name": "one", "fingerprint": "0123"}}))
    assert "fits of body 'one' (0123), not of" in bodyreg(*files).refusal


def test_geodesics_of_ones_own_judge_the_points(bodyreg, files, tmp_path, body_file):
    """If all vertices are at one place, only the points on the background are wrong."""
    count = len(Body.load(body_file).vertices)
    np.save(tmp_path / "geodesics.npy", np.zeros((count, count), np.float32))
    bodyreg(*files, "--geodesics", tmp_path / "geodesics.npy", "--out", tmp_path / "own")
    bodyreg(*files, "--out", tmp_path / "found")
    own, found = (
        json.loads((tmp_path / name / "evaluation.json").read_text())["all"]["gps"]["mean"]
        for name in ("own", "found")
    )
    assert 0 < found < own <= 100


@pytest.fixture
def human36m(fits, tmp_path) -> list:
    """Fits of the built-in body, and SPIN's data of the first six people at their true size."""
    fits.save(tmp_path / "fits.npz")
    joints = fits.keypoints(Body.default(), H36M_17.keypoints)
    length = bone_sum(joints, H36M_17.joints)[:, None, None]
    joints = CANONICAL_BONE_SUM / 1000 * joints / length
    places = np.zeros((40, 24, 4), np.float32)
    places[20:26, list(H36M_17_OF_SPIN), :3] = joints[:6] * [1, -1, -1]
    places[20:26, :, 3] = 1
    names = [
        f"S{9 + 2 * (n % 2)}_{'WalkingDog' if n < 23 else 'Walking_1'}.60457274_{n:06}.jpg"
        for n in range(40)
    ]
    np.savez(
        tmp_path / "spin.npz", imgname=np.array(names), center=np.tile([100.0, 80.0], (40, 1)),
        scale=np.full(40, 0.9), S=places,
    )  # fmt: skip
    line = np.linspace([40.0, 20.0], [160.0, 140.0], 17)
    pictured = np.tile(line, (40, 1, 1))
    np.savez(tmp_path / "2d.npz", positions_2d={"S9": {"Photo 1": [pictured]}}, metadata={})
    world = np.zeros((40, 17, 3))
    world[20:27] = joints[..., [2, 0, 1]]
    np.savez(tmp_path / "3d.npz", positions_3d={"S9": {"Photo 1": world}})
    return ["evaluate", "--fits", tmp_path / "fits.npz", "--human36m"]


def test_joints_of_human36m_by_action_and_subject(bodyreg, human36m, tmp_path):
    result = bodyreg(*human36m, tmp_path / "spin.npz", "--out", tmp_path / "out")
    assert (result.status, result.error) == (0, "")
    head, left_out = result.out.splitlines()[:2]
    assert head.startswith("6 people of ")
    assert left_out == "fits left out because the reference lacks their people: 1"
    record = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert {name: group["people"] for name, group in record["by_subject"].items()} == {
        "S9": 3, "S11": 3,
    }  # fmt: skip
    assert {name: group["people"] for name, group in record["by_action"].items()} == {
        "WalkDog": 3, "Walking": 3,
    }  # fmt: skip
    for name in POSE_METRICS:
        assert record["all"][name]["worst"] == pytest.approx(0, abs=0.01), name


def test_without_cameras_only_what_a_turn_leaves_is_compared(bodyreg, human36m, tmp_path):
    """World axes differ from camera axes."""
    result = bodyreg(*human36m, tmp_path / "2d.npz", "--positions-3d", tmp_path / "3d.npz")
    assert (result.status, result.error) == (0, "")
    titles = [line.split("  ")[0] for line in result.out.splitlines()[3:]]
    assert titles == ["PA-MPJPE", "PA-MPJPE 14"]
    assert all(line.split()[-4:] == ["0.0"] * 4 for line in result.out.splitlines()[3:])


def test_made_people_have_the_same_errors_by_either_file(bodyreg, tmp_path):
    """Human3.6M's joints in the world, seen by its cameras, are those of the truth's bodies."""
    made = ("--formats", "human36m", "--people", 24, "--no-pictures", "--workers", 1)
    assert bodyreg("synthesize", "--out", tmp_path, *made).status == 0
    data, run = tmp_path / "human36m", tmp_path / "run"
    seen = data / "data_2d_h36m_gt.npz"
    assert bodyreg("register", "--human36m", seen, "--iterations", 40, "--out", run).status == 0
    more = ("--positions-3d", data / "data_3d_h36m.npz", "--cameras", data / "cameras.json")
    results = [
        bodyreg("evaluate", "--fits", run, *reference, "--out", tmp_path / reference[0][2:])
        for reference in (("--human36m", seen, *more), ("--truth", data / "truth.npz"))
    ]
    assert [(result.status, result.error) for result in results] == 2 * [(0, "")]
    assert "by action" in results[0].out
    tables = []
    for name in ("human36m", "truth"):
        with (tmp_path / name / "evaluation.csv").open(encoding="utf-8") as stream:
            tables.append(list(csv.DictReader(stream)))
    known = [[row[n] for n in ("id", "action", "subject", "camera")] for row in tables[0]]
    assert known == [[row[n] for n in ("id", "action", "subject", "camera")] for row in tables[1]]
    assert len(known) > 20
    fits, truth = Fits.load(run / "fits.npz"), Truth.load(data / "truth.npz")
    truth = truth.select(np.array([truth.id.tolist().index(int(row[0])) for row in known]))
    fits = fits.select([fits.id.tolist().index(int(row[0])) for row in known])
    joints = true_keypoints(truth, H36M_17.keypoints)
    expected = evaluate_poses(fits, joints, Body.default())["pa_mpjpe_14"]
    found = [float(row["pa_mpjpe_14 [mm]"]) for row in tables[0]]
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_points_and_keypoints_of_a_densepose_file(bodyreg, fits, tmp_path):
    """Two people have annotations, a third has annotations but no fit. There are no masks."""
    fits.save(tmp_path / "fits.npz")
    nose = fits.keypoints(Body.default(), ("nose",))[0, 0, :2]
    x, y = image_from_frame(nose, fits.frame[0]).tolist()
    annotation = {
        "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 9000, "bbox": [40, 20, 120, 120],
        "num_keypoints": 1, "keypoints": [x + 2.5, y + 3.5, 2, *16 * [0, 0, 0]], "dp_masks": [],
        "dp_x": [128.0, 100.0], "dp_y": [90.0, 100.0], "dp_I": [2, 2], "dp_U": [0.5, 0.4],
        "dp_V": [0.5, 0.5],
    }  # fmt: skip
    content = {
        "info": {"charts": Body.default().charts.name},
        "images": [{"id": 1, "width": 200, "height": 200, "file_name": "a.jpg"}],
        "annotations": [{**annotation, "id": number} for number in (20, 500, 26)],
    }
    (tmp_path / "people.json").write_text(json.dumps(content))
    files = ("--fits", tmp_path / "fits.npz", "--densepose-coco", tmp_path / "people.json")
    result = bodyreg("evaluate", *files, "--out", tmp_path / "out")
    assert (result.status, result.error) == (0, "")
    assert result.out.startswith("2 people of ")
    assert "\nfits left out because the reference lacks their people: 5\n" in result.out
    rows = (tmp_path / "out" / "evaluation.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["id", "20", "26"]
    record = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert record["all"]["iou"]["mean"] is None
    assert 0 < record["all"]["gps"]["mean"] < 100
    # The box's frame is 144 pixels wide.
    distance = float(rows[1].split(",")[2])
    assert distance == pytest.approx(5 * 256 / 144, rel=1e-3)
    moved = [
        {**annotation, "id": number, "bbox": [140, 20, 50, 120]} for number in fits.id.tolist()
    ]
    (tmp_path / "people.json").write_text(json.dumps({**content, "annotations": moved}))
    assert "7 of 7 people are at other places of" in bodyreg("evaluate", *files).refusal
    content["annotations"] = content["annotations"][1:2]
    (tmp_path / "people.json").write_text(json.dumps(content))
    result = bodyreg("evaluate", *files)
    assert "people.json: has no annotation of these people" in result.refusal


def test_what_cannot_be_compared_is_refused_in_one_line(bodyreg, files, fits, truth, tmp_path):
    def refused(message: str, *more: object, flags: list = files) -> None:
        result = bodyreg(*flags, *more)
        assert result.out == ""
        assert message in result.refusal

    out = ("--out", tmp_path / "out")
    refused("give only one of --truth and --human36m", "--human36m", tmp_path / "any.npz")
    refused("give one of --truth, --human36m and --dens", flags=files[:3])
    refused("belong to --human36m", "--cameras", tmp_path / "any.json")
    human = [*files[:3], "--human36m", tmp_path / "any.npz"]
    refused("--geodesics belongs to --truth and", "--geodesics", tmp_path / "any.npy", flags=human)
    refused("any.npz: no such Human3.6M file", flags=human)
    refused("was made from body", *out, flags=files[:-2])
    refused("none.npz: no such fits file", flags=[*files[:2], tmp_path / "none.npz", *files[3:]])
    refused("no such fits file", flags=[*files[:2], body_folder(tmp_path), *files[3:]])
    refused("none.npy: no such geodesics file", "--geodesics", tmp_path / "none.npy")
    refused("cannot be written", "--out", tmp_path / "fits.npz" / "folder")

    path = tmp_path / "truth.npz"
    truth.select(np.arange(1, PEOPLE)).save(path)
    refused("truth.npz: holds no person 20; give the truth of the fitted people", *out)
    truth.select(np.array([0, 1, 2, 3, 4, 5, 6, 6])).save(path)
    refused("truth.npz: names person 26 twice", *out)
    fewer = {name: getattr(truth, name)[:, :50] for name in ("vertices", "visible")}
    dataclasses.replace(truth, **fewer).save(path)
    refused("truth.npz: holds 50 vertices a person, body 'body' has 96", *out)
    truth.save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    refused("truth.npz: not a readable truth file", *out)
    fits.select(slice(0)).save(tmp_path / "fits.npz")
    truth.save(path)
    refused("fits.npz: holds no fits", *out)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("reference", ["files", "human36m"])
def test_a_reference_of_other_pictures(bodyreg, tmp_path, request, reference):
    """The ids are the same, but most of the people are elsewhere in their pictures."""
    arguments = request.getfixturevalue(reference)
    if reference == "human36m":
        arguments.append(tmp_path / "spin.npz")
    fits = Fits.load(tmp_path / "fits.npz")
    fits.frame[1:, 0] += 100  # the crops are 180 pixels wide
    fits.save(tmp_path / "fits.npz")
    result = bodyreg(*arguments)
    assert result.out == ""
    assert "people are at other places of their pictures than their fits" in result.refusal
    fits.frame[4:, 0] -= 100  # some may be: the crop of a person that the picture cuts
    fits.save(tmp_path / "fits.npz")
    assert bodyreg(*arguments).status == 0


def body_folder(folder):
    """A folder that is not a run."""
    (folder / "empty").mkdir()
    return folder / "empty"


def test_results_are_written_together_or_not_at_all(bodyreg, files, tmp_path):
    """Where the disk has room for one file alone."""
    assert bodyreg(*files, "--out", tmp_path / "whole").status == 0
    sizes = [path.stat().st_size for path in sorted((tmp_path / "whole").iterdir())]
    assert sizes[0] < sizes[1]  # the table of these few people is the smaller one
    with file_limit(sum(sizes) // 2):
        line = bodyreg(*files, "--out", tmp_path / "full").refusal
    assert "evaluation.json: cannot be written (File too large); " in line
    assert not (tmp_path / "full").exists()
