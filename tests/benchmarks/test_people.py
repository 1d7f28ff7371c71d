"""The comparison of configurations on near people."""

from __future__ import annotations

import re
import sys

import numpy as np
import torch

from benchmarks import people
from bodyreg.body import JOINT_NAMES
from bodyreg.data import Truth


def test_bends_of_a_body_that_stands(body):
    """Shins that are bent backward are farther from a viewer in front, and nearer to one behind."""
    angle = np.random.default_rng().uniform(5, 60)
    pose = torch.zeros(2, 24, 3)
    for name in ("left_knee", "right_knee"):
        pose[1, JOINT_NAMES.index(name), 0] = np.radians(angle)
    joints = body.pose(pose)[1].double().numpy()
    straight, behind = people.bends(joints), people.bends(joints * [-1, 1, -1])
    lean = straight["shins"][0]
    assert abs(lean) < 3  # the trunk's joints are not quite above each other
    np.testing.assert_allclose(straight["shins"] - lean, [0, angle], atol=1e-4)
    np.testing.assert_allclose(behind["shins"], -straight["shins"], atol=1e-4)
    np.testing.assert_allclose(straight["knees"], [0, angle], atol=1e-4)
    turned = people.bends(joints[:, :, [0, 2, 1]] * [1, 1, -1])  # who lies on the back
    np.testing.assert_allclose(turned["knees"], straight["knees"], atol=1e-4)


def test_the_same_people_are_compared(tmp_path, monkeypatch, capsys):
    """A configuration does not differ from itself; people are made once."""

    def run(*options):
        monkeypatch.setattr(sys, "argv", ["people", str(tmp_path), *map(str, options)])
        people.main()
        return capsys.readouterr().out

    few = ("--set", "iterations=4", "starts=1")
    first = run("--count", 12, *few, "--save", "one")
    made = (tmp_path / "people.json").read_bytes()
    assert "| all (" in first
    again = run(*few, "--against", "one")
    assert (tmp_path / "people.json").read_bytes() == made
    for row in ("with depths", "without depths", "keypoints alone"):
        before, after = (next(line for line in text.splitlines() if row in line)
                         for text in (first, again))  # fmt: skip
        assert " +0.0±0.0 " in after
        assert re.sub(r" \+0\.0(±0\.0)?", "", after) == before
    other = run("--set", "iterations=8", "starts=1", "--against", "one", "--known", "nothing")
    assert " +0.0±0.0 " not in other.splitlines()[2]
    truth = Truth.load(tmp_path / "truth.npz")
    distance = truth.focal / (truth.scale * truth.frame[:, 2])
    assert distance.min() > 2 - 1e-4


def test_some_people_lie_or_stand_on_their_heads(body):
    """Turned motions turn about one in eight, and none of the others."""

    class Upright:
        def perform(self, person, actions, random, frames):
            return people.Performance("", np.zeros((1, 24, 3)), np.eye(3, dtype=np.float32)[None])

    random = np.random.default_rng()
    motions = people.Turned(Upright())
    up = np.array([motions.perform(None, (), random, 1).turn[0, 1, 1] for _ in range(800)])
    turned = up < people.LYING
    assert (up[~turned] == 1).all()
    assert abs(turned.mean() - people.TURNED) < 5 * np.sqrt(people.TURNED / 800)
    assert (up < -people.LYING).any()
