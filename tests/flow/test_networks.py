"""Flow networks: their sizes, what they compute, and a correction that has not learnt."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from bodyreg import UserError
from bodyreg.flow import FlowArchitecture, FlowRegressor
from bodyreg.flow.blocks import ResidualBlock
from bodyreg.flow.maps import joint_maps
from bodyreg.flow.network import FlowNetwork, on_person
from bodyreg.training.loops import seeded

SMALL = {"channels": 4, "height": 32, "width": 32, "radius": 2.0}


def joints_of(count: int, seed: int, side: int = 32) -> torch.Tensor:
    joints = side * torch.rand(count, 2, 18, 2, generator=torch.Generator().manual_seed(seed))
    joints[0, 0, 3] = torch.nan
    return joints


@pytest.mark.parametrize(
    ("kind", "levels", "size", "parameters"),
    [
        ("unet", 5, (256, 256), 29_338_189),
        ("unet", 4, (128, 64), 16_744_011),
        ("unet_v2", 5, (256, 256), 6_588_685),
        ("unet_v2", 4, (128, 64), 4_929_547),
    ],
)
def test_sizes_are_the_papers(kind, levels, size, parameters):
    how = FlowArchitecture(kind, levels, height=size[0], width=size[1])
    with torch.device("meta"):
        network = FlowNetwork(how)
        assert sum(p.numel() for p in network.parameters()) == parameters
        # The networks do not depend on values, so their shapes show on no device.
        pyramid, logits = network.backbone(torch.zeros(1, 36, *size))
    shapes = [(1, 2, size[0] >> n, size[1] >> n) for n in range(1, levels + 1)]
    assert [tuple(flow.shape) for flow in pyramid] == shapes
    assert logits.shape == (1, 3, size[0] // 2, size[1] // 2)


def test_joint_maps():
    joints = torch.tensor([[3.2, 5.7], [torch.nan, 2.0], [-0.5, 3.5], [100.0, 3.0]])
    discs, bumps = (joint_maps(joints, (8, 6), 2.0, smooth=smooth) for smooth in (False, True))
    for joint, (x, y) in enumerate(joints.tolist()):
        for row in range(8):
            for column in range(6):
                squared = torch.tensor((column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2)
                there = 0.0 if x != x else float(squared <= 4)
                assert discs[joint, row, column] == there
                bump = torch.exp(-squared / 4).nan_to_num(0)
                torch.testing.assert_close(bumps[joint, row, column], bump)
    assert discs[2].sum() > 0  # a joint beside the picture reaches into it
    assert discs[1].sum() == discs[3].sum() == 0


def test_residual_blocks():
    """In eval mode, against their formulas."""
    with seeded(1):
        plain, sided = ResidualBlock(3).eval(), ResidualBlock(3, 5).eval()
        for module in (*plain.modules(), *sided.modules()):
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                module.weight.data.normal_()
                module.bias.data.normal_()
        x, side = torch.randn(2, 3, 6, 5), torch.randn(2, 5, 6, 5)

    def usual(x, norm):
        mean, scale = norm.running_mean, norm.weight / torch.sqrt(norm.running_var + 1e-5)
        return (x - mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]

    def convolved(x, layers):
        return usual(
            functional.conv2d(x, layers[1].weight, padding=layers[1].kernel_size[0] // 2), layers[2]
        )

    torch.testing.assert_close(plain(x), x + convolved(x.relu(), plain.main))
    both = torch.cat([x, convolved(side.relu(), sided.side)], 1)
    torch.testing.assert_close(sided(x, side), x + convolved(both.relu(), sided.main))


def test_unet_of_two_levels():
    """Against the paper's layers, written in order."""
    with seeded(2):
        network = FlowNetwork(FlowArchitecture("unet", 2, **SMALL)).eval()
    net, joints = network.backbone, joints_of(3, 0)
    leaky, outer, inner = functional.leaky_relu, net.outermost, net.outermost.inside
    x = net.stem(joint_maps(joints, (32, 32), 2.0).flatten(1, 2))
    assert x.shape == (3, 8, 16, 16)
    middle = leaky(outer.down(x), 0.2)  # its skip, too
    bottom = functional.conv2d(middle, inner.down[0].weight, stride=2, padding=1)
    up = inner.up[2](inner.up[1](bottom.relu()))
    top = outer.up[2](outer.up[1](torch.cat([middle, up], 1).relu()))
    expected = [one.flow.says(leaky(x, 0.1)) for one, x in ((outer, top), (inner, up))]
    guess = network(joints)
    for found, right in zip(guess.pyramid, expected, strict=True):
        torch.testing.assert_close(found, right)
    fine = functional.interpolate(expected[0], scale_factor=2, mode="bilinear")
    torch.testing.assert_close(guess.flow, 20 * fine)
    logits = functional.interpolate(net.visibility.says(leaky(top, 0.1)), (32, 32), mode="bilinear")
    torch.testing.assert_close(guess.logits, logits)
    assert torch.equal(guess.visibility, logits.argmax(1).to(torch.uint8))
    person = on_person(guess.flow, guess.visibility)
    assert (person[(guess.visibility == 2)[:, None].expand_as(person)] == 0).all()


