"""The painting networks: their sizes, where they read, what they do with what is missing."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from bodyreg import UserError
from bodyreg.painting import (
    Discriminator,
    Generator,
    GeneratorConfig,
    PixelWarper,
    PlainGenerator,
    Refiner,
    RefinerConfig,
    UnetConfig,
)
from bodyreg.painting.generator import Gate
from bodyreg.painting.refiner import TRUST
from bodyreg.painting.unet import LEAST_SLOPE, bounded
from bodyreg.training.loops import seeded
from bodyreg.transfer import Provenance

DEEPFASHION, MARKET = {}, {"levels": 5, "warped": 4}
SMALL = {"levels": 3, "width": 4, "widest": 8}
MODES = ("none", "hard_gate", "soft_gate", "residual", "residual_alone")


def count(network: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(
    ("sizes", "options", "expected"),
    [
        (DEEPFASHION, {}, 12_657_283),
        (DEEPFASHION, {"shared_downs": True}, 11_881_539),
        (DEEPFASHION, {"gating": "none"}, 10_769_539),
        (DEEPFASHION, {"gating": "none", "shared_downs": True}, 9_993_795),
        (MARKET, {}, 7_735_427),
        (MARKET, {"shared_downs": True}, 7_255_107),
    ],
)
def test_generators_have_the_papers_sizes(sizes, options, expected):
    with torch.device("meta"):
        assert count(Generator(GeneratorConfig(**sizes, **options))) == expected


@pytest.mark.parametrize(
    ("kind", "deepfashion", "market"),
    [(PlainGenerator, 8_360_451, 5_046_787), (PixelWarper, 8_358_017, 5_044_353)],
)
def test_other_networks_have_the_papers_sizes(kind, deepfashion, market):
    with torch.device("meta"):
        assert count(kind()) == deepfashion
        assert count(kind(UnetConfig(5))) == market


def test_discriminator():
    with torch.device("meta"):
        network = Discriminator()
        assert count(network) == 2_787_137
        inputs = [torch.empty(1, channels, 256, 256) for channels in (3, 3, 18)]
        assert network(*inputs).shape == (1, 1, 30, 30)
        inputs = [picture[..., :128, :64] for picture in inputs]
        assert network(*inputs).shape == (1, 1, 14, 6)


def inputs(seed: int, size: tuple[int, int] = (16, 16), people: int = 2) -> list[torch.Tensor]:
    """A picture, a pose, a flow and a visibility."""
    random = torch.Generator().manual_seed(seed)
    source = torch.rand(people, 3, *size, generator=random) * 2 - 1
    pose = (torch.rand(people, 18, *size, generator=random) < 0.1).float()
    flow = 3 * torch.randn(people, 2, *size, generator=random)
    visibility = torch.randint(0, 3, (people, *size), generator=random, dtype=torch.uint8)
    return [source, pose, flow, visibility]


def read(features: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """`features` where the flow points, by torch's own."""
    height, width = features.shape[2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x = 2 * (columns + flow[:, 0]) / max(width - 1, 1) - 1
    y = 2 * (rows + flow[:, 1]) / max(height - 1, 1) - 1
    return functional.grid_sample(features, torch.stack([x, y], -1), align_corners=True)


@pytest.mark.parametrize("masked", [True, False])
def test_features_are_read_where_the_pooled_flow_points(masked):
    """Every level, against plain torch, seen where the decoder gets them."""
    config = GeneratorConfig(**SMALL, warped=3, gating="none", masked_pooling=masked)
    with seeded(0):
        network = Generator(config).eval()
    source, pose, flow, visibility = inputs(1)
    seen = {}
    network.decoder.register_forward_pre_hook(lambda module, given: seen.update(given=given))
    with torch.no_grad():
        network(source, pose, flow, visibility)
        bottom, skips = network.appearance(source)
        of_pose, _ = network.pose(pose)
    person = (visibility < 2)[:, None].float()
    for level, own in enumerate(skips):
        factor = 2**level
        share = functional.avg_pool2d(person, factor)
        pooled = functional.avg_pool2d(flow * person, factor) / factor
        if masked:
            pooled = torch.where(share > 0, pooled / share.clamp(min=1e-6), 0)
        for before, after in zip(own, seen["given"][1][1][level], strict=True):
            torch.testing.assert_close(after, read(before, pooled), atol=1e-5, rtol=1e-5)
    joined = network.joined(torch.cat([of_pose, bottom], 1))  # the bottom of the U is not warped
    torch.testing.assert_close(seen["given"][0], joined)


def test_levels_that_are_not_warped_are_passed_on():
    with seeded(0):
        network = Generator(GeneratorConfig(**SMALL, warped=0)).eval()
    source, pose, flow, visibility = inputs(2)
    with torch.no_grad():
        painted = network(source, pose, flow, visibility)
        assert torch.equal(painted, network(source, pose, -flow, 2 - visibility))


@pytest.mark.parametrize("gating", MODES)
def test_gates_follow_their_formulas(gating):
    config = GeneratorConfig(**SMALL, warped=1, gating=gating)
    with seeded(3):
        gate = Gate(config, 4).eval()
    random = torch.Generator().manual_seed(4)
    features = torch.randn(2, 4, 7, 5, generator=random)
    flow, visibility = (tensor[..., :7, :5].contiguous() for tensor in inputs(5, (7, 5))[2:])
    warped = read(features, flow)
    codes = visibility[:, None]
    apart = torch.cat([warped * (codes == 0), warped * (codes == 1)], 1)
    with torch.no_grad():
        if gating == "hard_gate":
            expected = warped * (codes < 2)
        elif gating == "soft_gate":
            expected = warped * torch.sigmoid(gate.layer(apart.relu()))
        elif gating == "residual":
            side = gate.layer.side(apart)
            expected = warped + gate.layer.main(torch.cat([warped, side], 1))
        elif gating == "residual_alone":
            expected = warped + gate.layer.main(warped)
        else:
            expected = warped
        found = gate(features, flow, visibility)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("gating", MODES)
@pytest.mark.parametrize("code", [0, 1, 2])
def test_gradients_are_finite_whatever_is_visible(gating, code):
    with seeded(6):
        network = Generator(GeneratorConfig(**SMALL, warped=2, gating=gating))
    source, pose, flow, visibility = inputs(7)
    painted = network(source, pose, flow, torch.full_like(visibility, code))
    assert painted.shape == source.shape
    assert painted.abs().max() <= 1
    painted.square().sum().backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())


