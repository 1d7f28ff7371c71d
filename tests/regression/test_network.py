"""The networks: torchvision's names, the mean body at the start, weights from files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bodyreg import UserError
from bodyreg.body import QUATERNION
from bodyreg.regression import Architecture, Regressor
from bodyreg.regression.network import Network
from bodyreg.regression.outputs import mean_parameters
from bodyreg.training.checkpoints import load_checkpoint, save_checkpoint
from bodyreg.training.loops import seeded

from .people import seen_in, some_fits


def small(seed: int = 0, **options) -> Network:
    with seeded(seed):
        return Network(Architecture("small", 8, **options)).eval()


def torchvisions_resnet50() -> dict[str, tuple[int, ...]]:
    """Name -> shape of what torchvision's resnet50 has in its state dict."""
    shapes: dict[str, tuple[int, ...]] = {}

    def normalisation(name: str, channels: int) -> None:
        for kind in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{kind}"] = (channels,)
        shapes[f"{name}.num_batches_tracked"] = ()

    shapes["conv1.weight"] = (64, 3, 7, 7)
    normalisation("bn1", 64)
    channels = 64
    for layer, (count, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), 1):
        for block in range(count):
            name = f"layer{layer}.{block}"
            kernels = ((width, channels, 1), (width, width, 3), (4 * width, width, 1))
            for number, (outputs, inputs, size) in enumerate(kernels, 1):
                shapes[f"{name}.conv{number}.weight"] = (outputs, inputs, size, size)
                normalisation(f"{name}.bn{number}", outputs)
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (4 * width, channels, 1, 1)
                normalisation(f"{name}.downsample.1", 4 * width)
            channels = 4 * width
    shapes |= {"fc.weight": (1000, 2048), "fc.bias": (1000,)}
    return shapes


@pytest.fixture(scope="module")
def large() -> Network:
    with seeded(0):
        return Network(Architecture("resnet50")).eval()


def test_the_names_are_torchvisions(large):
    expected = torchvisions_resnet50()
    assert len(expected) == 320  # as torchvision's files have
    assert sum(np.prod(s) for n, s in expected.items() if not n.endswith("_tracked")) == 25_610_152
    del expected["fc.weight"], expected["fc.bias"]
    assert {n: tuple(t.shape) for n, t in large.backbone.state_dict().items()} == expected
    strides = {n: m.stride[0] for n, m in large.named_modules() if isinstance(m, torch.nn.Conv2d)}
    halving = {n.removeprefix("backbone.") for n, stride in strides.items() if stride == 2}
    expected = {f"layer{k}.0.{n}" for k in (2, 3, 4) for n in ("conv2", "downsample.0")}
    assert halving == {"conv1", *expected}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("counts", [True, False])
def test_weights_from_files(large, tmp_path, suffix, counts):
    random = torch.Generator().manual_seed(1)
    weights = {
        name: torch.zeros((), dtype=torch.int64)
        if name.endswith("_tracked")
        else torch.rand(shape, generator=random)
        for name, shape in torchvisions_resnet50().items()
        if counts or not name.endswith("_tracked")
    }
    path = tmp_path / f"resnet50{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(weights, path)
    large.load_backbone(path)
    for name, tensor in large.backbone.state_dict().items():
        assert torch.equal(tensor, weights.get(name, torch.tensor(0)))


def test_other_weights_are_refused(tmp_path):
    network = small()
    before = [p.clone() for p in network.parameters()]

    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    own = network.backbone.state_dict()
    name = next(iter(own))
    for content, message in (
        (Bomb(), "no weights of torch, or damaged"),
        ([1], "no state dict"),
        ({**own, "more": torch.ones(1)}, "not those of this network"),
        ({**own, name: own[name][:1]}, "not those of this network"),
        ({**own, name: own[name] / 0}, "not finite"),
    ):
        path = tmp_path / "weights.pth"
        torch.save(content, path)
        with pytest.raises(UserError, match=f"weights.pth: [^\n]*{message}"):
            network.load_backbone(path)
    (tmp_path / "weights.safetensors").write_bytes(b"abc")
    with pytest.raises(UserError, match=r"weights.safetensors: not a checkpoint"):
        network.load_backbone(tmp_path / "weights.safetensors")
    with pytest.raises(UserError, match="no such weights file"):
        network.load_backbone(tmp_path / "none.pth")
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