@pytest.mark.parametrize("kind", ["unet", "unet_v2"])
def test_a_pair_does_not_depend_on_its_batch(kind):
    regressor = FlowRegressor.new(FlowArchitecture(kind, 3, **SMALL), 1)
    joints = joints_of(3, 1).numpy()
    whole = regressor.between(joints[:, 0], joints[:, 1], (32, 32))
    one = regressor.between(joints[1:2, 0], joints[1:2, 1], (32, 32))
    torch.testing.assert_close(one.flow, whole.flow[1:2], atol=1e-4, rtol=1e-4)
    assert (one.visibility != whole.visibility[1:2]).float().mean() < 0.01


def test_everything_gets_a_gradient():
    for kind, corrects in (("unet", False), ("unet_v2", False), ("unet", True)):
        network = FlowNetwork(FlowArchitecture(kind, 3, **SMALL, corrects=corrects))
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(0.01 * torch.randn_like(weight))  # heads of a correction begin at 0
        given = (torch.randn(2, 2, 32, 32), torch.randint(3, (2, 32, 32), dtype=torch.uint8))
        guess = network(joints_of(2, 2), *(given if corrects else ()))
        loss = sum(f.square().sum() for f in guess.pyramid) + guess.logits.square().sum()
        loss.backward()
        assert all(p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("kind", ["unet", "unet_v2"])
def test_a_correction_begins_with_what_fits_say(kind):
    random = torch.Generator().manual_seed(3)
    how = FlowArchitecture(kind, 3, **SMALL, corrects=True)
    network = FlowRegressor.new(how).network.eval()
    flow = 9 * torch.randn(2, 2, 32, 32, generator=random)
    kinds = torch.randint(3, (2, 32, 32), generator=random, dtype=torch.uint8)
    guess = network(joints_of(2, 3), flow, kinds)
    torch.testing.assert_close(guess.flow, flow)
    assert torch.equal(guess.visibility, kinds)
    for level, found in enumerate(guess.pyramid):
        torch.testing.assert_close(20 * found, functional.avg_pool2d(flow, 2 << level))
    with pytest.raises(ValueError, match="flow, visibility: expected those of fitted bodies"):
        network(joints_of(2, 3))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "resnet"}, "network 'resnet' is unknown; choose unet or unet_v2"),
        ({"levels": 0}, "levels 0: give 1 to 8"),
        ({"channels": 0}, "channels 0: give 1 to 512"),
        ({"radius": float("nan")}, "radius nan: give pixels above 0"),
        ({"height": 176}, "height 176: give a multiple of 64 up to 4096"),
        ({"width": 8192}, "width 8192: give a multiple of 64 up to 4096"),
    ],
)
def test_networks_that_cannot_be(values, message):
    with pytest.raises(UserError, match=message):
        FlowArchitecture(**values)


def test_files(tmp_path):
    path = tmp_path / "flow.safetensors"
    regressor = FlowRegressor.new(FlowArchitecture("unet_v2", 2, **SMALL, corrects=True), 4)
    regressor.save(path, command="test")
    again = FlowRegressor.load(path)
    assert again.architecture == regressor.architecture and again.facts == {"command": "test"}
    states = regressor.network.state_dict(), again.network.state_dict()
    assert all(torch.equal(states[0][name], tensor) for name, tensor in states[1].items())
    regressor.network.architecture = FlowArchitecture("unet_v2", 3, **SMALL, corrects=True)
    regressor.save(path)
    with pytest.raises(UserError, match="its tensors are not those of this network"):
        FlowRegressor.load(path)
    object.__setattr__(regressor.network.architecture, "levels", True)
    regressor.save(path)
    with pytest.raises(UserError, match="what it says of the flow regressor is damaged"):
        FlowRegressor.load(path)
