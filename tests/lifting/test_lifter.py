"""Lifters: what they give observations, their files, and the sign of their depths."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch

from bodyreg import UserError
from bodyreg.data.flip import flip_observations
from bodyreg.lifting import Lifter
from bodyreg.lifting.joints import JOINTS, poses_of
from bodyreg.lifting.network import Generator
from bodyreg.lifting.sign import calibrated_sign
from bodyreg.training.checkpoints import FACTS, save_checkpoint
from bodyreg.training.loops import seeded
from tests.data.test_damaged import attempt

from .people import people
from .test_losses import true_people


def some_lifter(**options) -> Lifter:
    with seeded(0):
        return Lifter(Generator(24), **options)


class Planted(torch.nn.Module):
    """A network that knows the true depths of some people, in both of their mirror images."""

    def __init__(self, depth: torch.Tensor) -> None:
        super().__init__()
        self.depth = depth

    def both_sides(self, poses):
        return self.depth, torch.full_like(self.depth, 0.1)


@pytest.mark.parametrize("seed", range(3))
def test_planted_flips_are_found(seed):
    poses, depth = true_people(40, seed)
    assert calibrated_sign(Planted(depth), poses) == 1
    assert calibrated_sign(Planted(-depth), poses) == -1
    few_wrong = torch.where(torch.arange(40)[:, None] < 10, -depth, depth)
    assert calibrated_sign(Planted(few_wrong), poses) == 1
    assert calibrated_sign(Planted(-few_wrong), poses) == -1
    without = poses.seen_by(torch.tensor([float("ankle" not in n) for n in JOINTS]).double(), True)
    assert calibrated_sign(Planted(-depth), without) == -1


def test_the_sign_turns_all_depths():
    seen, _ = people(4, 0)
    one = some_lifter().lift(seen)
    other = replace(some_lifter(), sign=-1).lift(seen)
    np.testing.assert_array_equal(one.keypoint_depth, -other.keypoint_depth)
    np.testing.assert_array_equal(one.keypoint_depth_spread, other.keypoint_depth_spread)


def test_the_factor_of_spreads():
    seen, _ = people(3, 9)
    one, other = some_lifter().lift(seen), some_lifter(spread_factor=3.0).lift(seen)
    np.testing.assert_array_equal(one.keypoint_depth, other.keypoint_depth)
    spreads = other.keypoint_depth_spread / one.keypoint_depth_spread
    np.testing.assert_allclose(spreads[~np.isnan(spreads)], 3, rtol=1e-5)


def test_depths_are_in_frame_units():
    seen, _ = people(5, 1)
    larger = replace(seen, frame=seen.frame * np.float32([1, 1, 2]))
    one, other = some_lifter().lift(seen), some_lifter().lift(larger)
    for name in ("keypoint_depth", "keypoint_depth_spread"):
        np.testing.assert_allclose(getattr(one, name), 2 * getattr(other, name), rtol=1e-4)


def test_what_is_absent_or_unknown_gets_no_depth():
    seen, _ = people(5, 2)
    weight = seen.keypoint_weight.copy()
    weight[1, 7], weight[2], weight[3, 5:] = 0, 0, 0
    lifted = some_lifter().lift(replace(seen, keypoint_weight=weight))
    known = ~np.isnan(lifted.keypoint_depth)
    np.testing.assert_array_equal(known, ~np.isnan(lifted.keypoint_depth_spread))
    assert not known[weight == 0].any() and not known[2:4].any()
    assert not known[:, 1:5].any(), "eyes and ears are no joints"
    assert known[0, [0, *range(5, 17)]].all() and known[1].sum() == 12
    without = replace(some_lifter(), joints=tuple(j for j in JOINTS if j != "nose")).lift(seen)
    assert np.isnan(without.keypoint_depth[:, 0]).all() and known[0, 0]
    lifted.check()


def test_joints_that_a_lifter_does_not_know_change_nothing():
    seen, _ = people(4, 3)
    lifter = replace(some_lifter(), joints=tuple(j for j in JOINTS if j not in ("nose", "head")))
    moved = seen.keypoint_xy.copy()
    moved[:, :5] += 40
    one, other = lifter.lift(seen), lifter.lift(replace(seen, keypoint_xy=moved))
    np.testing.assert_allclose(one.keypoint_depth, other.keypoint_depth, atol=1e-6)


def test_cameras_are_read_only_if_the_lifter_has_learnt_to():
    seen, _ = people(4, 4)
    near = replace(seen, focal=np.full(4, 500, np.float32))
    blind, seeing = some_lifter(), some_lifter(perspective=True)
    same = blind.lift(near).keypoint_depth, blind.lift(seen).keypoint_depth
    np.testing.assert_array_equal(*same)
    assert np.nanmax(np.abs(seeing.lift(near).keypoint_depth - same[0])) > 1e-4


def test_a_mirror_image_has_the_same_depths(body):
    seen, _ = people(6, 5)
    lifted = some_lifter().lift(seen)
    flipped = some_lifter().lift(flip_observations(seen, body, 600))
    back = flip_observations(flipped, body, 600)
    assert back.keypoint_name == lifted.keypoint_name
    for name in ("keypoint_depth", "keypoint_depth_spread"):
        np.testing.assert_allclose(getattr(back, name), getattr(lifted, name), atol=1e-5)


def test_depths_do_not_depend_on_the_other_people(monkeypatch):
    seen, _ = people(50, 6)
    whole = some_lifter().lift(seen)
    monkeypatch.setattr("bodyreg.lifting.lifter.AT_ONCE", 7)
    pieces = some_lifter().lift(seen)
    alone = some_lifter().lift(seen.select(slice(11, 12)))
    np.testing.assert_array_equal(whole.keypoint_depth, pieces.keypoint_depth)
    np.testing.assert_array_equal(whole.keypoint_depth[11:12], alone.keypoint_depth)


def test_no_people_and_no_joints():
    seen, _ = people(2, 7)
    assert some_lifter().lift(seen.select(slice(0, 0))).keypoint_depth.shape == (0, 17)
    with pytest.raises(UserError, match="the lifter knows only pelvis"):
        replace(some_lifter(), joints=("pelvis",)).lift(seen)


def test_files(tmp_path):
    lifter = replace(some_lifter(perspective=True, spread_factor=2), sign=-1, joints=JOINTS[:9])
    path = tmp_path / "lifter.safetensors"
    lifter.save(path, seed=4)
    first = path.read_bytes()
    lifter.save(path, seed=4)
    assert path.read_bytes() == first
    found = Lifter.load(path)
    assert (found.joints, found.sign, found.perspective) == (JOINTS[:9], -1, True)
    assert found.spread_factor == 2
    assert found.facts == {"seed": 4}
    seen, _ = people(3, 8)
    one, other = lifter.lift(seen), found.lift(seen)
    np.testing.assert_array_equal(one.keypoint_depth, other.keypoint_depth)


def refusal(path) -> str:
    with pytest.raises(UserError) as error:
        Lifter.load(path)
    line = str(error.value)
    assert str(path) in line and "\n" not in line
    return line


def test_damaged_files_are_refused_in_one_line(tmp_path):
    lifter, path = some_lifter(), tmp_path / "lifter.safetensors"
    assert "no such" in refusal(path)
    lifter.save(path)
    good, random = path.read_bytes(), np.random.default_rng(0)
    for length in (0, 4, 8, 50, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:length])
        refusal(path)
    header = int.from_bytes(good[:8], "little")
    refused = 0
    for _ in range(150):
        data = bytearray(good)
        for place in random.integers(0, 8 + header, random.integers(1, 4)):
            data[place] = random.integers(256)
        path.write_bytes(data)
        refused += attempt(lambda: Lifter.load(path), str(path))
    assert refused > 75


def test_depths_that_are_no_numbers_are_refused():
    seen, _ = people(3, 0)
    for value in (np.inf, 3e38):
        lifter = some_lifter()
        with torch.no_grad():
            next(lifter.network.parameters()).fill_(value)
        with pytest.raises(UserError, match="gives depths that are not finite"):
            lifter.lift(seen)


ABOUT = {
    "joints": list(JOINTS), "sign": 1, "perspective": False, "spread_factor": 1.0, "width": 24,
    "facts": {},
}  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"joints": ["nose", "tail"]}, {"joints": "nose"}, {"joints": []}, {"joints": [["nose"]]},
        {"sign": 0}, {"sign": None}, {"perspective": 1}, {"width": 1 << 40}, {"width": "24"},
        {"width": 23}, {"spread_factor": 1e300}, {"facts": []}, {"width": True}, {"width": 24.0},
        {"spread_factor": 0.0}, {"spread_factor": "1"}, {"spread_factor": None},
    ],
)  # fmt: skip
def test_wrong_facts_are_refused(tmp_path, wrong):
    path, tensors = tmp_path / "a.safetensors", some_lifter().network.state_dict()
    save_checkpoint(path, "bodyreg-lifter-1", tensors, ABOUT)
    Lifter.load(path)
    save_checkpoint(path, "bodyreg-lifter-1", tensors, ABOUT | wrong)
    refusal(path)


def test_wrong_tensors_are_refused(tmp_path):
    path, tensors = tmp_path / "a.safetensors", some_lifter().network.state_dict()
    last = "mlp.last.bias"
    for wrong in (
        tensors | {last: tensors[last][:-1]},
        tensors | {last: tensors[last].double()},
        tensors | {last: tensors[last] * torch.nan},
        tensors | {"more": torch.ones(3)},
        {name: tensor for name, tensor in tensors.items() if name != last},
    ):
        header = {FACTS: json.dumps({"format": "bodyreg-lifter-1", **ABOUT})}
        path.write_bytes(safetensors.torch.save(wrong, header))
        refusal(path)
    save_checkpoint(path, "bodyreg-other-1", tensors, ABOUT)
    assert "bodyreg-other-1" in refusal(path)
    (tmp_path / "b.safetensors").write_bytes(
        (
            n := json.dumps({"__metadata__": {"bodyreg": "[]"}}).encode(),
            len(n).to_bytes(8, "little") + n,
        )[1]
    )
    refusal(tmp_path / "b.safetensors")
    assert poses_of(people(1, 0)[0])