@pytest.mark.parametrize("kind", ["resnet50", "small"])
def test_a_network_begins_at_the_mean_body(kind):
    with seeded(2):
        network = Network(Architecture(kind))
    found = network(torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(3)))
    flat = QUATERNION.join(found)
    assert flat.shape == (3, 132)
    assert 0 < (flat - mean_parameters()).abs().max() < 0.3
    assert (flat - mean_parameters()).abs().mean() < 0.03


@pytest.mark.parametrize("side", [64, 65, 33, 224])
def test_pictures_of_any_side_and_none_of_the_others_counts(side):
    network, pictures = small(), torch.rand(4, 3, side, side)
    together = QUATERNION.join(network.train()(pictures))
    alone = torch.cat([QUATERNION.join(network(p[None])) for p in pictures])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)
    assert network(pictures[:0]).pose.shape == (0, 24, 4)


def test_six_numbers_cannot_reflect():
    pictures = torch.rand(2, 3, 32, 32)
    for six_numbers, sign in ((False, -1), (True, 1)):
        network = small(six_numbers=six_numbers)
        with torch.no_grad():
            network.head.bias[QUATERNION.slices["rotation"]] *= -1
        determinant = torch.linalg.det(network(pictures).rotation)
        assert torch.equal(determinant.round(), torch.full((2,), float(sign)))


@pytest.mark.parametrize("options", [{"kind": "vgg"}, {"width": 20}, {"width": 0}, {"width": 8192}])
def test_architectures_that_do_not_exist(options):
    with pytest.raises(UserError, match=r"choose resnet50 or small|multiple of 8"):
        Architecture(**{"kind": "small", **options})


@pytest.mark.parametrize("side", [-5, 0, 5000])
def test_sides_that_no_file_can_have(side):
    with pytest.raises(UserError, match=f"side {side}: give 1 to 4,096 pixels"):
        Regressor.new(Architecture("small", 8), side)


def test_a_regressor_comes_back_from_its_file(tmp_path, body):
    regressor = Regressor(small(six_numbers=True), 32, {"seed": 3})
    path = tmp_path / "r.safetensors"
    regressor.save(path, people=7)
    again = Regressor.load(path)
    assert again.network.architecture == Architecture("small", 8, True)
    assert again.side == 32 and again.facts == {"seed": 3, "people": 7}
    fits = some_fits(70, 0)
    crops = torch.randint(256, (70, 3, 32, 32), dtype=torch.uint8)
    one, other = (r.predict(crops, seen_in(fits)) for r in (regressor, again))
    for name in ("id", "frame", "pose", "segment_scale", "rotation", "scale", "translation"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert np.isfinite(one.vertices(body)).all() and (one.id == fits.id).all()
    for wrong in (crops[:5], crops.float(), crops[..., :-1]):
        with pytest.raises(ValueError, match="expected uint8 of shape"):
            regressor.predict(wrong, seen_in(fits))


@pytest.mark.parametrize(
    "change",
    [
        {"side": 0},
        {"side": "64"},
        {"side": 1 << 20},
        {"facts": []},
        {"architecture": {}},
        {"architecture": {"kind": "small", "width": 1 << 20}},
        {"architecture": {"kind": "small", "width": 8.0}},
        {"architecture": {"kind": "small", "depth": 8}},
        {"architecture": [1]},
        {"architecture": None},
    ],
)
def test_damaged_facts_are_refused(tmp_path, change):
    path = tmp_path / "r.safetensors"
    Regressor(small(), 32).save(path)
    tensors, facts = load_checkpoint(path, "bodyreg-regressor-1")
    save_checkpoint(path, "bodyreg-regressor-1", tensors, facts | change)
    with pytest.raises(UserError, match=r"r\.safetensors: [^\n]+$"):
        Regressor.load(path)
