"""`bodyreg transfer`, end to end on made people, by files alone.

Reference: `transfer.Appearance` of the same fits, and the colours of the made pictures.
"""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from bodyreg import Body
from bodyreg.body import JOINT_NAMES
from bodyreg.cli import main
from bodyreg.data import Fits, read_deepfashion, read_openpose
from bodyreg.data.skeletons import BODY_25
from bodyreg.pictures import read_picture, write_picture
from bodyreg.runs.fitted_pictures import FittedPictures
from bodyreg.runs.poses import of_clip, targets_of
from bodyreg.transfer import Appearance, Source
from tests.exchange.people import random_fits
from tests.synthetic.bvh_files import MIXAMO, both_sides, write_bvh


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory) -> Path:
    """DeepFashion's folder of a person in five pictures."""
    folder = tmp_path_factory.mktemp("made")
    words = "synthesize --people 5 --seed 31 --formats deepfashion --quiet --out"
    assert main([*words.split(), str(folder)]) == 0
    return folder / "deepfashion"


@pytest.fixture(scope="module")
def run(catalogue, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run") / "fits"
    words = ["register", "--deepfashion", catalogue, "--images", catalogue / "Img" / "img"]
    assert main([str(word) for word in [*words, "--quiet", "--out", out]]) == 0
    return out


def pictures(catalogue: Path) -> list[Path]:
    return [catalogue / "Img" / "img" / f"{name}.jpg" for name in read_deepfashion(catalogue).ids]


def test_of_a_run(bodyreg, catalogue, run, tmp_path):
    source, _, _, target, _ = pictures(catalogue)
    mask, out = tmp_path / "mask.png", tmp_path / "new" / "out.png"
    person = np.zeros((256, 256), np.uint8)
    person[20:250, 60:200] = 255
    write_picture(mask, person)
    words = ("--run", run, "--source", source, "--pose", target, "--masks", mask)
    colour = ("--background", "#102030")
    result = bodyreg("transfer", *words, *colour, "--out", out, "--mesh", tmp_path / "body.glb")
    assert (result.status, result.error) == (0, "")
    assert "1 picture in" in result.out and "painting" in result.out
    assert f"results: {out}" in result.out and "colours of people: visible" in result.out
    fits = Fits.load(run / "fits.npz")
    body = Body.default()
    appearance = Appearance(body, [Source(read_picture(source), person > 0, fits.select([0]))])
    expected = appearance.paint(fits.select([3]), 256, 256)
    found = read_picture(out)
    inner = expected.silhouette.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            inner &= np.roll(expected.silhouette, step, axis)
    assert np.abs(found.astype(int) - expected.picture)[inner].mean() < 0.5
    far = np.ones((256, 256), bool)
    rows, columns = np.where(expected.silhouette)
    far[rows.min() - 3 : rows.max() + 4, columns.min() - 3 : columns.max() + 4] = False
    assert (found[far] == (0x30, 0x20, 0x10)).all()
    opened = trimesh.load(tmp_path / "body.glb", force="mesh")
    assert len(opened.faces) == len(body.faces)
    again = tmp_path / "again.png"
    assert bodyreg("transfer", *words, *colour, "--out", again, "--quiet").out == ""
    assert again.read_bytes() == out.read_bytes()


def test_from_skeletons_with_details(bodyreg, catalogue, run, tmp_path):
    front, side, back, target, _ = pictures(catalogue)
    people = ("--deepfashion", catalogue, "--images", front.parent)
    words = (*people, "--source", front, back, "--pose", target, side, "--out", tmp_path / "out")
    result = bodyreg("transfer", *words, "--details")
    assert (result.status, result.error) == (0, "")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    details = [f"{kind}-{n}" for kind in ("flow", "visibility", "foreground") for n in (1, 2)]
    ends = ["", "-provenance", *(f"-{name}" for name in details)]
    assert names == {"strip.png", *(f"{p.stem}{end}.png" for p in (target, side) for end in ends)}
    assert read_picture(tmp_path / "out" / "strip.png").shape == (256, 512, 3)
    for path in (tmp_path / "out").iterdir():
        assert read_picture(path).shape[0] == 256
    # The same people, registered with others: the same bits.
    second = tmp_path / "second.png"
    words = ("--run", run, "--source", front, back, "--pose", side, "--out", second)
    assert bodyreg("transfer", *words).status == 0
    assert second.read_bytes() == (tmp_path / "out" / f"{side.stem}.png").read_bytes()


def clip_file(path: Path) -> Path:
    """Six frames of a person who stands with the arms down, and lifts the left one."""
    turns = np.tile(np.eye(3), (6, 24, 1, 1))
    left, right = JOINT_NAMES.index("left_shoulder"), JOINT_NAMES.index("right_shoulder")
    angles = np.linspace(-75, 60, 6)[:, None] * [0, 0, 1]
    turns[:, left] = Rotation.from_rotvec(angles, degrees=True).as_matrix()
    turns[:, right] = Rotation.from_rotvec([0, 0, 75], degrees=True).as_matrix()
    pelvis = np.tile(Rotation.from_euler("y", 130, degrees=True).as_matrix(), (6, 1, 1))
    write_bvh(path, Body.default().joints, turns, pelvis, names=both_sides(MIXAMO))
    return path


def openpose_file(catalogue: Path, number: int, path: Path) -> Path:
    """A picture's joints as OpenPose's file."""
    with open(catalogue / "Label" / "pose_label.pkl", "rb") as stream:
        labels = pickle.load(stream)
    joints = np.array(labels[read_deepfashion(catalogue).ids[number]], float).reshape(18, 2)
    rows = np.column_stack([np.maximum(joints, 0), (joints >= 0).all(1)])
    people = [{"pose_keypoints_2d": rows.reshape(-1).tolist()}]
    path.write_text(json.dumps({"people": people}))
    return path


def test_joints_fits_and_a_clip(bodyreg, catalogue, run, tmp_path):
    source = pictures(catalogue)[3]
    clip = clip_file(tmp_path / "wave.bvh")
    joints = openpose_file(catalogue, 0, tmp_path / "joints.json")
    words = ("--run", run, "--source", source, "--background", "white")
    poses = ("--pose", joints, clip, run / "fits.npz", "--frames", 3, "--size", 120, 160)
    result = bodyreg("transfer", *words, *poses, "--out", tmp_path / "out")
    assert (result.status, result.error) == (0, "") and "7 pictures in" in result.out
    found = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(found) == 8 and {"joints.png", "strip.png"} <= set(found)
    assert sum(name.startswith("wave-") for name in found) == 3
    for name in found:
        picture = read_picture(tmp_path / "out" / name)
        assert picture.shape == ((256, 192 * 7, 3) if name == "strip.png" else (160, 120, 3))
        assert (picture == 255).mean() > 0.3 and (picture < 250).mean() > 0.02


def test_joints_outside_of_the_painted_picture_are_read(tmp_path):
    """A file of joints does not tell the size of its picture."""
    body, random = Body.default(), np.random.default_rng(3)
    person = random_fits(random, 1)
    person = replace(
        person,
        frame=np.array([[700, 500, 240]], np.float32),
        pose=0.2 * person.pose,
        segment_scale=np.ones_like(person.segment_scale),
        rotation=np.eye(3, dtype=np.float32)[None],
        scale=np.ones(1, np.float32),
        focal=None, principal_point=None, joint_deviation=None, loss=None,
    )  # fmt: skip
    seen = person.keypoints(body, BODY_25.keypoints)[0, :, :2]
    rows = np.column_stack([[700, 500] + 240 * seen * [1, -1], np.ones(len(BODY_25))])
    path = tmp_path / "joints.json"
    path.write_text(json.dumps({"people": [{"pose_keypoints_2d": rows.reshape(-1).tolist()}]}))
    fitted = FittedPictures(body, tmp_path, None, [], np.zeros((0, 2)), person)
    (target,) = targets_of([path], fitted, person, (64, 48), None)
    assert (target.width, target.height) == (64, 48)
    found, _ = read_openpose(path)
    read = target.fit.keypoints(body, found.keypoint_name)[0, :, :2] * [1, -1]
    half = target.fit.frame[0, 2]
    distance = np.linalg.norm(target.fit.frame[0, :2] + half * read - found.keypoint_xy[0], axis=1)
    assert distance.max() < 0.1 * half


def test_a_clip_stands_on_the_ground(run, tmp_path):
    body, fits = Body.default(), Fits.load(run / "fits.npz").select([3])
    out = of_clip(clip_file(tmp_path / "wave.bvh"), body, fits, 300, 200)
    assert len(out) > 1 and out.focal is None
    places = out.vertices(body)
    pixels = 150 - 150 * places[..., 1].min(1)
    np.testing.assert_allclose(pixels, 0.95 * 300, atol=0.1)
    np.testing.assert_allclose(out.joints(body)[:, 0, 0], 0, atol=1e-5)
    assert (places[..., 1].max(1) < 1).all() and (out.rotation[0, 2, 2]) > 0.9


def test_refusals(bodyreg, catalogue, run, tmp_path):
    front, _, back, target, _ = pictures(catalogue)
    base = ("transfer", "--run", run, "--source", front)
    out = tmp_path / "out.png"

    def refusal(*words):
        refused = bodyreg(*words).refusal
        assert not out.exists() and not list(tmp_path.glob(".*"))
        return refused

    assert "Missing from bodyreg transfer: --pose FILE ...; --out" in refusal(*base)
    assert "--run FOLDER or one of" in refusal("transfer", "--source", front, "--pose", back)
    ends = ("--out", out)
    assert "none.bvh: no such pose file" in refusal(*base, "--pose", run / "none.bvh", *ends)
    text = tmp_path / "pose.txt"
    text.write_text("no")
    assert "pose.txt: not a pose; expected a picture, joints" in refusal(
        *base, "--pose", text, *ends
    )
    two = ("--pose", back, target)
    assert "2 poses make as many pictures; name a folder" in refusal(*base, *two, *ends)
    assert "one pose makes one picture" in refusal(*base, "--pose", back, "--out", tmp_path / "f")
    twice = ("--pose", back, back, "--out", tmp_path / "f")
    assert "would be written for 2 poses" in refusal(*base, *twice)
    for name, message in (
        ("strip", "strip.png: is the strip of all paintings"),
        (f"{back.stem}-flow", f"{back.stem}-flow.png: would be written 2 times, as --details"),
    ):
        pose = openpose_file(catalogue, 0, tmp_path / f"{name}.json")
        words = ("--pose", back, pose, "--out", tmp_path / "f", "--details")
        assert message in refusal(*base, *words)
    one = ("--pose", back, *ends)
    assert "six digits, #rrggbb" in refusal(*base, *one, "--background", "#12345z")
    assert "no background here" in refusal(*base, *one, "--background", tmp_path / "no.png")
    assert "2 masks for 1 sources" in refusal(*base, *one, "--masks", front, back)
    small = tmp_path / "small.png"
    write_picture(small, np.zeros((20, 30), np.uint8))
    assert "is 30 x 20 pixels; its picture is 256 x 256" in refusal(*base, *one, "--masks", small)
    stranger = tmp_path / "stranger.jpg"
    stranger.write_bytes(front.read_bytes())
    unknown = ("transfer", "--run", run, "--source", stranger, *one)
    assert "knows no person in 'stranger.jpg'; its pictures are named" in refusal(*unknown)
    assert "a finished run (--run) has its own" in refusal(*base, *one, "--deepfashion", catalogue)
    assert "--frames must be the number" in refusal(*base, *one, "--frames", 0)
    assert "the file is a .glb" in refusal(*base, *one, "--mesh", tmp_path / "a.obj")
    assert "from 1 to 8,192" in refusal(*base, *one, "--size", 0, 3)


def test_what_is_read_is_not_written_over(bodyreg, catalogue, run, tmp_path):
    """Paintings have the names of their poses, which may lie in the same folder."""
    first, second, third = (tmp_path / f"{path.stem}.png" for path in pictures(catalogue)[:3])
    for path, picture in zip((first, second, third), pictures(catalogue), strict=False):
        write_picture(path, read_picture(picture))
    mask = tmp_path / "strip.png"
    write_picture(mask, np.full((256, 256), 255, np.uint8))
    detail, link = tmp_path / "out-flow.png", tmp_path / "link.png"
    write_picture(detail, np.zeros((9, 9, 3), np.uint8))
    os.link(second, link)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    out, several = tmp_path / "out.png", ("--pose", second, third, "--out", tmp_path)
    one = ("--pose", second, "--out")
    for words, kept in (
        (several, second),
        ((*one, second), second),
        ((*one, link), link),
        ((*one, first), first),
        ((*one, mask, "--masks", mask), mask),
        ((*one, detail, "--background", detail), detail),
        ((*one, out, "--background", detail, "--details"), detail),
        (("--pose", *pictures(catalogue)[3:], "--out", tmp_path, "--masks", mask), mask),
    ):
        line = bodyreg("transfer", "--run", run, "--source", first, *words).refusal
        assert f"{kept}: is read, so it cannot be written" in line
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}


