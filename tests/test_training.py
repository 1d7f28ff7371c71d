"""What loops share: a loop that was killed ends with the bits of one that was not."""

from __future__ import annotations

import builtins
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from bodyreg import UserError
from bodyreg.cli import process
from bodyreg.errors import InstallationError
from bodyreg.runs import ranks
from bodyreg.training.batch_norm import BatchNorm
from bodyreg.training.checkpoints import fingerprint_of, load_checkpoint, save_checkpoint
from bodyreg.training.curves import NO_CURVES, curves, named
from bodyreg.training.loops import (
    batches,
    check_batch,
    check_numbers,
    cosine,
    end_step,
    follow,
    generator,
    seeded,
    summed,
)
from bodyreg.training.optimizers import Muon, Optimizers, set_learning_rate
from bodyreg.training.processes import add_up, from_first, is_first, own_share
from bodyreg.training.progress import Progress
from tests.forked import run_pair


class KilledError(Exception):
    """Of a loop, at any place."""


def loop(path, steps, *, killed_at=-1, every=3, made_of="one"):
    """A small training; its weights, and the losses of the steps that it took."""
    random = generator(1)
    with seeded(1):
        net, mean = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    adam = torch.optim.Adam(net.parameters())
    progress = Progress(path, {"data": made_of}, {"net": net, "mean": mean}, {"adam": adam}, random)
    progress.resume()
    losses = []
    while progress.step < steps:
        if progress.step == killed_at:
            raise KilledError
        set_learning_rate(0.1 * cosine(progress.step / steps, 0.1), adam)
        x = torch.randn(4, 3, generator=random)
        loss = (net(x) - x[:, :2].flip(1)).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        follow(mean, net, 0.9)
        progress.step += 1
        losses.append(loss.item())
        if progress.step % every == 0:
            progress.save()
    progress.save()
    return [*net.parameters(), *mean.parameters()], losses


def steps_from(step: int, count: int, batch: int, epochs: int = 2):
    """What the batches of a loop that goes on at a step were, and what it told when."""
    progress = Progress(None, {}, {}, {}, generator(0), step)
    taken, told = [], {}

    def order(random):
        return torch.randperm(count, generator=random)

    for one in batches(progress, order, epochs, batch, seed=5):
        taken.append((one.chosen.tolist(), one.epoch, one.passed, one.last))
        numbers = summed(("a", "b"), (torch.tensor(1.5), torch.tensor(len(one)).float()))
        end_step(
            progress,
            numbers,
            last=one.last,
            every=3,
            curves=NO_CURVES,
            report=told.__setitem__,
            watch=lambda step: {"step": step},
        )
    return taken, told


@pytest.mark.parametrize(("count", "batch"), [(7, 3), (6, 3), (2, 3), (1, 1)])
def test_batches(count, batch):
    """An epoch takes what is there once, but for the rest; a loop goes on where it was."""
    taken, told = steps_from(0, count, batch)
    steps, size = len(taken) // 2, min(batch, count)
    assert steps == max(1, count // batch) and all(len(one[0]) == size for one in taken)
    for epoch in (0, 1):
        some = taken[epoch * steps : (epoch + 1) * steps]
        places = [place for one in some for place in one[0]]
        assert len(set(places)) == len(places) and set(places) <= set(range(count))
        assert [one[1] for one in some] == [epoch] * steps
    assert [one[2] for one in taken] == [n / len(taken) for n in range(len(taken))]
    assert [one[3] for one in taken] == [False] * (len(taken) - 1) + [True]
    due = [n for n in range(1, len(taken) + 1) if n % 3 == 0 or n == len(taken)]
    assert told == {n: {"a": 1.5, "b": size, "step": n} for n in due}
    for step in range(len(taken) + 1):
        assert steps_from(step, count, batch)[0] == taken[step:]


def test_what_no_process_can_learn_from(monkeypatch):
    check_batch(1, 8, "pair", "pairs")
    with pytest.raises(UserError, match=r"^there is no pair to learn from$"):
        check_batch(0, 8, "pair", "pairs")
    monkeypatch.setattr("bodyreg.training.loops.processes", lambda: (0, 4))
    check_batch(4, 8, "pair", "pairs")
    for count, batch in ((3, 8), (8, 3)):
        with pytest.raises(UserError, match=r"^4 processes cannot share 3 pairs of a batch; start"):
            check_batch(count, batch, "pair", "pairs")


def test_numbers_that_no_training_can_have():
    @dataclass
    class Config:
        epochs: int = 1
        rate: float = 0.0
        held_out: float = 0.5
        name: str = "any"

    def check(**values):
        check_numbers(Config(**values), ("epochs",), below_one=("held_out",))

    check(rate=7.0, held_out=0)
    for values, message in (
        ({"epochs": 0}, "option epochs is 0; it must be finite and above 0"),
        ({"rate": -1.0}, "option rate is -1.0; it must be finite and at least 0"),
        ({"rate": math.nan}, "option rate is nan"),
        ({"held_out": 1.0}, "option held_out is 1.0; it must be below 1"),
        ({"held_out": math.inf}, "option held_out is inf; it must be finite"),
    ):
        with pytest.raises(UserError, match=message):
            check(**values)


@pytest.mark.parametrize("killed_at", range(11))
def test_a_killed_loop_ends_with_the_same_bits(tmp_path, killed_at):
    whole, losses = loop(None, 11)
    path = tmp_path / "state.safetensors"
    with pytest.raises(KilledError):
        loop(path, 11, killed_at=killed_at)
    resumed, rest = loop(path, 11)
    assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))
    assert rest == losses[killed_at // 3 * 3 :]
    again, none = loop(path, 11)
    assert none == [] and all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))