def test_the_flow_of_the_background_is_not_read():
    with seeded(8):
        network, warper = Generator(GeneratorConfig(**SMALL, warped=3)), PixelWarper(UnetConfig(3))
    source, pose, flow, visibility = inputs(9)
    other = torch.where((visibility == 2)[:, None], torch.nan, flow)
    for net in (network.eval(), warper.eval()):
        second = [source] if net is warper else [pose]
        first = [torch.zeros_like(source)] if net is warper else [source]
        with torch.no_grad():
            found = [net(*first, *second, f, visibility) for f in (flow, other)]
        found = [f[0] if isinstance(f, tuple) else f for f in found]
        assert torch.equal(*found)


@pytest.mark.parametrize("size", [(17, 23), (44, 30), (8, 8)])
def test_pictures_of_any_size(size):
    with seeded(10):
        networks = Generator(GeneratorConfig(**SMALL, warped=3)), PlainGenerator(UnetConfig(3, 4))
    source, pose, flow, visibility = inputs(11, size)
    for network, rest in zip(networks, ([flow, visibility], []), strict=True):
        with torch.no_grad():
            assert network(source, pose, *rest).shape == source.shape


@pytest.mark.parametrize("batch_statistics", [False, True])
def test_a_picture_depends_on_its_batch_only_on_request(batch_statistics):
    config = GeneratorConfig(**SMALL, warped=2, batch_statistics=batch_statistics)
    with seeded(12):
        network = Generator(config).eval()
    given = inputs(13, people=3)
    with torch.no_grad():
        together, alone = network(*given), network(*(tensor[:1] for tensor in given))
    assert torch.allclose(together[:1], alone, atol=1e-4) != batch_statistics


def test_shared_layers_are_one():
    """With equal weights, both kinds paint the same; the shared one has them once."""
    with seeded(14):
        shared = Generator(GeneratorConfig(**SMALL, warped=2, shared_downs=True)).eval()
    apart = Generator(GeneratorConfig(**SMALL, warped=2)).eval()
    weights = shared.state_dict()
    downs = {n.removeprefix("pose."): t for n, t in weights.items() if n.startswith("pose.downs")}
    apart.load_state_dict(weights | {f"appearance.{name}": t for name, t in downs.items()})
    given = inputs(15)
    with torch.no_grad():
        assert torch.equal(shared(*given), apart(*given))


@pytest.mark.parametrize("share", [0, 1])
def test_pixel_warper_mixes(share):
    with seeded(15):
        network = PixelWarper(UnetConfig(**SMALL)).eval()
    source, _, flow, visibility = inputs(16)
    painted = torch.rand(source.shape, generator=torch.Generator().manual_seed(17))
    torch.nn.init.zeros_(network.last[-1].weight)
    torch.nn.init.constant_(network.last[-1].bias, 200.0 * share - 100)
    with torch.no_grad():
        mixed, found = network(painted, source, flow, visibility)
    assert found.shape == (2, 1, 16, 16)
    person = (visibility < 2)[:, None]
    warped = torch.where(person, read(source, torch.where(person, flow, 0)), -1)
    torch.testing.assert_close(mixed, warped if share else painted, atol=1e-5, rtol=1e-5)


