"""bodyreg evaluate-images: folders of pictures, by files alone."""

import csv
import json
import sys

import cv2
import numpy as np
import pytest
import torch

from bodyreg.data.corr import Correspondence, write_corr
from bodyreg.files import fingerprint
from bodyreg.metrics.images import IMAGE_METRICS, flat_silhouette, image_errors
from bodyreg.metrics.inception import Inception, inception_scores
from bodyreg.metrics.lpips import Lpips
from bodyreg.metrics.protocols import PROTOCOLS
from tests.metrics.inception_weights import MeanColours

SIDE, PICTURES = 60, 3


def png(path, picture):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


@pytest.fixture
def made(tmp_path):
    """Pictures, masks and what sources show, as arrays, and in folders as PNG and .corr."""
    random = np.random.default_rng()
    people = []
    for row in range(PICTURES):
        truth = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        noisy = truth + random.normal(0, 30, truth.shape)
        generated = np.clip(noisy, 0, 255).astype(np.uint8)
        person = random.random((SIDE, SIDE)) < 0.4
        kind = np.where(person, random.integers(0, 2, person.shape), 2).astype(np.uint8)
        png(tmp_path / "truth" / f"p{row}.png", truth)
        png(tmp_path / "generated" / f"s{row}_p{row}.png", generated)
        png(tmp_path / "masks" / f"p{row}.png", np.where(person, 255, 0).astype(np.uint8))
        png(tmp_path / "kinds" / f"s{row}_p{row}.png", kind)
        (tmp_path / "corr").mkdir(exist_ok=True)
        place = np.zeros((SIDE, SIDE, 2), np.float32)
        write_corr(tmp_path / "corr" / f"p{row}_s{row}.corr", Correspondence(place, kind))
        people.append((generated, truth, person, kind))
    return people


@pytest.fixture
def measure(bodyreg, tmp_path, made):
    def measure(*options, protocol="intrinsic-flow"):
        return bodyreg(
            "evaluate-images", "--generated", tmp_path / "generated", "--truth",
            tmp_path / "truth", "--protocol", protocol, *options,
        )  # fmt: skip

    return measure