def test_the_state_of_another_training_is_refused(tmp_path):
    path = tmp_path / "state.safetensors"
    loop(path, 3)
    with pytest.raises(UserError, match="of a run with other"):
        loop(path, 3, made_of="two")


@pytest.mark.parametrize("name", ["random", "optimizer.adam.0.exp_avg", "module.net.weight"])
def test_a_state_without_a_tensor_is_refused(tmp_path, name):
    path = tmp_path / "state.safetensors"
    loop(path, 3)
    tensors, facts = load_checkpoint(path, Progress.FORMAT)
    less = {key: tensor for key, tensor in tensors.items() if key != name}
    for wrong in (less, less | {name: torch.zeros(1)}, less | {name + "x": torch.zeros(1)}):
        save_checkpoint(path, Progress.FORMAT, wrong, facts)
        with pytest.raises(UserError, match=r"state\.safetensors: [^\n]+$"):
            loop(path, 5)


@pytest.mark.parametrize("step", [None, -1, "x", [], 1.5])
def test_a_state_of_no_step_is_refused(tmp_path, step):
    path = tmp_path / "state.safetensors"
    loop(path, 3)
    tensors, facts = load_checkpoint(path, Progress.FORMAT)
    save_checkpoint(path, Progress.FORMAT, tensors, facts | {"step": step})
    with pytest.raises(UserError, match="damaged"):
        loop(path, 5)


def troubled(arguments: list[str]) -> int:
    """A loop of several processes, of which the first one alone meets an error in its third step.

    Args:
        arguments: Where: in `watch`, or in what is written to the file of this name.
    """
    (where,) = arguments
    path = None if where == "watch" else Path(where)
    net = torch.nn.Linear(2, 1)
    progress = Progress(path, {}, {"net": net}, {}, generator(0))

    def watch(step: int) -> dict[str, float]:
        if where == "watch" and step == 3 and is_first():
            raise UserError("nothing to see")
        return {}

    def train() -> int:
        with ranks.joined() as several, several.together():
            assert from_first(ranks.rank()) == 0
            progress.resume()
            for step in range(5):
                add_up([net.weight.detach()])
                if step == 2 and is_first():
                    net.weight.detach().fill_(torch.nan)
                end_step(
                    progress, {}, last=step == 4, every=1, curves=NO_CURVES,
                    report=lambda step, numbers: print(step), watch=watch,
                )  # fmt: skip
        return 0

    return process.run("troubled", train)


@pytest.mark.parametrize("where", ["watch", "file"])
def test_an_error_of_the_first_process_ends_all(where, tmp_path):
    """The others do not wait for it for ever."""
    path = tmp_path / "state.safetensors"
    done = run_pair(troubled, ["watch" if where == "watch" else path])
    assert done.statuses == [2, 2]
    assert sorted(done.stdout.split()) == ["1", "1", "2", "2"]
    if where == "watch":
        assert done.stderr == "troubled: error: nothing to see\n"
    else:
        assert done.stderr.startswith(f"troubled: error: {path}: not written, because 'module.net.")
        assert done.stderr.count("\n") == 1
        assert load_checkpoint(path, Progress.FORMAT)[1]["step"] == 2


