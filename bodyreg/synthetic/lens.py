"""Effects of a camera on a picture: blur, exposure, white balance, vignetting, noise, JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from bodyreg.pictures import encode_picture
from bodyreg.synthetic.blend import threefold
from bodyreg.synthetic.noise import SIDE, grain_tile


def photograph(random: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Apply the camera's effects to a rendered picture.

    Args:
        random: Source of random numbers.
        picture: (H, W, 3) float32 in [0, 255].

    Returns:
        (H, W, 3) uint8.
    """
    draws = random.random(4)
    if draws[0] < 0.15:
        picture = cv2.filter2D(picture, -1, _streak(random), borderType=cv2.BORDER_REPLICATE)
    elif draws[0] < 0.7:
        picture = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.3, 0.75))
    gain = np.exp(random.normal(0.06, 0.08)) * np.exp(random.normal(0, 0.035, 3))
    contrast = random.normal(1.02, 0.05)
    # (x · gain - 128) · contrast + 128
    change = np.column_stack([np.diag(gain * contrast), np.full(3, 128 * (1 - contrast))])
    picture = cv2.transform(picture, change.astype(np.float32))
    if draws[1] < 0.5:
        shade = _vignette(picture.shape[0], picture.shape[1], random.uniform(0.05, 0.35))
        picture *= threefold(shade)
    strength = random.gamma(1.6, 1.6)
    picture = cv2.scaleAdd(_grain(random, *picture.shape[:2]), strength, picture)
    # OpenCV rounds and saturates to bytes.
    return cv2.add(picture, 0, dtype=cv2.CV_8U)


def encode_jpeg(picture: np.ndarray, random: np.random.Generator) -> bytes:
    """Encode a picture (H, W, 3) uint8 as JPEG, at a quality from 72 to 96 drawn from `random`."""
    return encode_picture(picture, ".jpg", quality=int(random.integers(72, 97)))


def _streak(random: np.random.Generator) -> np.ndarray:
    """A kernel of motion blur: a short line in any direction."""
    kernel = np.zeros((7, 7), np.float32)
    angle, length = random.uniform(0, np.pi), random.uniform(0.8, 2.2)
    reach = length * np.array([np.cos(angle), np.sin(angle)])
    ends = np.rint((3 + np.array([-reach, reach])) * 16).astype(int).tolist()
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, 4)
    return kernel / kernel.sum()


def _vignette(height: int, width: int, strength: float) -> np.ndarray:
    x = np.linspace(-1, 1, width, dtype=np.float32) ** 2
    y = np.linspace(-1, 1, height, dtype=np.float32) ** 2
    return 1 - np.float32(strength / 2) * (x + y[:, None])


def _grain(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(H, W, 3) white noise: a random crop of the tile, which repeats for larger pictures."""
    tile = grain_tile()
    if height > SIDE or width > SIDE:
        tile = np.tile(tile, (height // SIDE + 1, width // SIDE + 1, 1))
    y, x = random.integers(0, np.subtract(tile.shape[:2], (height, width)) + 1)
    return tile[y : y + height, x : x + width]
