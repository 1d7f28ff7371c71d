"""The networks: their shapes, and what a mirror does."""

from __future__ import annotations

import torch
from torch import nn

from bodyreg.lifting.joints import JOINTS, MIRROR, poses_of
from bodyreg.lifting.network import SPREADS, Discriminator, Generator
from bodyreg.training.loops import seeded

from .people import people


def test_eight_linear_layers_each():
    for network, outputs in ((Generator(32), 2 * len(JOINTS)), (Discriminator(32), 1)):
        layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
        assert len(layers) == 8
        assert [layer.out_features for layer in layers] == [32] * 7 + [outputs]


def test_shapes_and_ranges():
    poses = poses_of(people(11, 0)[0])
    with seeded(3):
        lifting, judge = Generator(16), Discriminator(16)
    depth, spread = lifting(poses)
    assert depth.shape == spread.shape == (11, len(JOINTS)) and judge(poses).shape == (11,)
    assert (spread > SPREADS[0]).all() and (spread < SPREADS[1]).all()
    assert not depth[:, JOINTS.index("pelvis")].any()
    for middle, end in (("pelvis", "hip"), ("thorax", "shoulder")):
        ends = [depth[:, JOINTS.index(f"{side}_{end}")] for side in ("left", "right")]
        torch.testing.assert_close(depth[:, JOINTS.index(middle)], sum(ends) / 2)


def test_both_sides_do_not_know_left_from_right():
    poses = poses_of(people(6, 1)[0])
    with seeded(4):
        lifting = Generator(16)
    assert not torch.equal(lifting(poses)[0], lifting(poses.mirrored())[0][:, MIRROR])
    for one, other in zip(
        lifting.both_sides(poses), lifting.both_sides(poses.mirrored()), strict=True
    ):
        assert torch.equal(one, other[:, MIRROR])


def test_a_seed_gives_the_same_weights_and_leaves_other_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    weights = []
    for seed in (1, 1, 2):
        with seeded(seed):
            weights.append(Generator(8).mlp.first.weight)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