def features(dtype: torch.dtype) -> torch.Tensor:
    """(6, 5, 4, 3) whose channels have other means and spreads."""
    x = torch.randn(6, 5, 4, 3, generator=generator(7))
    return (x * torch.logspace(-1, 1, 5)[:, None, None] + torch.arange(5.0)[:, None, None]).to(
        dtype
    )


def layer_of(
    kind: str, layer: type[torch.nn.BatchNorm2d]
) -> tuple[torch.nn.BatchNorm2d, torch.dtype]:
    """A layer that learns, of one kind, and the type of what it normalises."""
    norm = layer(5, track_running_stats=kind != "batch")
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, 5))
        norm.bias.copy_(torch.linspace(-1, 1, 5))
    return norm, torch.bfloat16 if kind == "bfloat16" else torch.float32


def normalised(norm: torch.nn.BatchNorm2d, x: torch.Tensor, mine: slice) -> dict[str, torch.Tensor]:
    """What a layer makes of its part of a batch; gradients, and statistics."""
    part = x[mine].clone().requires_grad_()
    y = norm(part)
    (y.float() * torch.arange(float(x.numel())).view(x.shape).sin()[mine]).sum().backward()
    assert part.grad is not None and y.dtype == x.dtype
    statistics = {name: value.detach() for name, value in norm.named_buffers()}
    return {"y": y.detach(), "x": part.grad, "weight": norm.weight.grad, **statistics}


def normalise(arguments: list[str]) -> int:
    """A batch in parts: in the folder, a file of each kind and each process."""
    (folder,) = arguments
    with ranks.joined() as several:
        for kind in ("running", "batch", "bfloat16"):
            norm, dtype = layer_of(kind, BatchNorm)
            found = normalised(norm, features(dtype), own_share(6))
            torch.save(found, Path(folder) / f"{kind}{several.rank}.pt")
    return 0


def test_two_processes_normalise_by_the_whole_batch(tmp_path):
    done = run_pair(normalise, [tmp_path])
    assert done.statuses == [0, 0], done.stderr
    for kind, tolerance in (("running", 1e-5), ("batch", 1e-5), ("bfloat16", 1e-2)):
        norm, dtype = layer_of(kind, torch.nn.BatchNorm2d)
        whole = normalised(norm, features(dtype), slice(None))
        parts = [torch.load(tmp_path / f"{kind}{rank}.pt") for rank in (0, 1)]
        found = {name: parts[0][name] for name in whole}
        found |= {name: torch.cat([part[name] for part in parts]) for name in ("y", "x")}
        found["weight"] = parts[0]["weight"] + parts[1]["weight"]
        assert set(found) == set(parts[1])
        for name, value in whole.items():
            scale = value.abs().max()
            assert (found[name] - value).abs().max() <= tolerance * scale, (kind, name)


def test_checkpoints(tmp_path):
    path = tmp_path / "deep" / "a.safetensors"
    tensors = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.tensor([True])}
    save_checkpoint(path, "kind-1", tensors, {"x": [1, None, "é"]})
    found, facts = load_checkpoint(path, "kind-1")
    assert facts == {"x": [1, None, "é"]}
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    assert [p.name for p in path.parent.iterdir()] == ["a.safetensors"]
    with pytest.raises(UserError, match=r"a\.safetensors: is 'kind-1', expected 'kind-2'"):
        load_checkpoint(path, "kind-2")
    with pytest.raises(UserError, match="no such checkpoint file"):
        load_checkpoint(tmp_path / "b", "kind-1")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_has_diverged_is_not_written(tmp_path, value):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, "kind-1", {"a": torch.ones(3)}, {})
    before = path.read_bytes()
    with pytest.raises(UserError, match="not written, because 'a' is not finite; lower the learn"):
        save_checkpoint(path, "kind-1", {"a": torch.tensor([1, value])}, {})
    assert path.read_bytes() == before


def test_nothing_is_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    torch.save(Bomb(), tmp_path / "bomb.safetensors")
    with pytest.raises(UserError, match="not a checkpoint"):
        load_checkpoint(tmp_path / "bomb.safetensors", "kind-1")


def test_rates():
    assert [cosine(0), cosine(1), cosine(0.5), cosine(1, 0.1)] == pytest.approx([1, 0, 0.5, 0.1])
    assert cosine(0.25) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


