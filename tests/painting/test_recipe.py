"""train/transfer.py, from a folder of made pairs to painters."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bodyreg import Body, Fits, register
from bodyreg.cli import main as bodyreg
from bodyreg.data.deepfashion import read_pose_pairs
from bodyreg.painting import Painter
from bodyreg.painting.discriminator import Discriminator
from bodyreg.training.loops import seeded
from tests.forked import run_pair
from train.paint import main as paint
from train.transfer import lessons_of, painted
from train.transfer import main as train

SMALL = ["architecture.height=64", "architecture.width=32", "epochs=1", "held_out=0.4"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Market-1501's folder with two people who learn and others who are held out."""
    out = tmp_path_factory.mktemp("made")
    options = ["--people", "20", "--seed", "3", "--quiet", "--formats", "market1501"]
    assert bodyreg(["synthesize", *options, "--out", str(out)]) == 0
    return out / "market1501"


def test_from_pairs_to_painters(made, tmp_path, capsys):
    """A generator, a pixel warper on top of it, and a refiner; again, the same bytes."""
    common = ["--pairs", str(made), "--preset", "smoke"]

    def command(kind: str, *more: str) -> list[str]:
        return [*common, "--kind", kind, "--out", str(tmp_path / kind), *more, "--set", *SMALL]

    assert train(command("generator")) == 0
    path = tmp_path / "generator" / "painter.safetensors"
    printed = capsys.readouterr().out
    assert "held out person " in printed and printed.endswith(f"painter: {path}\n")
    assert Painter.load(path).facts["pairs"] > 0
    fits = tmp_path / "generator" / "fits.npz"
    assert len(Fits.load(fits)) == 20
    given = ["--fits", str(fits)]
    data = path.read_bytes()
    assert train(command("generator")) == 0 and path.read_bytes() == data
    kept = fits.read_bytes()
    assert train([*command("generator", *given), "batch=3"]) == 2
    assert "of a run with other config; " in capsys.readouterr().err and fits.read_bytes() == kept
    assert train(command("pixel_warper", *given, "--generator", str(path))) == 0
    warper = Painter.load(tmp_path / "pixel_warper" / "painter.safetensors")
    for name, weight in Painter.load(path).network.generator.state_dict().items():
        assert weight.equal(warper.network.generator.state_dict()[name])
    capsys.readouterr()
    assert train(command("refiner", *given)) == 0
    assert "held out person of paintings " in capsys.readouterr().out

    for more, message in (
        (["--split", "some"], "--split some: no such pairs; choose one of "),
        (["--kind", "pixel_warper"], "a pixel warper needs a generator"),
        (["--preset", "market1501"], "the losses content and style need VGG-19's weights"),
        (
            ["--kind", "pixel_warper", "--generator", str(path), "--seed", "1", "--set", *SMALL],
            "has learnt from people who are held out now; give its --seed",
        ),
        (["--set", "architecture.kind=plain"], "architecture.kind: give --kind plain instead"),
        (["--set", "architecture.width=64"], "cannot be taught as 64 x 32"),
    ):
        arguments = [*common, *given, "--out", str(tmp_path / "other"), *more]
        assert train(arguments) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not (tmp_path / "other").exists()


@pytest.fixture(scope="module")
def refiner(made, tmp_path_factory):
    out = tmp_path_factory.mktemp("refiner")
    options = ["--preset", "smoke", "--kind", "refiner", "--set", *SMALL]
    assert train(["--pairs", str(made), "--out", str(out), *options]) == 0
    return out / "painter.safetensors"


def test_a_painter_paints_what_is_evaluated(made, refiner, tmp_path, capsys):
    """As large as the data set's pictures, as the painter paints each pair alone, enlarged."""
    out, fits = tmp_path / "painted", refiner.parent / "fits.npz"
    command = ["--pairs", str(made), "--painter", str(refiner), "--fits", str(fits)]
    assert paint([*command, "--out", str(out)]) == 0
    people, body, painter = read_pose_pairs(made), Body.default(), Painter.load(refiner)
    pairs = people.pairs["test"]
    assert capsys.readouterr().out == f"{len(pairs):,} pairs: {out}\n"
    names = [f"{people.ids[source]}_{people.ids[target]}.png" for source, target in pairs]
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    lessons = lessons_of(people, Fits.load(fits), "test", body, painter.architecture)
    one = painter.paint(painted(lessons.select(np.array([len(pairs) - 1]))))[0]
    large = cv2.resize(
        one.permute(1, 2, 0).numpy()[..., ::-1], (64, 128), interpolation=cv2.INTER_CUBIC
    )
    np.testing.assert_array_equal(cv2.imread(str(out / names[-1])), large)
    evaluate = ["evaluate-images", "--generated", str(out), "--protocol", "intrinsic-flow"]
    assert bodyreg([*evaluate, "--truth", str(made / "Images" / "img")]) == 0
    assert "L1" in capsys.readouterr().out


def test_what_cannot_be_painted(made, refiner, tmp_path, capsys):
    given, out = ["--pairs", str(made), "--out", str(tmp_path / "out")], tmp_path / "out"
    for more, message in (
        (["--painter", str(made)], "market1501"),
        (["--painter", str(refiner), "--split", "some"], "--split some: no such pairs"),
    ):
        assert paint([*given, *more]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not out.exists()


def test_two_processes_end_where_one_does(made, body: Body, tmp_path):
    """Each computes a half of every batch, for the painter and for its judge.

    Rounding switches some units of the networks, so gradients agree to some percent. If processes
    did not add up gradients or statistics, they would end farther apart.
    """
    fits = tmp_path / "fits.npz"
    register(body, read_pose_pairs(made).observations()[0]).save(fits)
    options = ["--pairs", str(made), "--preset", "smoke", "--fits", str(fits), "--set", *SMALL]
    options += ["losses.adversarial_from=1", "--out"]
    assert train([*options, str(tmp_path / "one")]) == 0
    done = run_pair(train, [*options, tmp_path / "two"])
    assert done.statuses == [0, 0], done.stderr
    assert done.stdout.count("painter: ") == 1

    one, two = (load_file(tmp_path / n / "state.safetensors") for n in ("one", "two"))
    architecture = Painter.load(tmp_path / "one" / "painter.safetensors").architecture
    with seeded(0):
        judge = Discriminator(architecture.network.batch_statistics)
    start = {
        f"module.{name}.{key}": tensor
        for name, network in (("network", Painter.new(architecture).network),
                              ("discriminator", judge))
        for key, tensor in network.state_dict().items()
    }  # fmt: skip

    def apart(*names: str, running: bool = False) -> float:
        """The distance between both ends, in steps from the start."""
        chosen = [k for k in start if k.split(".")[1] in names and ("running_" in k) == running]
        ends = [torch.cat([s[k].flatten().double() for k in chosen]) for s in (start, one, two)]
        return float((ends[2] - ends[1]).norm() / (ends[1] - ends[0]).norm())

    assert apart("network") < 0.2 and apart("discriminator") < 0.08
    assert apart("network", "discriminator", running=True) < 0.01