def provenance(seed: int) -> torch.Tensor:
    """A few pixels of a body among the background."""
    random = torch.Generator().manual_seed(seed)
    found = torch.full((2, 16, 16), int(Provenance.BACKGROUND), dtype=torch.uint8)
    found[:, 6:9, 7:9] = torch.randint(0, 5, (2, 3, 2), generator=random, dtype=torch.uint8)
    return found


def test_a_new_refiner_trusts_the_painting():
    with seeded(18):
        network = Refiner(RefinerConfig(**SMALL, reach=3)).eval()
    painting, pose, *_ = inputs(19)
    with torch.no_grad():
        refined, trust = network(painting, provenance(20), pose)
    near = torch.zeros(16, 16, dtype=torch.bool)
    near[3:12, 4:12] = True
    expected = torch.where(near, TRUST, 1.0).expand(2, 1, 16, 16)
    torch.testing.assert_close(trust, expected)
    assert (refined - painting).abs().max() <= 2 * (1 - TRUST) + 1e-6
    assert not torch.equal(refined[..., near], painting[..., near])
    assert torch.equal(refined[..., ~near], painting[..., ~near])


@pytest.mark.parametrize("nothing", [True, False])
def test_refiner_without_a_body(nothing):
    """A picture without a person stays as it is, and teaches nothing."""
    with seeded(21):
        network = Refiner(RefinerConfig(**SMALL, reach=0))
    painting, pose, *_ = inputs(22)
    code = Provenance.BACKGROUND if nothing else Provenance.UNSEEN
    refined, _ = network(painting, torch.full((2, 16, 16), int(code), dtype=torch.uint8), pose)
    assert torch.equal(refined, painting) == nothing
    (refined - 0.3).square().sum().backward()
    grads = [weight.grad for weight in network.parameters()]
    assert all(grad.isfinite().all() for grad in grads)
    assert any(grad.abs().max() > 0 for grad in grads) != nothing


def test_colours_learn_where_tanh_is_flat():
    """A last layer that has gone too far comes back; its colours are tanh's."""
    far = torch.tensor([-180.0, -3.0, 0.0, 0.5, 180.0], requires_grad=True)
    colours = bounded(far)
    assert torch.equal(colours, torch.tanh(far))
    (slope,) = torch.autograd.grad(colours.sum(), far)
    torch.testing.assert_close(slope, 1 - torch.tanh(far) ** 2 + LEAST_SLOPE)
    assert slope.min() >= LEAST_SLOPE > 0
    beyond = torch.tensor([-torch.inf, torch.inf])
    assert torch.equal(bounded(beyond), torch.tensor([-1.0, 1.0]))


@pytest.mark.parametrize("kind", [Generator, PlainGenerator])
def test_a_generator_far_beyond_its_colours_still_learns(kind):
    network = kind(GeneratorConfig(**SMALL, warped=0)).train()
    with torch.no_grad():
        network.head[-1].bias.fill_(-1000)
    source, pose = torch.rand(2, 3, 16, 16), torch.rand(2, 18, 16, 16)
    flow, seen = torch.zeros(2, 2, 16, 16), torch.zeros(2, 16, 16, dtype=torch.uint8)
    painted = network(source, pose, *((flow, seen) if kind is Generator else ()))
    assert (painted == -1).all()
    (painted - 1).abs().mean().backward()
    torch.testing.assert_close(
        network.head[-1].bias.grad, torch.full((3,), -LEAST_SLOPE / 3), rtol=1e-4, atol=0
    )


def test_the_same_seed_gives_the_same_network():
    def network() -> Generator:
        with seeded(23):
            return Generator(GeneratorConfig(**SMALL, warped=2))

    pairs = zip(network().parameters(), network().parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (UnetConfig, {"levels": 0}, "levels 0: give 1 to 10"),
        (UnetConfig, {"width": 5000}, "width 5000: give 1 to 4,096"),
        (UnetConfig, {"blocks": 0}, "blocks 0: give 1 to 10"),
        (GeneratorConfig, {"warped": 8}, "warped 8: give 0 to 7, the levels"),
        (GeneratorConfig, {"gating": "some"}, "gating 'some': choose one of none, hard_gate"),
        (RefinerConfig, {"reach": -1}, "reach -1: give 0 to 4,096 pixels"),
    ],
)
def test_sizes_that_cannot_be(kind, options, message):
    with pytest.raises(UserError, match=message):
        kind(**options)
