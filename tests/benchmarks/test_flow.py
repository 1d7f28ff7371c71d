"""The comparison of ways to get a flow."""

from __future__ import annotations

import re

import numpy as np
import pytest

from benchmarks import flow
from bodyreg.data.skeletons import COCO_18

MIDDLES = np.stack(np.meshgrid(np.arange(flow.SIDE), np.arange(flow.SIDE)), -1) + 0.5


def test_limbs_of_a_picture_that_is_turned_and_enlarged():
    # Every limb moves by the same similarity, and so does every pixel.
    random = np.random.default_rng()
    target = random.uniform(60, 200, (18, 2))
    angle, size = random.uniform(-1, 1), random.uniform(0.5, 2)
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = flow.limb_flow(target @ turn.T + [3, -8], target)
    np.testing.assert_allclose(found, MIDDLES @ turn.T + [3, -8] - MIDDLES, atol=1e-8)


def test_the_nearest_limb_moves_a_pixel():
    joint = COCO_18.joints.index
    target = np.full((18, 2), np.nan)
    target[joint("left_elbow")], target[joint("left_wrist")] = (50, 50), (50, 90)
    target[joint("right_knee")], target[joint("right_ankle")] = (200, 100), (200, 180)
    source = target.copy()
    source[[joint("left_elbow"), joint("left_wrist")]] += [5, 0]
    source[[joint("right_knee"), joint("right_ankle")]] += [0, -7]
    found = flow.limb_flow(source, target)
    np.testing.assert_allclose(found[70, :120], np.tile([5, 0], (120, 1)), atol=1e-9)
    np.testing.assert_allclose(found[140, 140:], np.tile([0, -7], (116, 1)), atol=1e-9)
    source[joint("left_wrist")] = np.nan  # then its limb tells nothing
    found = flow.limb_flow(source, target)
    np.testing.assert_allclose(found, np.broadcast_to([0, -7], found.shape), atol=1e-9)


def test_errors_of_known_flows():
    kind = np.array([[0, 0, 1, 2]], np.uint8)
    truth = np.zeros((1, 4, 2)), kind
    errors = flow.Errors()
    found = np.array([[[3.0, 4], [0, 0], [0, 1], [9, 9]]])
    errors.add((found, np.array([[0, 1, 2, 0]], np.uint8)), truth)
    assert errors.epe == pytest.approx(2.0)
    assert errors.right == pytest.approx(1 / 3) and errors.right_if_covered == pytest.approx(1 / 2)


def test_bodies_are_nearer_to_the_truth_than_limbs(capsys):
    flow.main(["--people", "1", "--seed", "9"])
    out = capsys.readouterr().out
    assert out.startswith("20 pairs of 1 people. Hidden in the source: ")
    rows = dict(re.findall(r"\| ([^|]+) \| ([\d.]+) \|", out))
    zero, limb, exact = (
        float(rows[name])
        for name in ("zero", "nearest limb's 2-D similarity", "bodies registered to exact joints")
    )
    assert exact < limb < zero
    assert len(rows) == 6
