"""How near painted pictures are to true ones: SSIM in its three common definitions, L1, PSNR.

NumPy, float64. Pictures are (H, W, 3) uint8; the order of the channels does not matter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bodyreg.data.corr import HIDDEN, VISIBLE
from bodyreg.metrics.table import Metric

LEVELS = 255.0
K1, K2 = 0.01, 0.03
"""Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004."""
TRUNCATE = 3.5
"""A Gaussian window ends at this number of standard deviations, rounded to pixels."""


class Ssim(NamedTuple):
    """One definition of SSIM.

    Attributes:
        side: Side of the window in pixels.
        sigma: Standard deviation of a Gaussian window; None: all pixels weigh the same.
        of_generated: The range of the values is that of the generated picture, its largest value
            minus its smallest one; otherwise it is 255.
        what: Explanation in words.
    """

    side: int
    sigma: float | None
    of_generated: bool
    what: str


SSIM: dict[str, Ssim] = {
    "ssim_7": Ssim(7, None, False, "SSIM: window of 7 x 7, range 255"),
    "ssim_gaussian": Ssim(11, 1.5, True, "SSIM: Gaussian of 1.5 px, range of the generated"),
    "ssim_51": Ssim(51, None, False, "SSIM: window of 51 x 51, range 255"),
}
"""The definitions that papers on pose transfer use; their numbers cannot be compared.

`ssim_7` is the default of scikit-image, used by "Dense Intrinsic Appearance Flow" (Li et al. 2019);
`ssim_gaussian` that of Deformable GAN (Siarohin et al. 2018) and PATN (Zhu et al. 2019); `ssim_51`
that of GFLA (Ren et al. 2020) and of most later papers.
"""

IMAGE_METRICS: dict[str, Metric] = {
    **{name: Metric(name, "", definition.what, best=1) for name, definition in SSIM.items()},
    "mask_ssim": Metric("mask-SSIM", "", "the protocol's SSIM, black outside of the person", 1),
    "psnr": Metric("PSNR", "dB", "peak signal-to-noise ratio", best=np.inf),
    "l1": Metric("L1", "", "mean absolute difference, values from 0 to 1"),
    "l1_gain": Metric("L1 after gain", "", "L1 of the person after the best gain of each colour"),
    "l1_person": Metric("L1 person", "", "L1 of the person's pixels"),
    "l1_visible": Metric("L1 visible", "", "L1 of what the source shows of the person"),
    "l1_hidden": Metric("L1 hidden", "", "L1 of what the source does not show"),
    "ssim_person": Metric("SSIM person", "", "ssim_7's map, mean over the person's pixels", 1),
    "ssim_visible": Metric("SSIM visible", "", "the same of what the source shows", best=1),
    "ssim_hidden": Metric("SSIM hidden", "", "the same of what the source does not show", 1),
}
"""The metrics of `image_errors`, in the order of the tables."""


def image_errors(
    generated: np.ndarray,
    truth: np.ndarray,
    person: np.ndarray | None = None,
    kind: np.ndarray | None = None,
    *,
    mask_ssim: str = "ssim_7",
) -> dict[str, float]:
    """Every error of one picture.

    Args:
        generated: (H, W, 3) uint8.
        truth: (H, W, 3) uint8, the picture that it should be.
        person: (H, W) bool, the person's pixels in the true picture.
        kind: (H, W) what each pixel shows: 0 visible in the source, 1 hidden there, 2 background.
        mask_ssim: The definition of `mask_ssim`, a name in `SSIM`.

    Returns:
        Name -> value, for the names in `IMAGE_METRICS` that these arguments allow. NaN where a
        metric is not defined: see `ssim`; means over a region without pixels.
    """
    small = ssim_map(generated, truth, "ssim_7")
    errors = {name: ssim(generated, truth, name) for name in SSIM if name != "ssim_7"}
    errors |= {"ssim_7": _inside(small, "ssim_7"), "psnr": psnr(generated, truth)}
    errors["l1"] = l1(generated, truth)
    if person is None and kind is not None:
        person = kind <= HIDDEN
    if person is not None:
        black = person[..., None].astype(np.uint8)
        errors["mask_ssim"] = ssim(generated * black, truth * black, mask_ssim)
        corrected = generated * gain(generated, truth, person)
        errors["l1_gain"] = l1(corrected, truth, person)
        regions = {"person": person}
        if kind is not None:
            regions |= {"visible": person & (kind == VISIBLE), "hidden": person & (kind == HIDDEN)}
        for name, region in regions.items():
            errors[f"l1_{name}"] = l1(generated, truth, region)
            errors[f"ssim_{name}"] = _mean(small, region)
    return {name: errors[name] for name in IMAGE_METRICS if name in errors}


def ssim(generated: np.ndarray, truth: np.ndarray, name: str) -> float:
    """Structural similarity, the mean over windows that lie inside the picture, and over channels.

    It equals scikit-image's `structural_similarity` with the same settings.

    Args:
        generated, truth: (H, W, C).
        name: Of the definition, in `SSIM`.

    Returns:
        At most 1; NaN if the picture is smaller than the window, or if the definition takes the
        range of a generated picture that has one value only.
    """
    return _inside(ssim_map(generated, truth, name), name)


def ssim_map(generated: np.ndarray, truth: np.ndarray, name: str) -> np.ndarray:
    """(H, W, C) structural similarity of the window round every pixel.

    Windows that reach over the border see the picture mirrored there. Arguments as of `ssim`.
    Uniform windows use sample covariances, Gaussian ones do not, as in scikit-image's defaults and
    in Wang et al.
    """
    definition = SSIM[name]
    x, y = np.asarray(generated, np.float64), np.asarray(truth, np.float64)
    count = definition.side**2
    unbiased = count / (count - 1) if definition.sigma is None else 1.0
    extent = float(np.ptp(x)) if definition.of_generated else LEVELS
    if extent == 0:
        return np.full(x.shape, np.nan)
    mean_x, mean_y = _windowed(x, definition), _windowed(y, definition)
    var_x = unbiased * (_windowed(x * x, definition) - mean_x**2)
    var_y = unbiased * (_windowed(y * y, definition) - mean_y**2)
    cov = unbiased * (_windowed(x * y, definition) - mean_x * mean_y)
    c1, c2 = (K1 * extent) ** 2, (K2 * extent) ** 2
    similar = (2 * mean_x * mean_y + c1) * (2 * cov + c2)
    return similar / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))


def psnr(generated: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(255² / mean square); inf for equal pictures."""
    square = float(np.mean((np.asarray(generated, np.float64) - truth) ** 2))
    return float(10 * np.log10(LEVELS**2 / square)) if square > 0 else float("inf")