@pytest.mark.parametrize("shape", [(6, 5, 3, 3), (40, 3, 1, 1), (7, 9)])
def test_muon_takes_steps_of_like_singular_values(shape):
    """They have the singular vectors of the gradients' mean, whatever its singular values are."""
    random, rate = generator(3), 0.1
    weight = torch.nn.Parameter(torch.randn(shape, generator=random))
    matrix = torch.nn.Parameter(weight.detach().flatten(1).clone())
    ours, theirs = Muon([weight], rate), torch.optim.Muon([matrix], rate, weight_decay=0.0)
    mean = torch.zeros(weight.flatten(1).shape, dtype=torch.float64)
    for _ in range(3):
        before = weight.detach().clone()
        scale = torch.logspace(0, -2, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
        gradient = scale * torch.randn(shape, generator=random)
        weight.grad, matrix.grad = gradient, gradient.flatten(1)
        if len(shape) == 4:
            weight.grad = gradient.to(memory_format=torch.channels_last)  # as convolutions give it
        mean = 0.95 * mean + 0.05 * gradient.flatten(1)
        ours.step()
        theirs.step()
        longer = max(1, mean.shape[0] / mean.shape[1]) ** 0.5
        step = (before - weight.detach()).flatten(1).double() / (rate * longer)
        u, _, vh = torch.linalg.svd(0.95 * mean + 0.05 * gradient.flatten(1), full_matrices=False)
        found = u.mT @ step @ vh.mT
        assert ((found.diagonal() > 0.6) & (found.diagonal() < 1.3)).all()
        np.testing.assert_allclose(found - found.diagonal().diag(), 0, atol=1e-4)
        near = 0.05 * rate * longer
        np.testing.assert_allclose(weight.detach().flatten(1), matrix.detach(), atol=near)


def test_muon_moves_hidden_layers_alone():
    """Convolutions without a bias; not the last layer, nor what does not learn."""
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 2, 1)
    )
    still = torch.nn.Conv2d(3, 4, 1, bias=False).requires_grad_(False)
    found = Optimizers(torch.nn.ModuleList([layers, still]), 0.1, 20.0).by_name
    moved = {name: some.param_groups[0]["params"] for name, some in found.items()}
    assert [id(weight) for weight in moved["Muon"]] == [id(layers[0].weight)]
    others = [layers[1].weight, layers[1].bias, layers[2].weight, layers[2].bias]
    assert [id(weight) for weight in moved["Adam"]] == [id(weight) for weight in others]
    assert Optimizers(layers, 0.1).by_name.keys() == {"Adam"}


def test_missing_libraries_are_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name.startswith(("safetensors", "torch.utils.tensorboard")):
            raise ImportError(name)
        return real(name, *rest, **options)

    for name in [name for name in sys.modules if name.startswith("safetensors")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InstallationError, match=r"pip install 'bodyreg\[train\]'"):
        save_checkpoint(tmp_path / "a", "kind-1", {}, {})
    with pytest.raises(InstallationError, match="pip install tensorboard"), curves(tmp_path):
        pass


def test_curves_of_no_folder_are_written_nowhere():
    with curves(None) as writer:
        writer.add_scalar("loss", 1.0, 3)


def test_curves_of_a_loop_have_its_name():
    class Writer:
        def __init__(self):
            self.written = []

        def add_scalar(self, *written):
            self.written.append(written)

        def add_image(self, *written, dataformats):
            self.written.append((*written, dataformats))

    writer, picture = Writer(), np.zeros((4, 5, 3), np.uint8)
    named(writer, "round1").add_scalar("loss", 0.5, 3)
    named(writer, "round2").add_image("people", picture, 4, dataformats="HWC")
    assert writer.written == [
        ("round1/loss", 0.5, 3),
        ("round2/people", picture, 4, "HWC"),
    ]
    assert named(NO_CURVES, "round1") is NO_CURVES


def test_fingerprints_tell_values_types_and_shapes_apart():
    some = [
        (np.zeros(4), ()), (np.zeros((2, 2)), ()), (np.zeros(8, np.float32), ()),
        (torch.ones(3), 1), (torch.ones(3), "1"), (np.array(["a", "b"]), None),
    ]  # fmt: skip
    assert len({fingerprint_of(values) for values in some}) == len(some)
    assert fingerprint_of([torch.ones(2, 3).T]) == fingerprint_of([np.ones((3, 2), np.float32)])
    assert len(fingerprint_of([])) == 64


def test_all_is_imported_without_the_libraries_of_training():
    program = (
        "import sys\n"
        "for absent in ('safetensors', 'tensorboard'):\n"
        "    sys.modules[absent] = None\n"
        "import bodyreg.lifting, bodyreg.regression, bodyreg.training.curves, bodyreg.cli.lift\n"
        "import train.lift, train.regress\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