def test_pictures_of_a_run_by_their_names(bodyreg, catalogue, run, tmp_path, monkeypatch):
    source, _, _, target, _ = pictures(catalogue)
    monkeypatch.chdir(tmp_path)
    words = ("transfer", "--run", run, "--background", "white")
    assert bodyreg(*words, "--source", source, "--pose", target, "--out", "a.png").status == 0
    result = bodyreg(*words, "--source", source.name, "--pose", target.name, "--out", "b.png")
    assert (result.status, result.error) == (0, "")
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    # A file of this path goes before the run's.
    write_picture(source.name, np.zeros((256, 256, 3), np.uint8))
    bodyreg(*words, "--source", source.name, "--pose", target, "--out", "c.png", "--quiet")
    assert Path("a.png").read_bytes() != Path("c.png").read_bytes()
    missing = (*words, "--source", "none.png", "--pose", target, "--out", "d.png")
    assert "none.png: no picture here" in bodyreg(*missing).refusal
    missing = (*words, "--source", source, "--pose", "../none.png", "--out", "d.png")
    assert "none.png: no such pose file" in bodyreg(*missing).refusal


def test_a_person_of_the_colour_of_the_background(bodyreg, catalogue, run, tmp_path, monkeypatch):
    source, _, _, target, _ = pictures(catalogue)
    monkeypatch.chdir(tmp_path)
    write_picture(source.name, np.full((256, 256, 3), 90, np.uint8))
    words = ("transfer", "--run", run, "--source", source.name, "--pose", target)
    warning = f"warning: {source.name}: the person was not told from the background"
    assert warning in bodyreg(*words, "--out", "a.png").error
    assert bodyreg(*words, "--out", "b.png", "--quiet").error == ""
    mask = np.zeros((256, 256), np.uint8)
    mask[20:250, 60:200] = 255
    write_picture("mask.png", mask)
    assert bodyreg(*words, "--masks", "mask.png", "--out", "c.png").error == ""
