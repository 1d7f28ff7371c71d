"""The measure of lifters."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks import lifting, people
from bodyreg.lifting import AdversarialConfig, Lifter
from bodyreg.lifting.network import Generator
from bodyreg.training.loops import seeded


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("people")
    with pytest.MonkeyPatch.context() as patch:
        options = ["--count", "12", "--set", "iterations=1", "starts=1"]
        patch.setattr(sys, "argv", ["people", str(path), *options])
        people.main()
    return path


def test_true_places_have_no_error_and_others_theirs(folder):
    study = lifting.Study("made", *people.load(folder, "focal"))
    true = 7 * study.places
    assert study.whole.any() and max(study.errors(true)) < 1e-4
    flat, pa = study.errors(true * [1, 1, 0])
    assert flat > pa > 10
    turned, pa = study.errors(true @ np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]]))
    assert turned > 100 and pa < 1e-3


def test_tables(folder, tmp_path, monkeypatch, capsys):
    """All tables; a table that was begun goes on."""
    with seeded(0):
        Lifter(Generator(8)).save(tmp_path / "lifter.safetensors")
    few = AdversarialConfig(width=8, steps=2, batch=4)
    monkeypatch.setattr(lifting, "AdversarialConfig", lambda: few)
    monkeypatch.setattr(lifting, "VARIANTS", {"all": {}, "no views": {"views": "one"}})
    fits = {"a": ("paper", {"iterations": 2}, True), "b": ("accurate", {"iterations": 2}, False)}
    monkeypatch.setattr(lifting, "FITS", fits)
    xy = np.random.default_rng(0).uniform(0, 300, (9, 34))
    np.save(tmp_path / "poses.npy", xy)
    words = [
        "lifting", "--people", f"made={folder}", "--lifters", f"one={tmp_path}/lifter.safetensors",
        "--mpii", f"{tmp_path}/poses.npy", "--ablation", f"{tmp_path}/ablation", "--seeds", "2",
    ]  # fmt: skip
    page = tmp_path / "page.md"
    page.write_text("# Before\n<!-- tables:begin -->\nold\n<!-- tables:end -->\nafter\n")
    monkeypatch.setattr(sys, "argv", [*words, "--out", str(page)])
    lifting.main()
    first = capsys.readouterr().out
    text = page.read_text()
    assert text.startswith("# Before\n<!--") and text.endswith("-->\nafter\n") and "old" not in text
    assert first.strip().splitlines()[-1] in text
    for name in ("depth zero", "one", "one, made", "a", "b", "all", "no views"):
        assert f"| {name} |" in first
    kept = sorted(path.name for path in (tmp_path / "ablation").iterdir())
    assert kept == ["0.json", "1.json", "views=one_0.json", "views=one_1.json"]
    monkeypatch.setattr(lifting, "train_adversarial", lambda *_, **__: pytest.fail("trained anew"))
    lifting.main()
    assert capsys.readouterr().out == first