def l1(generated: np.ndarray, truth: np.ndarray, region: np.ndarray | None = None) -> float:
    """Mean absolute difference of values from 0 to 1.

    Args:
        generated, truth: (H, W, C) values from 0 to 255.
        region: (H, W) bool, the pixels that count; None: all.

    Returns:
        NaN if no pixel counts.
    """
    return _mean(np.abs(np.asarray(generated, np.float64) - truth) / LEVELS, region)


def gain(generated: np.ndarray, truth: np.ndarray, region: np.ndarray | None = None) -> np.ndarray:
    """(C,) the factor of each channel that brings the generated picture nearest to the true one.

    By least squares over the region, Σ generated · truth / Σ generated²; 1 where the channel is
    black. It takes away what exposure and white balance change. Arguments as of `l1`.
    """
    chosen = slice(None) if region is None else region
    x = np.asarray(generated, np.float64)[chosen].reshape(-1, generated.shape[-1])
    y = np.asarray(truth, np.float64)[chosen].reshape(x.shape)
    square = (x * x).sum(0)
    return np.where(square > 0, (x * y).sum(0) / np.where(square > 0, square, 1), 1.0)


def flat_silhouette(truth: np.ndarray, person: np.ndarray) -> np.ndarray:
    """The true picture with one colour on all of the person: the floor that a painter must pass.

    Args:
        truth: (H, W, 3) uint8.
        person: (H, W) bool.

    Returns:
        (H, W, 3) uint8, where the person has the rounded mean colour of its pixels.
    """
    flat = truth.copy()
    if person.any():
        flat[person] = np.rint(truth[person].mean(0, dtype=np.float64)).astype(np.uint8)
    return flat


def _windowed(values: np.ndarray, definition: Ssim) -> np.ndarray:
    """Weighted means of windows, channel by channel."""
    from scipy import ndimage

    if definition.sigma is None:
        return ndimage.uniform_filter(values, (definition.side, definition.side, 1))
    sigma = (definition.sigma, definition.sigma, 0)
    return ndimage.gaussian_filter(values, sigma, truncate=TRUNCATE)


def _inside(similarity: np.ndarray, name: str) -> float:
    """The mean of a map's windows that lie inside the picture."""
    border = SSIM[name].side // 2
    if min(similarity.shape[:2]) < SSIM[name].side:
        return float("nan")
    return float(similarity[border:-border, border:-border].mean())


def _mean(values: np.ndarray, region: np.ndarray | None) -> float:
    chosen = values if region is None else values[region]
    return float(chosen.mean()) if chosen.size else float("nan")
