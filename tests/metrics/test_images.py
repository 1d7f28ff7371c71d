"""Errors of painted pictures, against scikit-image and definitions written with loops."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bodyreg.metrics.images import (
    IMAGE_METRICS,
    SSIM,
    flat_silhouette,
    gain,
    image_errors,
    l1,
    psnr,
    ssim,
    ssim_map,
)


def pictures(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A random picture, and the same with noise."""
    random = np.random.default_rng()
    truth = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    noisy = truth + random.normal(0, random.uniform(1, 60), truth.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), truth


def of_skimage(name: str, generated: np.ndarray, truth: np.ndarray) -> float:
    """As the papers call scikit-image."""
    if name == "ssim_7":
        return structural_similarity(generated, truth, channel_axis=2)
    if name == "ssim_51":
        floats = (generated / 255, truth / 255)
        return structural_similarity(*floats, channel_axis=2, data_range=1, win_size=51)
    return structural_similarity(
        truth, generated, channel_axis=2, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, data_range=int(generated.max()) - int(generated.min()),
    )  # fmt: skip


@pytest.mark.parametrize("name", SSIM)
@pytest.mark.parametrize("size", [(51, 51), (64, 57), (128, 64), (53, 91)])
def test_ssim_is_that_of_scikit_image(name, size):
    generated, truth = pictures(*size)
    assert ssim(generated, truth, name) == pytest.approx(
        of_skimage(name, generated, truth), abs=1e-12
    )
    grey = [np.repeat(picture[..., :1], 3, 2) for picture in (generated, truth)]
    assert ssim(*grey, name) == pytest.approx(of_skimage(name, *grey), abs=1e-12)


def by_loops(generated: np.ndarray, truth: np.ndarray, name: str) -> float:
    """The definition of Wang et al. 2004, window by window."""
    definition = SSIM[name]
    side, half = definition.side, definition.side // 2
    axis = np.arange(side) - half
    weights = np.ones((side, side))
    if definition.sigma is not None:
        weights = np.exp(-(axis**2 + axis[:, None] ** 2) / (2 * definition.sigma**2))
    weights = weights / weights.sum()
    unbiased = side**2 / (side**2 - 1) if definition.sigma is None else 1
    extent = float(generated.max()) - float(generated.min()) if definition.of_generated else 255
    c1, c2 = (0.01 * extent) ** 2, (0.03 * extent) ** 2
    found = []
    for row in range(truth.shape[0] - side + 1):
        for column in range(truth.shape[1] - side + 1):
            for channel in range(3):
                place = (slice(row, row + side), slice(column, column + side), channel)
                x, y = generated[place].astype(float), truth[place].astype(float)
                mx, my = (weights * x).sum(), (weights * y).sum()
                vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
                cov = (weights * (x - mx) * (y - my)).sum()
                found.append(
                    (2 * mx * my + c1) * (2 * unbiased * cov + c2)
                    / ((mx**2 + my**2 + c1) * (unbiased * (vx + vy) + c2))
                )  # fmt: skip
    return float(np.mean(found))


@pytest.mark.parametrize(
    ("name", "size"), [("ssim_7", (7, 9)), ("ssim_gaussian", (11, 15)), ("ssim_51", (51, 52))]
)
def test_ssim_is_its_definition(name, size):
    generated, truth = pictures(*size)
    assert ssim(generated, truth, name) == pytest.approx(by_loops(generated, truth, name), abs=1e-9)


def test_the_map_is_that_of_scikit_image():
    generated, truth = pictures(19, 23)
    _, full = structural_similarity(generated, truth, channel_axis=2, full=True)
    np.testing.assert_allclose(ssim_map(generated, truth, "ssim_7"), full, atol=1e-12)


@pytest.mark.parametrize("name", SSIM)
def test_ssim_of_ill_pictures(name):
    side = SSIM[name].side
    small, _ = pictures(side - 1, side)
    assert np.isnan(ssim(small, small, name))
    generated, truth = pictures(side, side + 2)
    assert ssim(truth, truth, name) == pytest.approx(1, abs=1e-12)
    flat = np.full_like(truth, 77)
    value = ssim(flat, truth, name)
    if SSIM[name].of_generated:
        assert np.isnan(value)
    else:
        assert value == pytest.approx(of_skimage(name, flat, truth), abs=1e-12)
        assert ssim(flat, flat, name) == pytest.approx(1, abs=1e-12)
    assert ssim(generated, flat, name) == pytest.approx(of_skimage(name, generated, flat), abs=1e-9)


