"""The commands end to end, on a tiny body and on a handful of made people."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
import trimesh

from bodyreg.body import Body
from bodyreg.cli.demo import FAILURES, ROWS, _page
from bodyreg.cli.process import INTERRUPTED
from bodyreg.data import Fits, Truth
from bodyreg.errors import UserError
from bodyreg.metrics import METRICS, Table
from bodyreg.pictures import write_picture
from bodyreg.registration import RegistrationConfig
from bodyreg.runs import fitted_shards, registration
from bodyreg.synthetic.dataset import make_dataset
from bodyreg.synthetic.formats.densepose_coco import write_densepose_coco

from .conftest import made_observations


def test_register_writes_fits_record_meshes_and_overlays(
    bodyreg, tmp_path, observations_file, body_file
):
    out = tmp_path / "new" / "out"
    result = bodyreg(
        "register", "--observations", observations_file, "--body", body_file, "--out", out,
        "--preset", "paper", "--iterations", 60, "--meshes", "ply", "--overlays", 2,
        "--set", "det_weight=0.2", "stiff=none",
    )  # fmt: skip
    assert (result.status, result.error) == (0, "")
    assert "3 people in" in result.out
    assert "depths of keypoints: used for 0 of 3 people\n" in result.out
    fits = Fits.load(out / "fits.npz")
    np.testing.assert_array_equal(fits.id, [10, 11, 12])
    mesh = trimesh.load(out / "meshes" / "11.ply", process=False)
    assert mesh.vertices.shape == (96, 3)
    assert cv2.imread(str(out / "overlays.png")) is not None

    record = json.loads((out / "run.json").read_text())
    expected = RegistrationConfig.preset("paper", iterations=60, det_weight=0.2, stiff="none")
    assert record["config"]["det_weight"] == expected.det_weight
    assert record["config"]["iterations"] == record["config"]["warm_iterations"] == 60
    assert record["people"] == 3
    assert record["format"] == "bodyreg-run-1"
    assert record["source"]["path"] == str(observations_file)
    assert record["body"]["files"]["path"] == str(body_file)
    assert record["command"].startswith("bodyreg register --observations ")
    assert record["threads"] == torch.get_num_threads()
    assert {"version", "command", "torch", "device", "seconds", "skipped"} <= set(record)
    assert sorted(p.name for p in out.iterdir()) == [
        "fits.npz", "meshes", "overlays.png", "run.json",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["obj", "ply"])
def test_a_mesh_is_the_body_in_metres(bodyreg, tmp_path, observations_file, body_file, kind):
    """The people stand in T-pose, 200 pixels a metre, so their arm spans are the template's."""
    bodyreg(
        "register", "--observations", observations_file, "--body", body_file,
        "--out", tmp_path / "out", "--meshes", kind,
    )  # fmt: skip
    fits = Fits.load(tmp_path / "out" / "fits.npz")
    path = tmp_path / "out" / "meshes" / f"10.{kind}"
    mesh = trimesh.load(path, process=False, force="mesh")
    assert (len(mesh.vertices), len(mesh.faces)) == (96, 96)
    assert np.ptp(mesh.vertices[:, 0]) * fits.scale[0] * 240 == pytest.approx(1.58 * 200, rel=0.05)
    assert mesh.vertices[:, 1].argmax() // 4 == 15  # the head: y is up in every format
    normals = {"obj": b"\nvn ", "ply": b" nx\n"}
    assert normals[kind] in path.read_bytes()


def test_a_glb_is_that_of_convert(bodyreg, tmp_path, observations_file, body_file):
    out, converted = tmp_path / "out", tmp_path / "glb"
    bodyreg(
        "register", "--observations", observations_file, "--body", body_file, "--out", out,
        "--meshes", "glb",
    )  # fmt: skip
    assert bodyreg("convert", out, "--to", "glb", "--out", converted).status == 0
    files = {path.name: path.read_bytes() for path in converted.iterdir()}
    assert {path.name: path.read_bytes() for path in (out / "meshes").iterdir()} == files
    assert sorted(files) == ["10.glb", "11.glb", "12.glb"]


