"""The network of FID against torch-fidelity's, and the scores against their definitions."""

import sys

import numpy as np
import pytest
import scipy.linalg
import torch

from bodyreg.errors import InstallationError, UserError
from bodyreg.metrics.inception import Inception, inception_scores
from tests.metrics.inception_weights import MeanColours, made_weights, write_weights

# torch-fidelity 0.4.0, of `made_weights()` and of the picture below: every 256th feature, and every
# 126th logit.
FEATURES = [1.260043, 1.178141, 1.436735, 0.0, 1.672366, 4.154106, 1.551108, 0.368689]
LOGITS = [
    17.470329, -8.123421, -1.871281, -5.666317, -10.448363, 2.15684, -15.080827, 4.05726,
]  # fmt: skip


def test_the_network_is_that_of_torch_fidelity(tmp_path):
    network = Inception.load(write_weights(tmp_path / "weights.pth"))
    picture = np.random.default_rng(12).integers(0, 256, (1, 3, 64, 32), dtype=np.uint8)
    with torch.inference_mode():
        features, logits = network(torch.from_numpy(picture).float())
    np.testing.assert_allclose(features[0, ::256], FEATURES, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(logits[0, ::126], LOGITS, rtol=1e-4, atol=1e-3)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    weights = made_weights()
    del weights["Mixed_7c.branch_pool.conv.weight"]
    torch.save(weights, path)
    with pytest.raises(UserError, match="its tensors are not those of this network"):
        Inception.load(path)
    with pytest.raises(UserError, match="no such weights file"):
        Inception.load(tmp_path / "none.pth")


def test_the_scores_are_their_definitions():
    random = np.random.default_rng()
    sets = [
        [random.integers(0, high, (3, 2, 3), dtype=np.uint8) for _ in range(count)]
        for high, count in ((256, 20), (200, 31))
    ]
    scores = inception_scores(MeanColours(), *sets)
    fake, real = (np.array([p[..., ::-1].mean((0, 1)) for p in some]) for some in sets)
    spread = [np.cov(some.T) for some in (fake, real)]
    root = scipy.linalg.sqrtm(spread[0] @ spread[1]).real
    expected = ((fake.mean(0) - real.mean(0)) ** 2).sum() + np.trace(sum(spread) - 2 * root)
    assert scores.fid == pytest.approx(expected, rel=1e-5)

    logits = fake / 40
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        shares = shares[torch.randperm(len(shares)).numpy()]
    of_splits = [
        np.exp((some * np.log(some / some.mean(0))).sum(1).mean()) for some in np.split(shares, 10)
    ]
    assert scores.inception == pytest.approx(np.mean(of_splits), rel=1e-5)
    assert scores.inception_deviation == pytest.approx(np.std(of_splits, ddof=1), rel=1e-3)
    assert inception_scores(MeanColours(), *sets) == scores


def test_equal_sets_have_no_distance():
    random = np.random.default_rng()
    some = [random.integers(0, 256, (4, 4, 3), dtype=np.uint8) for _ in range(12)]
    assert inception_scores(MeanColours(), some, some).fid == pytest.approx(0, abs=1e-3)


def test_one_picture_is_too_few():
    picture = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(UserError, match="two generated and two real pictures"):
        inception_scores(MeanColours(), [picture], [picture, picture])


def test_torchmetrics_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics.image", None)
    with pytest.raises(InstallationError, match="FID and IS need torchmetrics: pip install"):
        inception_scores(MeanColours(), [], [])