def test_psnr():
    generated, truth = pictures(31, 17)
    expected = peak_signal_noise_ratio(truth, generated)
    assert psnr(generated, truth) == pytest.approx(expected, rel=1e-12)
    assert psnr(truth, truth) == np.inf
    assert psnr(np.zeros_like(truth), np.full_like(truth, 255)) == 0


def test_the_person_alone():
    generated, truth = pictures(21, 33)
    random = np.random.default_rng()
    kind = random.integers(0, 3, truth.shape[:2]).astype(np.uint8)
    person = random.random(truth.shape[:2]) < 0.5
    errors = image_errors(generated, truth, person, kind, mask_ssim="ssim_gaussian")
    assert list(errors) == list(IMAGE_METRICS)
    away = np.abs(generated.astype(float) - truth) / 255
    _, similarity = structural_similarity(generated, truth, channel_axis=2, full=True)
    regions = {"person": person, "visible": person & (kind == 0), "hidden": person & (kind == 1)}
    for name, region in regions.items():
        pixels = list(zip(*np.nonzero(region), strict=True))
        expected = np.mean([away[pixel].mean() for pixel in pixels])
        assert errors[f"l1_{name}"] == pytest.approx(expected, abs=1e-12)
        expected = np.mean([similarity[pixel].mean() for pixel in pixels])
        assert errors[f"ssim_{name}"] == pytest.approx(expected, abs=1e-12)
    black = [np.where(person[..., None], p, 0).astype(np.uint8) for p in (generated, truth)]
    expected = of_skimage("ssim_gaussian", *black)
    assert errors["mask_ssim"] == pytest.approx(expected, abs=1e-12)
    assert errors["l1"] == pytest.approx(away.mean(), abs=1e-12)
    alone = image_errors(generated, truth)
    assert list(alone) == [*SSIM, "psnr", "l1"]
    assert alone.items() <= errors.items() or np.isnan(list(alone.values())).any()


def test_visibility_alone_tells_the_person():
    generated, truth = pictures(15, 12)
    kind = np.random.default_rng().integers(0, 3, truth.shape[:2]).astype(np.uint8)
    errors = image_errors(generated, truth, kind=kind)
    assert errors["l1_person"] == pytest.approx(l1(generated, truth, kind < 2))


@pytest.mark.parametrize("count", [0, 1])
def test_masks_of_few_pixels(count):
    generated, truth = pictures(17, 9)
    person = np.zeros(truth.shape[:2], bool)
    person[3, 4] = count == 1
    errors = image_errors(generated, truth, person, np.zeros(person.shape, np.uint8))
    for name in ("l1_person", "l1_visible", "ssim_person", "ssim_visible"):
        assert np.isnan(errors[name]) == (count == 0)
    assert np.isnan(errors["l1_hidden"]) and np.isnan(errors["ssim_hidden"])
    if count:
        expected = np.abs(generated[3, 4].astype(float) - truth[3, 4]).mean() / 255
        assert errors["l1_person"] == pytest.approx(expected)
        # One pixel: a gain for each channel makes it right, unless it is black.
        right = 0 if generated[3, 4].all() else errors["l1_gain"]
        assert errors["l1_gain"] == pytest.approx(right, abs=1e-12)


def test_the_gain_is_the_best_one():
    _, truth = pictures(13, 29)
    factors = np.array([0.5, 0.25, 2.0])
    region = np.random.default_rng().random(truth.shape[:2]) < 0.7
    np.testing.assert_allclose(gain(truth * factors, truth, region), 1 / factors, rtol=1e-12)
    generated, truth = pictures(13, 29)
    best = gain(generated, truth)
    for channel in range(3):
        x, y = (p[..., channel].reshape(-1, 1).astype(float) for p in (generated, truth))
        expected = np.linalg.lstsq(x, y[:, 0], rcond=None)[0][0]
        assert best[channel] == pytest.approx(expected, rel=1e-10)
    assert gain(np.zeros_like(truth), truth).tolist() == [1, 1, 1]


def test_a_flat_silhouette():
    _, truth = pictures(9, 14)
    person = np.random.default_rng().random(truth.shape[:2]) < 0.5
    flat = flat_silhouette(truth, person)
    assert (flat[~person] == truth[~person]).all()
    colours = np.unique(flat[person], axis=0)
    assert colours.shape == (1, 3)
    assert np.abs(colours[0] - truth[person].mean(0)).max() <= 0.5
    assert (flat_silhouette(truth, np.zeros_like(person)) == truth).all()