def test_a_finished_run_is_not_done_again(bodyreg, tmp_path, observations_file, body_file):
    """Its overlays are drawn of its fits, as in the first run."""
    run = ("register", "--observations", observations_file, "--body", body_file)
    run, out = (*run, "--iterations", 20, "--out", tmp_path / "out"), tmp_path / "out"
    assert "3 people in" in bodyreg(*run).out
    before = {path: path.read_bytes() for path in out.iterdir()}
    (out / "shards").mkdir()  # a process that was killed at the very end
    result = bodyreg(*run)
    assert (result.status, result.error) == (0, "")
    line = f"{out}: the same run is finished here; to do it again, remove this folder\n"
    assert result.out == line
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    drawn = out / "overlays.png"
    shows = line.replace("here;", f"here; {drawn} shows its fits;")
    assert bodyreg(*run, "--overlays", 2).out == shows
    after = {path: path.read_bytes() for path in out.iterdir()}
    assert after == before | {drawn: after[drawn]}
    out.rename(tmp_path / "first")
    bodyreg(*run)
    assert (out / "fits.npz").read_bytes() == before[out / "fits.npz"]
    out.rename(tmp_path / "second")
    bodyreg(*run, "--overlays", 2)
    assert drawn.read_bytes() == after[drawn]


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_finished_run_whose_fits_are_cut_is_done_again(
    bodyreg, tmp_path, observations_file, body_file, share
):
    run = ("register", "--observations", observations_file, "--body", body_file)
    run, path = (*run, "--iterations", 2, "--out", tmp_path / "out"), tmp_path / "out/fits.npz"
    assert bodyreg(*run).status == 0
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert "3 people in" in bodyreg(*run).out
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("--iterations", 21), "holds another run (other configuration); remove it, or choose"),
        (("--meshes", "ply"), "holds another run (other meshes)"),
        (("--observations", "others.npz"), "holds another run (other people)"),
    ],
)
def test_another_run_is_kept(bodyreg, tmp_path, observations_file, body_file, change, expected):
    made_observations(2).save(tmp_path / "others.npz")
    change = tuple(tmp_path / word if word == "others.npz" else word for word in change)
    run = ("register", "--observations", observations_file, "--body", body_file, "--iterations", 20)
    bodyreg(*run, "--out", tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert expected in bodyreg(*run, "--out", tmp_path / "out", *change).refusal
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    (tmp_path / "out" / "run.json").write_text("{}")
    assert "holds another run (unknown)" in bodyreg(*run, "--out", tmp_path / "out").refusal


@pytest.fixture
def in_pictures(tmp_path, body_file):
    """The words of a registration of two people, each in a picture, without --images."""
    people = made_observations(2)
    people.picture = np.array(["a.png", "b.png"])
    people.save(tmp_path / "in pictures.npz")
    for folder, colour, side in (("images", 0, 600), ("painted", 9, 600), ("smaller", 0, 500)):
        for name in people.picture.tolist():
            write_picture(tmp_path / folder / name, np.full((side, side, 3), colour, np.uint8))
    words = ("--observations", tmp_path / "in pictures.npz", "--body", body_file)
    return ("register", *words, "--iterations", 2, "--out", tmp_path / "out")


def test_a_run_on_other_pictures_is_kept(bodyreg, tmp_path, in_pictures):
    """Their sizes matter, and not their colours. A run of an older version does not know them."""
    kept, other = "the same run is finished here", "holds another run (other content of pictures)"
    assert bodyreg(*in_pictures, "--images", tmp_path / "images").status == 0
    fits = (tmp_path / "out" / "fits.npz").read_bytes()
    assert kept in bodyreg(*in_pictures, "--images", tmp_path / "painted").out
    assert other in bodyreg(*in_pictures, "--images", tmp_path / "smaller").refusal
    assert "other content of pictures, pictures" in bodyreg(*in_pictures).refusal
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    del record["made_of"]["content_of_pictures"]
    (tmp_path / "out" / "run.json").write_text(json.dumps(record))
    assert kept in bodyreg(*in_pictures, "--images", tmp_path / "smaller").out
    assert (tmp_path / "out" / "fits.npz").read_bytes() == fits


@pytest.mark.parametrize("older", [False, True])
def test_a_killed_run_goes_on_with_its_pictures(bodyreg, tmp_path, in_pictures, older, monkeypatch):
    monkeypatch.setattr(fitted_shards, "PEOPLE_PER_SHARD", 1)
    write, run = fitted_shards.FittedShards.write, (*in_pictures, "--images")

    def write_one(self, shard, *arguments):
        if shard == 1:
            raise UserError("killed")
        write(self, shard, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(fitted_shards.FittedShards, "write", write_one)
        if older:
            patch.setattr(registration, "seen_by", lambda job: {})
        assert "killed" in bodyreg(*run, tmp_path / "images").refusal
    if not older:
        refusal = bodyreg(*run, tmp_path / "smaller").refusal
        assert "unfinished shards of another run (other content of pictures)" in refusal
    assert "fitted before: 1 person" in bodyreg(*run, tmp_path / "images").out
    made_of = json.loads((tmp_path / "out" / "run.json").read_text())["made_of"]
    assert ("content_of_pictures" in made_of) is not older


def test_people_without_evidence_are_skipped_and_counted(bodyreg, tmp_path, body_file):
    observations = made_observations()
    observations.point_weight[observations.point_person == 1] = 0
    observations.keypoint_weight[1] = 0
    observations.save(tmp_path / "some.npz")
    result = bodyreg(
        "register", "--observations", tmp_path / "some.npz", "--body", body_file,
        "--iterations", 3, "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.status == 0
    assert "skipped 1 (1 no point and no keypoint, or all in one place)" in result.out
    np.testing.assert_array_equal(Fits.load(tmp_path / "out" / "fits.npz").id, [10, 12])
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["skipped"] == {"no point and no keypoint, or all in one place": 1}


def test_initial_fits_are_taken_up(bodyreg, tmp_path, body_file):
    people = made_observations()
    size = np.full((len(people), 2), 512, np.int32)
    dataclasses.replace(people, picture_size=size).save(tmp_path / "people.npz")
    common = ("register", "--observations", tmp_path / "people.npz", "--body", body_file)
    cold = bodyreg(*common, "--iterations", 100, "--out", tmp_path / "first")
    start = tmp_path / "first" / "fits.npz"
    warm = bodyreg(*common, "--iterations", 1, "--initial", start, "--out", tmp_path / "second")
    assert "focal length found by the fits for" in cold.out
    assert "focal length of the initial fits for" in warm.out
    first, second = (Fits.load(tmp_path / run / "fits.npz") for run in ("first", "second"))
    assert np.abs(second.pose - first.pose).max() < 0.2
    record = json.loads((tmp_path / "second" / "run.json").read_text())
    assert record["initial_fits"]["path"] == str(start)


def test_mpii_poses(bodyreg, tmp_path):
    """A standing stick figure in the file's order of joints, registered with the built-in body."""
    right = [(-12, 0), (-13, 45), (-13, 90)]
    arm = [(18, -52), (22, -22), (24, 5)]
    joints = [(0, 0), *right, *((-x, y) for x, y in right), (0, -52), (0, -60), (0, -70), (0, -80)]
    joints += [*arm, *((-x, y) for x, y in arm)]
    np.save(tmp_path / "poses.npy", np.array([joints, joints]).reshape(2, 34) + 200.0)
    result = bodyreg(
        "register", "--mpii", tmp_path / "poses.npy", "--out", tmp_path / "out",
        "--starts", 1, "--iterations", 150,
    )  # fmt: skip
    assert result.status == 0
    assert "median distance of keypoints" in result.out
    fits = Fits.load(tmp_path / "out" / "fits.npz")
    np.testing.assert_array_equal(fits.pose[0], fits.pose[1])
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["median_pixel"]["keypoints"] < 6.4


def test_the_demo_leaves_everything(demo):
    names = {"densepose-coco", "fits.npz", "run.json", "overlays.png", "report.html"}
    assert {path.name for path in demo.iterdir()} == names
    truth = Truth.load(demo / "densepose-coco" / "truth.npz")
    assert len(truth) == len(Fits.load(demo / "fits.npz")) == 7
    record = json.loads((demo / "run.json").read_text())
    assert record["errors"]["pixel"] < 20
    assert record["seed"] == 0


def test_the_demo_prints_errors_and_throughput(bodyreg, demo, tmp_path):
    """The second run has other options and reuses the same people."""
    out = tmp_path / "demo"
    shutil.copytree(demo, out)
    picture = next((out / "densepose-coco" / "images").iterdir())
    made = picture.stat().st_mtime_ns
    again = ("demo", "--out", out, "--iterations", 10, "--preset", "paper", "--without-depth")
    result = bodyreg(*again, "--people", 7)
    assert result.status == 0
    for words in ("visible vertices", "PA-MPJPE", "mirror images", "people/s", "without"):
        assert words in result.out
    assert result.out.rstrip().endswith(f"report: {out / 'report.html'}")
    assert picture.stat().st_mtime_ns == made
    result = bodyreg(*again, "--people", 8)
    assert "holds another data set (other people)" in result.refusal


def test_the_demo_keeps_the_run_of_another_command(bodyreg, tmp_path, observations_file, body_file):
    words = ("register", "--observations", observations_file, "--body", body_file)
    bodyreg(*words, "--iterations", 2, "--out", tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert {path.name for path in before} == {"fits.npz", "run.json"}
    demo = ("demo", "--people", 1, "--iterations", 2, "--out", tmp_path / "out")
    assert f"{tmp_path / 'out'}: holds another run; remove it" in bodyreg(*demo).refusal
    assert before == {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_the_demo_groups_its_people():
    """An occluded child counts in both groups."""
    people = {
        "id": np.arange(4),
        "child": np.array([False, True, True, False]),
        "cut": np.zeros(4),
        "occluded": np.array([0, 0, 0.5, 0]),
    }
    errors = {name: np.arange(4.0) for name in ROWS}
    errors |= {name: np.arange(4) == 1 for name in FAILURES}
    lines = _page(Table(people, errors, METRICS)).splitlines()
    assert [line.rsplit(maxsplit=3) for line in lines[-3:]] == [
        ["plain adults: 2", "1.50", "1.50", "3.00"],
        ["children: 2", "1.50", "1.50", "2.00"],
        ["occluded: 1", "2.00", "2.00", "2.00"],
    ]
    assert lines[7].endswith(" 1 of 4")


def test_the_demo_file_registers_like_any_other(bodyreg, demo, tmp_path):
    result = bodyreg(
        "register", "--densepose-coco", demo / "densepose-coco" / "densepose.json",
        "--iterations", 80, "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.status == 0
    assert "depths of keypoints: used for 7 of 7 people\n" in result.out
    ours, theirs = Fits.load(tmp_path / "out" / "fits.npz"), Fits.load(demo / "fits.npz")
    np.testing.assert_array_equal(ours.pose, theirs.pose)


def test_whole_bodies_only(bodyreg, tmp_path):
    """People cut by the picture are left out, and counted."""
    body = Body.default()
    pictures, truth = make_dataset(body, 16, seed=0)
    write_densepose_coco(tmp_path / "people.json", pictures, body.charts.name)
    result = bodyreg(
        "register", "--densepose-coco", tmp_path / "people.json", "--whole-body",
        "--iterations", 2, "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.status == 0
    fits = Fits.load(tmp_path / "out" / "fits.npz")
    assert (truth.cut[np.isin(truth.id, fits.id)] < 0.05).all()
    assert 0 < len(fits) < len(truth)
    assert f"{len(truth) - len(fits)} not the whole body" in result.out


def test_fits_are_drawn_over_pictures(bodyreg, demo, tmp_path):
    content = json.loads((demo / "densepose-coco" / "densepose.json").read_text())
    images = tmp_path / "images"
    images.mkdir()
    for image in content["images"]:
        image["file_name"] = f"{image['id']}.png"
        picture = np.full((image["height"], image["width"], 3), (0, 200, 0), np.uint8)
        cv2.imwrite(str(images / image["file_name"]), picture)
    (tmp_path / "people.json").write_text(json.dumps(content))
    arguments = (
        "register", "--densepose-coco", tmp_path / "people.json", "--images", images,
        "--iterations", 2, "--overlays", 3, "--out", tmp_path / "out",
    )  # fmt: skip
    assert bodyreg(*arguments).status == 0
    page = cv2.imread(str(tmp_path / "out" / "overlays.png"))
    assert (page == (0, 200, 0)).all(-1).mean() > 0.1
    without = [word for word in arguments if word not in ("--images", images)]
    result = bodyreg(*without[:-1], tmp_path / "without")
    assert "overlays.png shows no pictures: to see them, give their folder" in result.out


@pytest.mark.parametrize("arguments", [(), ("--preset", "paper")])
def test_info(bodyreg, arguments):
    result = bodyreg("info", *arguments)
    assert (result.status, result.error) == (0, "")
    expected = "dense_width=inf" if arguments else "CUDA kernels for"
    assert expected in result.out


def test_info_of_a_body(bodyreg, body_file):
    assert "96 vertices" in bodyreg("info", "--body", body_file).out


def test_help_version_and_unknown_commands(bodyreg):
    assert bodyreg("--help").status == 0
    assert bodyreg().status == 2
    assert bodyreg("--version").out.startswith("bodyreg ")
    result = bodyreg("regster")
    assert result.status == 2
    assert result.error.count("\n") == 1


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from bodyreg.cli import main; main(['--help']); "
        "sys.exit(bool({'torch', 'numpy', 'tyro'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_an_interrupt_ends_quietly(bodyreg, monkeypatch):
    def interrupt(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("bodyreg.cli._dispatch", interrupt)
    result = bodyreg("info")
    assert result.status == INTERRUPTED
    assert result.error == "bodyreg: interrupted\n"


def test_a_closed_pipe_ends_quietly():
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run(
        [sys.executable, "-m", "bodyreg", "--help"], stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    assert result.stderr == b""
    assert result.returncode == 141
