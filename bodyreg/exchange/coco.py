"""COCO's results of keypoints."""

from __future__ import annotations

from typing import Any

import numpy as np

from bodyreg.body import Body
from bodyreg.body.joints import JOINT_NAMES
from bodyreg.data.bodies import pixels_per_metre
from bodyreg.data.coco import FROM_INDEX, PERSON
from bodyreg.data.fits import Fits
from bodyreg.data.frames import image_from_frame
from bodyreg.data.skeletons import COCO_17

NEAR = 2 * np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
"""COCO's distance at which a keypoint counts exp(-1/2), over the root of the person's area."""
JOINTS = [JOINT_NAMES.index(n if n in JOINT_NAMES else "head") for n in COCO_17.joints]
"""The joint that a keypoint moves with; those of the face move with the head."""


def keypoint_results(body: Body, fits: Fits, images: np.ndarray) -> list[dict[str, Any]]:
    """The 17 keypoints of N fits where the pictures show them, for pycocotools' `loadRes`.

    A keypoint's third number is its expected similarity: λ² / (λ² + σ²), the mean of COCO's
    exp(-d² / 2λ²) if d is normal in two dimensions with the standard deviation σ of the keypoint's
    joint; λ is COCO's, for the area of the box of the keypoints. `score` is their mean. Fits
    that do not tell deviations have 1. Keypoints that the body has no landmark for are 0, 0, 0.

    Args:
        body: The fitted body.
        fits: N fits.
        images: (N,) the numbers of the pictures.

    Returns:
        N results: image_id, category_id 1, keypoints [x, y, similarity, ...], where the centre of
        the first pixel is 0, and score.
    """
    known = [n in body.named_landmarks for n in COCO_17.keypoints]
    names = [n for n, there in zip(COCO_17.keypoints, known, strict=True) if there]
    seen = fits.seen(fits.keypoints(body, names))[..., :2].astype(np.float64)
    xy = image_from_frame(seen, fits.frame[:, None].astype(np.float64)) - FROM_INDEX
    similarity = np.ones(xy.shape[:2])
    if fits.joint_deviation is not None:
        metre = pixels_per_metre(fits)[:, None]
        deviation = fits.joint_deviation[:, JOINTS, 0][:, known] / 1000 * metre
        area = np.maximum(np.ptp(xy, axis=1).prod(1), 1)[:, None]
        near = NEAR[known] ** 2 * area
        similarity = near / (near + deviation**2)
    found = np.zeros((len(fits), len(COCO_17), 3))
    found[:, known] = np.concatenate([xy, similarity[..., None]], 2)
    rows = np.round(found, 4).reshape(-1, 3 * len(COCO_17))
    return [
        {
            "image_id": int(image),
            "category_id": PERSON,
            "keypoints": row.tolist(),
            "score": round(float(own.mean()), 4),
        }
        for image, row, own in zip(images, rows, similarity, strict=True)
    ]
