"""COCO's results of keypoints, read and evaluated by pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from bodyreg.body import Body
from bodyreg.data.frames import image_from_frame
from bodyreg.data.skeletons import COCO_17
from bodyreg.exchange import keypoint_results

from .people import random_fits, with_camera


def annotated(body: Body, fits, images: np.ndarray) -> COCO:
    """The same people as a COCO file; COCO counts from the centre of the first pixel."""
    seen = fits.seen(fits.keypoints(body, COCO_17.keypoints))[..., :2]
    xy = image_from_frame(seen, fits.frame[:, None]) - 0.5
    coco = COCO()
    coco.dataset = {
        "info": {},
        "images": [{"id": int(i)} for i in np.unique(images)],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {
                "id": number + 1, "image_id": int(image), "category_id": 1, "iscrowd": 0,
                "keypoints": np.c_[own, np.full(17, 2)].reshape(-1).tolist(), "num_keypoints": 17,
                "bbox": [*own.min(0).tolist(), *np.ptp(own, 0).tolist()],
                "area": float(np.ptp(own, 0).prod()),
            }
            for number, (image, own) in enumerate(zip(images, xy.astype(float), strict=True))
        ],
    }  # fmt: skip
    coco.createIndex()
    return coco


@pytest.mark.parametrize("near", [False, True])
def test_pycocotools_finds_the_same_people(tmp_path, near):
    body, random = Body.default(), np.random.default_rng(int(near))
    fits = random_fits(random, 12)
    fits = with_camera(fits, random) if near else fits
    images = np.repeat([7, 139, 12345678, 9], 3)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(keypoint_results(body, fits, images)))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = annotated(body, fits, images)
        found = truth.loadRes(str(path))
        evaluation = COCOeval(truth, found, "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert len(found.anns) == 12
    assert evaluation.stats[0] == pytest.approx(1)  # average precision


def test_similarity_is_what_deviations_let_expect():
    """Keypoints that miss by normal errors have this similarity to the truth in the mean."""
    body, random = Body.default(), np.random.default_rng(2)
    fits = random_fits(random, 4)
    deviation = random.uniform(5, 80, (4, 24, 2)).astype(np.float32)
    sure, *_ = keypoint_results(body, fits, np.arange(4))
    assert sure["score"] == 1 and set(sure["keypoints"][2::3]) == {1}
    results = keypoint_results(body, replace(fits, joint_deviation=deviation), np.arange(4))
    vars_ = (2 * np.array(COCOeval(iouType="keypoints").params.kpt_oks_sigmas)) ** 2
    for person, result in enumerate(results):
        xyv = np.array(result["keypoints"]).reshape(17, 3)
        area = np.ptp(xyv[:, :2], axis=0).prod()
        assert result["score"] == pytest.approx(xyv[:, 2].mean(), abs=1e-4)
        metre = fits.scale[person] * fits.frame[person, 2]
        for row, joint in ((5, 16), (10, 21), (0, 15), (4, 15), (15, 7)):  # COCO's, the rig's
            sigma = deviation[person, joint, 0] / 1000 * metre
            error = random.normal(0, sigma, (200_000, 2))
            oks = np.exp(-(error**2).sum(1) / (2 * vars_[row] * area))
            assert xyv[row, 2] == pytest.approx(oks.mean(), abs=5e-3)


def test_nobody_gives_an_empty_list():
    fits = random_fits(np.random.default_rng(3), 1).select([])
    assert keypoint_results(Body.default(), fits, np.zeros(0, int)) == []