def rows_of(out):
    with (out / "evaluation.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("seen", ["kinds", "corr"])
def test_every_number(measure, made, tmp_path, seen):
    out = tmp_path / "out"
    result = measure(
        "--masks", tmp_path / "masks", "--visibility", tmp_path / seen, "--out", out,
    )  # fmt: skip
    assert (result.status, result.error) == (0, "")
    rows = rows_of(out)
    assert [(r["id"], r["target"], r["source"]) for r in rows] == [
        (f"s{i}_p{i}", f"p{i}", f"s{i}") for i in range(PICTURES)
    ]
    record = json.loads((out / "evaluation.json").read_text())
    for row, (generated, truth, person, kind) in zip(rows, made, strict=True):
        flat = flat_silhouette(truth, person)
        expected = image_errors(generated, truth, person, kind)
        expected |= {
            f"silhouette_{name}": value
            for name, value in image_errors(flat, truth, person, kind).items()
        }
        for name, value in expected.items():
            column = f"{name} [dB]" if name.endswith("psnr") else name
            assert float(row[column]) == pytest.approx(value, rel=1e-5), name
    mean = np.mean([float(row["l1_hidden"]) for row in rows])
    assert record["all"]["l1_hidden"]["mean"] == pytest.approx(mean, rel=1e-5)
    assert record["all"]["people"] == PICTURES
    assert set(IMAGE_METRICS) < set(record["metrics"])
    lines = {line.split("  ")[0]: line.split() for line in result.out.splitlines()}
    assert float(lines["L1 hidden"][-5]) == pytest.approx(mean, abs=6e-5)
    floor = np.mean([float(row["silhouette_l1_person"]) for row in rows])
    assert float(lines["L1 person"][-1]) == pytest.approx(floor, abs=6e-5)


def test_it_prints_what_papers_dispute(measure):
    result = measure()
    assert result.status == 0
    for line in (
        "its SSIM:  ssim_7, window of 7 x 7, range 255",
        "formats:   generated .png; true .png",
        "sizes:     generated 60 x 60; true 60 x 60; compared 60 x 60",
        "filter:    none, sizes must be equal",
        "padding:   none",
    ):
        assert line in result.out.splitlines()
    assert "silhouette" not in result.out
    result = measure("--size", 20, 30, protocol="gfla")
    assert "compared 20 x 30" in result.out and "bicubic with antialiasing" in result.out
    assert "padded with white to 256 columns" in measure(protocol="patn").out


def test_sizes(measure, made, tmp_path):
    """Different sizes are refused, or resized as the protocol says."""
    small = cv2.resize(made[0][0], (31, 45))
    png(tmp_path / "generated" / "s0_p0.png", small)
    refusal = measure().refusal
    assert "s0_p0.png: 31 x 45 pixels, but the true picture has 60 x 60" in refusal
    result = measure(
        "--size", 53, 51, "--masks", tmp_path / "masks", "--out", tmp_path / "out",
        protocol="gfla",
    )  # fmt: skip
    assert "generated 2 of 60 x 60, 1 of 31 x 45; true 60 x 60; compared 53 x 51" in result.out
    protocol = PROTOCOLS["gfla"].__class__("ssim_51", "", size=(53, 51))
    prepared = [protocol.prepared(picture) for picture in (small, made[0][1])]
    person = protocol.prepared_labels(made[0][2], 0)
    expected = image_errors(*prepared, person, mask_ssim="ssim_51")
    row = rows_of(tmp_path / "out")[0]
    for name in ("ssim_51", "mask_ssim", "l1_person"):
        assert float(row[name]) == pytest.approx(expected[name], rel=1e-5)


def test_grey_and_transparent_pictures(measure, made, tmp_path):
    generated, truth, *_ = made[0]
    png(tmp_path / "generated" / "s0_p0.png", np.dstack([generated, 128 + 0 * generated[..., :1]]))
    png(tmp_path / "truth" / "p1.png", made[1][1][..., 0])
    assert measure("--out", tmp_path / "out").status == 0
    rows = rows_of(tmp_path / "out")
    expected = image_errors(generated, truth)["l1"]
    assert float(rows[0]["l1"]) == pytest.approx(expected, rel=1e-5)
    expected = image_errors(made[1][0], made[1][1][..., :1].repeat(3, 2))["l1"]
    assert float(rows[1]["l1"]) == pytest.approx(expected, rel=1e-5)


def test_labels_of_parts_are_masks(measure, made, tmp_path):
    for row, (_, _, person, _) in enumerate(made):
        parts = np.where(person, 1 + np.arange(SIDE) % 6, 0).astype(np.uint8)
        png(tmp_path / "parts" / f"p{row}.png", parts)
    for name in ("masks", "parts"):
        assert measure("--masks", tmp_path / name, "--out", tmp_path / f"out {name}").status == 0
    assert rows_of(tmp_path / "out masks") == rows_of(tmp_path / "out parts")


def test_missing_pictures_are_named_and_counted(measure, tmp_path):
    (tmp_path / "generated" / "s0_p0.png").rename(tmp_path / "generated" / "p0.png")
    (tmp_path / "generated" / "s1_p1.png").rename(tmp_path / "generated" / "p9.png")
    (tmp_path / "generated" / "s2_p2.png").unlink()
    result = measure("--out", tmp_path / "out")
    assert "generated pictures without a true one: 1 (p9)" in result.out
    assert "pictures that were not generated: 2 (p1, p2)" in result.out
    record = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert (record["without_truth"], record["not_generated"]) == (["p9"], ["p1", "p2"])


def test_the_pairs_of_a_list(measure, tmp_path):
    pairs = tmp_path / "pairs.json"
    pairs.write_text(json.dumps({"test": [["s2", "p2"], ["s7", "p0"]], "train": [["s0", "p0"]]}))
    result = measure("--pairs", pairs, "--split", "test", "--out", tmp_path / "out")
    assert "pictures that were not generated: 1 (s7_p0)" in result.out
    assert [row["id"] for row in rows_of(tmp_path / "out")] == ["s2_p2"]


def test_equal_pictures(measure, made, tmp_path):
    """PSNR is infinite: it is left out of the statistics, and JSON has no infinity."""
    png(tmp_path / "generated" / "s0_p0.png", made[0][1])
    measure("--out", tmp_path / "out")
    text = (tmp_path / "out" / "evaluation.json").read_text()
    assert "Infinity" not in text and "NaN" not in text
    assert json.loads(text)["all"]["psnr"]["people"] == PICTURES - 1
    row = rows_of(tmp_path / "out")[0]
    assert (row["psnr [dB]"], row["l1"], row["ssim_7"]) == ("inf", "0", "1")


def test_refusals(measure, bodyreg, made, tmp_path):
    def refused(text, *options, **protocol):
        out = tmp_path / "refused"
        assert text in measure(*options, "--out", out, **protocol).refusal
        assert not out.exists() or not list(out.iterdir())

    refused("--split belongs to --pairs", "--split", "test")
    refused("--size belongs to --protocol gfla", "--size", 8, 8)
    refused("--size must be a width and a height from 1", "--size", 0, 8, protocol="gfla")
    refused("no-such-folder", "--masks", tmp_path / "no-such-folder")
    png(tmp_path / "small" / "p0.png", np.zeros((9, 8), np.uint8))
    refused("p0.png: 8 x 9 pixels, but the true picture has 60 x 60", "--masks", tmp_path / "small")
    refused("not a picture of 0 (visible)", "--visibility", tmp_path / "masks")
    (tmp_path / "masks" / "p2.png").unlink()
    refused("nothing here for 's2_p2'; add it, or leave out --masks", "--masks", tmp_path / "masks")
    (tmp_path / "generated" / "s1_p1.png").write_bytes(b"no picture")
    refused("s1_p1.png: no readable picture")
    for path in (tmp_path / "generated").iterdir():
        path.unlink()
    refused("generated: no pictures here; check the path")
    png(tmp_path / "generated" / "x.png", made[0][0])
    refused("no picture is named as one of")


def test_networks(measure, made, tmp_path, monkeypatch):
    """LPIPS for each picture, FID and the inception score of all, by files of weights."""
    files = (tmp_path / "alexnet.pth", tmp_path / "alex.pth")
    network = Lpips()
    torch.save({f"features.{n}": t for n, t in network.features.state_dict().items()}, files[0])
    torch.save({f"lin{n}.model.1.weight": w for n, w in enumerate(network.weights)}, files[1])
    inception = tmp_path / "inception.pth"
    inception.touch()
    monkeypatch.setattr(Inception, "load", {inception: MeanColours()}.__getitem__)
    for row in range(2):
        png(tmp_path / "real" / f"{row}.png", made[row][1])
    result = measure(
        "--lpips", *files, "--inception", inception, "--real", tmp_path / "real",
        "--masks", tmp_path / "masks", "--out", tmp_path / "out",
    )  # fmt: skip
    assert (result.status, result.error) == (0, "")
    for row, (generated, truth, person, _) in zip(rows_of(tmp_path / "out"), made, strict=True):
        expected = network.of_pictures(generated, truth)
        assert float(row["lpips"]) == pytest.approx(expected, rel=1e-4)
        expected = network.of_pictures(flat_silhouette(truth, person), truth)
        assert float(row["silhouette_lpips"]) == pytest.approx(expected, rel=1e-4)
    scores = inception_scores(
        MeanColours(), [people[0] for people in made], [people[1] for people in made[:2]]
    )
    content = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    folders = (tmp_path / name for name in ("generated", "truth", "masks", "real"))
    assert set(content["inputs"]) == {str(path) for path in (*folders, inception, *files)}
    real = [tmp_path / "real" / f"{row}.png" for row in range(2)]
    assert content["inputs"][str(tmp_path / "real")] == fingerprint(*real)
    sets = content["sets"]
    assert sets["fid"] == pytest.approx(scores.fid, rel=1e-4)
    assert sets["inception"] == pytest.approx(scores.inception, rel=1e-4)
    assert sets["real_pictures"] == 2
    assert f"against 2 real pictures of {tmp_path / 'real'}" in result.out


def test_refusals_of_networks(measure, tmp_path, monkeypatch):
    assert "--real belongs to --inception" in measure("--real", tmp_path / "truth").refusal
    path = tmp_path / "weights.pth"
    path.write_bytes(b"no weights")
    assert "no weights of torch, or damaged" in measure("--inception", path).refusal
    assert "no weights of torch, or damaged" in measure("--lpips", path, path).refusal
    monkeypatch.setitem(sys.modules, "torchmetrics.image", None)
    assert "FID and IS need torchmetrics" in measure("--inception", path).refusal
